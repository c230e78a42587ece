-- People who log in: teachers and admins.
CREATE TABLE teachers (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL, -- argon2id, PHC string
    full_name     TEXT NOT NULL,
    department    TEXT,
    role          TEXT NOT NULL CHECK (role IN ('teacher', 'admin')),
    language      TEXT NOT NULL DEFAULT 'ru' CHECK (language IN ('ru', 'en')),
    is_active     INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    -- SHA-256 of the stream key, for OBS and GStreamer; NULL: none was made.
    stream_key_sha256 BLOB UNIQUE,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

-- A browser that is logged in. The cookie itself is known to the browser alone.
CREATE TABLE sessions (
    token_sha256 BLOB PRIMARY KEY,
    teacher_id   TEXT NOT NULL REFERENCES teachers (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_teacher ON sessions (teacher_id);

-- A browser that has logged in as somebody before: others who guess at the account do not slow it
-- down. Several people may use one browser.
CREATE TABLE devices (
    token_sha256 BLOB NOT NULL,
    teacher_id   TEXT NOT NULL REFERENCES teachers (id) ON DELETE CASCADE,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (token_sha256, teacher_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX devices_of_teacher ON devices (teacher_id);

-- Who did what that matters for trust. Append-only.
CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    teacher_id TEXT REFERENCES teachers (id),
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    detail     TEXT
) STRICT;
