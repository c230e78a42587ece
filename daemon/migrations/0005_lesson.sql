-- Lessons and what happened in them.
CREATE TABLE lessons (
    id                TEXT PRIMARY KEY,
    class_id          TEXT NOT NULL REFERENCES classes (id),
    room_id           TEXT NOT NULL REFERENCES rooms (id),
    teacher_id        TEXT NOT NULL REFERENCES teachers (id),
    -- Whose lesson it was to be, when somebody else holds it.
    substitute_for    TEXT REFERENCES teachers (id),
    title             TEXT NOT NULL,
    description       TEXT,
    start_time        INTEGER NOT NULL,
    planned_end_time  INTEGER NOT NULL,
    end_time          INTEGER,
    -- When it ends if no teacher comes back; NULL while one is there.
    ends_by_itself_at INTEGER,
    -- Seen running up to here: where a lesson ends that a power cut ended.
    seen_at           INTEGER NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('scheduled', 'active', 'completed', 'cancelled')),
    quality_profile   TEXT NOT NULL CHECK (quality_profile IN ('small', 'medium', 'large')),
    quality_pinned    INTEGER NOT NULL DEFAULT 0 CHECK (quality_pinned IN (0, 1)),
    max_fps           INTEGER NOT NULL,
    is_recording      INTEGER NOT NULL CHECK (is_recording IN (0, 1)),
    -- Why it stopped recording by itself, until somebody switches it on again.
    recording_fault   TEXT CHECK (recording_fault IN ('disk_full', 'disk_failed', 'disk_too_slow', 'interrupted', 'nothing_recorded')),
    picture           TEXT NOT NULL DEFAULT 'live' CHECK (picture IN ('live', 'blank', 'frozen')),
    -- JSON array of machine ids; NULL: the whole room.
    machine_ids       TEXT,
    -- Students present while it runs; students who were there once it is over.
    student_count     INTEGER NOT NULL DEFAULT 0,
    duration_seconds  INTEGER,
    clock_was_sure    INTEGER NOT NULL CHECK (clock_was_sure IN (0, 1)),
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
) STRICT;

CREATE INDEX lessons_of_teacher ON lessons (teacher_id);
CREATE INDEX lessons_of_class ON lessons (class_id);
CREATE INDEX lessons_by_status ON lessons (status);
CREATE INDEX lessons_by_time ON lessons (start_time);

CREATE TABLE lesson_events (
    id         TEXT PRIMARY KEY,
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id TEXT REFERENCES students (id),
    teacher_id TEXT REFERENCES teachers (id),
    event_type TEXT NOT NULL,
    event_data TEXT, -- JSON
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX events_of_lesson ON lesson_events (lesson_id);
CREATE INDEX events_by_type ON lesson_events (event_type);
