-- Recordings: one per stretch that was recorded of a lesson, and a row per file of it.
CREATE TABLE lesson_recordings (
    id               TEXT PRIMARY KEY,
    -- No foreign keys: where an older copy of the database had to take its place, a recording is
    -- taken up again from its own folder, which says all that is here.
    lesson_id        TEXT NOT NULL,
    teacher_id       TEXT NOT NULL, -- whose it is
    title            TEXT NOT NULL,
    class_name       TEXT NOT NULL,
    teacher_name     TEXT NOT NULL,
    storage_path     TEXT NOT NULL UNIQUE, -- relative to the recordings directory
    started_at       INTEGER NOT NULL,
    clock_was_sure   INTEGER NOT NULL CHECK (clock_was_sure IN (0, 1)),
    duration_seconds INTEGER NOT NULL DEFAULT 0,
    file_size_mb     REAL NOT NULL DEFAULT 0,
    frame_count      INTEGER NOT NULL DEFAULT 0,
    status           TEXT NOT NULL CHECK (status IN ('recording', 'processing', 'ready', 'failed')),
    fault            TEXT CHECK (fault IN ('disk_full', 'disk_failed', 'disk_too_slow', 'interrupted', 'nothing_recorded')),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    created_at       INTEGER NOT NULL,
    processed_at     INTEGER
) STRICT;

CREATE INDEX recordings_of_lesson ON lesson_recordings (lesson_id);
CREATE INDEX recordings_of_teacher ON lesson_recordings (teacher_id);

CREATE TABLE recording_segments (
    id           TEXT PRIMARY KEY,
    recording_id TEXT NOT NULL REFERENCES lesson_recordings (id) ON DELETE CASCADE,
    track        TEXT NOT NULL CHECK (track IN ('screen_video', 'screen_audio', 'person_audio')),
    path         TEXT NOT NULL, -- relative to the recording's own folder
    mime         TEXT NOT NULL,
    width        INTEGER,
    height       INTEGER,
    offset_ms    INTEGER NOT NULL, -- from the recording's start
    duration_ms  INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    init_bytes   INTEGER NOT NULL,
    frame_count  INTEGER NOT NULL,
    is_closed    INTEGER NOT NULL CHECK (is_closed IN (0, 1)),
    -- Where its fragments lie, JSON: [[at_ms, length, starts with a keyframe], ...], one behind the
    -- other from init_bytes on. NULL while it grows.
    fragments    TEXT,
    UNIQUE (recording_id, path)
) STRICT;

CREATE INDEX segments_of_recording ON recording_segments (recording_id);
