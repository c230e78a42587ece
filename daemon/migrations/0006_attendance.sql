-- Presence as machines and pages told it, and what was made of it.

-- Clock exchanges: which box time a moment of a machine's boot was.
CREATE TABLE machine_clocks (
    machine_id   TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    boot_id      TEXT NOT NULL,
    monotonic_ms INTEGER NOT NULL,
    box_time     INTEGER NOT NULL,
    PRIMARY KEY (machine_id, boot_id, monotonic_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX clocks_by_time ON machine_clocks (box_time);

-- One stretch of use of a machine, in the machine's own time. The machine names its spans, so a
-- name counts for that machine only.
CREATE TABLE machine_spans (
    machine_id TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    boot_id    TEXT NOT NULL,
    from_ms    INTEGER NOT NULL,
    until_ms   INTEGER NOT NULL, -- seen in use up to here
    is_open    INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    -- The newest mark that spoke of it: of two open spans the later one is the living one.
    last_seq   INTEGER NOT NULL,
    -- Box time of the newest mark's arrival: no earlier than the span's end.
    heard_at   INTEGER NOT NULL,
    PRIMARY KEY (machine_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX machine_spans_by_arrival ON machine_spans (machine_id, heard_at);
CREATE INDEX machine_spans_by_seq ON machine_spans (machine_id, last_seq);

-- The part of a lesson that attendance lives by: its window, its people, its thresholds.
CREATE TABLE meetings (
    lesson_id      TEXT PRIMARY KEY REFERENCES lessons (id) ON DELETE CASCADE,
    class_id       TEXT NOT NULL REFERENCES classes (id),
    room_id        TEXT NOT NULL REFERENCES rooms (id),
    teacher_id     TEXT NOT NULL REFERENCES teachers (id), -- who holds it
    machine_ids    TEXT, -- JSON; NULL: the whole room
    start_at       INTEGER NOT NULL,
    planned_end_at INTEGER NOT NULL,
    end_at         INTEGER,
    -- JSON, as they stood when the lesson ended: a later change of settings rewrites no history.
    thresholds     TEXT
) STRICT;

CREATE INDEX meetings_of_class ON meetings (class_id, start_at);

-- One stretch of a signed-in student's live page, in box time.
CREATE TABLE page_spans (
    id         TEXT PRIMARY KEY,
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    from_at    INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    is_open    INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT;

CREATE INDEX page_spans_of_lesson ON page_spans (lesson_id);

-- Who sat where in a lesson, from when: a move splits it, a mistake re-attributes it.
CREATE TABLE lesson_seats (
    id         TEXT PRIMARY KEY,
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    machine_id TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    from_at    INTEGER NOT NULL,
    to_at      INTEGER
) STRICT;

CREATE INDEX seats_of_lesson ON lesson_seats (lesson_id);
CREATE INDEX seats_of_machine ON lesson_seats (machine_id);

-- Changes of seats by a person: append-only.
CREATE TABLE lesson_seat_changes (
    id          TEXT PRIMARY KEY,
    lesson_id   TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id  TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    machine_was TEXT,
    machine_id  TEXT,
    mode        TEXT NOT NULL CHECK (mode IN ('now', 'was_wrong')),
    teacher_id  TEXT NOT NULL REFERENCES teachers (id),
    at          INTEGER NOT NULL
) STRICT;

CREATE TABLE lesson_attendance (
    id                TEXT PRIMARY KEY,
    lesson_id         TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id        TEXT NOT NULL REFERENCES students (id),
    joined_at         INTEGER,
    left_at           INTEGER,
    duration_seconds  INTEGER NOT NULL DEFAULT 0,
    status            TEXT NOT NULL CHECK (status IN ('present', 'late', 'left_early', 'absent', 'excused')),
    hand_raised_count INTEGER NOT NULL DEFAULT 0,
    messages_sent     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (lesson_id, student_id)
) STRICT;

CREATE INDEX attendance_of_lesson ON lesson_attendance (lesson_id);

-- What a record was made of: the student's presence, united and clipped to the lesson.
CREATE TABLE lesson_attendance_spans (
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    from_at    INTEGER NOT NULL,
    to_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX attendance_spans_of_lesson ON lesson_attendance_spans (lesson_id, student_id);

-- Corrections by a person: append-only, the newest stands.
CREATE TABLE attendance_corrections (
    id         TEXT PRIMARY KEY,
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id),
    was        TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('present', 'late', 'left_early', 'absent', 'excused')),
    why        TEXT NOT NULL,
    teacher_id TEXT NOT NULL REFERENCES teachers (id),
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX corrections_of_lesson ON attendance_corrections (lesson_id);
