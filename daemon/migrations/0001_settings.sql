-- What an admin sets on the page, and the little that the box remembers of itself.
CREATE TABLE settings (
    key         TEXT PRIMARY KEY,
    value       TEXT NOT NULL, -- JSON
    description TEXT,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
