-- Presence as machines and pages told it, and what was made of it.

-- Clock exchanges: which box time a moment of a machine's boot was.
CREATE TABLE machine_clocks (
    machine_id   TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    boot_id      TEXT NOT NULL,
    monotonic_ms INTEGER NOT NULL,
    box_time     INTEGER NOT NULL,
    PRIMARY KEY (machine_id, boot_id, monotonic_ms)
) STRICT, WITHOUT ROWID;

-- One stretch of use of a machine, in the machine's own time.
CREATE TABLE machine_spans (
    id         TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    boot_id    TEXT NOT NULL,
    from_ms    INTEGER NOT NULL,
    until_ms   INTEGER NOT NULL, -- seen in use up to here
    is_open    INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT;

CREATE INDEX spans_of_machine ON machine_spans (machine_id);

-- One stretch of a signed-in student's live page, in box time.
CREATE TABLE page_spans (
    id         TEXT PRIMARY KEY,
    lesson_id  TEXT NOT NULL REFERENCES lessons (id) ON DELETE CASCADE,
    student_id TEXT NOT NULL REFERENCES students (id) ON DELETE CASCADE,
    from_at    INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    is_open    INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT;

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
