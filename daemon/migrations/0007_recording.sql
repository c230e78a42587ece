-- Recordings: one per lesson and recorded stretch, a row per segment file.
CREATE TABLE lesson_recordings (
    id               TEXT PRIMARY KEY,
    lesson_id        TEXT NOT NULL REFERENCES lessons (id),
    storage_path     TEXT NOT NULL, -- relative to the recordings directory
    started_at       INTEGER NOT NULL,
    duration_seconds INTEGER,
    file_size_mb     REAL,
    frame_count      INTEGER,
    status           TEXT NOT NULL CHECK (status IN ('recording', 'processing', 'ready', 'failed')),
    fault            TEXT,
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    created_at       INTEGER NOT NULL,
    processed_at     INTEGER
) STRICT;

CREATE INDEX recordings_of_lesson ON lesson_recordings (lesson_id);

CREATE TABLE recording_segments (
    id           TEXT PRIMARY KEY,
    recording_id TEXT NOT NULL REFERENCES lesson_recordings (id) ON DELETE CASCADE,
    track        TEXT NOT NULL CHECK (track IN ('screen_video', 'screen_audio', 'person_audio')),
    path         TEXT NOT NULL, -- relative to the recording's own directory
    mime         TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    offset_ms    INTEGER NOT NULL,
    duration_ms  INTEGER NOT NULL DEFAULT 0,
    size_bytes   INTEGER NOT NULL DEFAULT 0,
    init_bytes   INTEGER NOT NULL DEFAULT 0,
    frame_count  INTEGER NOT NULL DEFAULT 0,
    is_closed    INTEGER NOT NULL DEFAULT 0 CHECK (is_closed IN (0, 1))
) STRICT;

CREATE INDEX segments_of_recording ON recording_segments (recording_id);
