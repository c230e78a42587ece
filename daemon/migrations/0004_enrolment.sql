-- Student machines, the tokens they enrol by, and who sits at them.
CREATE TABLE machines (
    id            TEXT PRIMARY KEY,
    room_id       TEXT NOT NULL REFERENCES rooms (id),
    name          TEXT NOT NULL, -- for people; never an identity
    spki_sha256   BLOB NOT NULL UNIQUE, -- the key is the identity
    is_approved   INTEGER NOT NULL CHECK (is_approved IN (0, 1)),
    revoked_at    INTEGER,
    agent_version TEXT NOT NULL,
    enrolled_at   INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    address       TEXT,
    -- The newest presence mark applied; the machine sends what comes after it.
    marks_through INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX machines_of_room ON machines (room_id);

CREATE TABLE site_tokens (
    id            TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE,
    room_id       TEXT NOT NULL REFERENCES rooms (id),
    uses_left     INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at    INTEGER NOT NULL,
    created_by    TEXT NOT NULL REFERENCES teachers (id),
    created_at    INTEGER NOT NULL
) STRICT;

-- Per class and seat, since a machine sees six classes a day. One or two students a machine.
CREATE TABLE seatings (
    class_id   TEXT NOT NULL REFERENCES classes (id) ON DELETE CASCADE,
    room_id    TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    machine_id TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    PRIMARY KEY (class_id, room_id, student_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX seatings_of_machine ON seatings (machine_id, class_id);
