-- Classes, students, rooms, and who sits where.
CREATE TABLE rooms (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE classes (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    teacher_id   TEXT REFERENCES teachers (id),
    description  TEXT,
    max_students INTEGER NOT NULL DEFAULT 50,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE students (
    id         TEXT PRIMARY KEY,
    student_id TEXT NOT NULL UNIQUE, -- the school's own number
    full_name  TEXT NOT NULL,
    email      TEXT,
    class_id   TEXT REFERENCES classes (id),
    is_active  INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX students_of_class ON students (class_id);
