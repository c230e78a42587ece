-- Students at pages of their own: the code that lets one in, and the browsers that it has let in.

-- One code a student. It is found by its hash: argon2id under the salt below, for forty bits are
-- too few for a quick hash.
CREATE TABLE student_codes (
    student_id TEXT PRIMARY KEY REFERENCES students (id) ON DELETE CASCADE,
    code_hash  BLOB NOT NULL UNIQUE,
    created_by TEXT NOT NULL REFERENCES teachers (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the same for all codes of this box, and for no other box's.
CREATE TABLE student_code_salt (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    salt BLOB NOT NULL
) STRICT;

INSERT INTO student_code_salt (id, salt) VALUES (1, randomblob(16));

-- A browser in which a student is signed in. The cookie itself is known to the browser alone.
CREATE TABLE student_sessions (
    token_sha256 BLOB PRIMARY KEY,
    student_id   TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_student ON student_sessions (student_id);

-- A browser that a student's code has let in: others who guess at codes behind the same address do
-- not slow it down. It is whose code has let it in last.
CREATE TABLE student_devices (
    token_sha256 BLOB PRIMARY KEY,
    student_id   TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX devices_of_student ON student_devices (student_id);
