-- Rooms whose lessons go out once more in the clear, for players that know nothing of the box.
CREATE TABLE open_rooms (
    room_id   TEXT PRIMARY KEY REFERENCES rooms (id) ON DELETE CASCADE,
    opened_by TEXT NOT NULL REFERENCES teachers (id),
    opened_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
