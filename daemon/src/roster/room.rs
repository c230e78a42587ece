//! Rooms: places with machines.

use alfarid_protocol::id::RoomId;

use super::{Error, Handle, Room, store};
use crate::{
    field,
    identity::{Person, audit},
};

const LONGEST_NAME: usize = 100;

/// What the room that a box starts with is called: the same in every language.
const FIRST_NAME: &str = "1";

impl Handle {
    pub(super) async fn make_first_room(&self) -> Result<(), Error> {
        if !self.rooms().await?.is_empty() {
            return Ok(());
        }
        let (id, at) = (self.clock.id(), self.clock.now());
        Ok(self.db.write(move |tx| store::insert_room(tx, id, FIRST_NAME, at)).await?)
    }

    /// All rooms, by name.
    pub async fn rooms(&self) -> Result<Vec<Room>, Error> {
        let mut rooms = self.db.read(store::rooms).await?;
        for room in &mut rooms {
            room.connected_count = self.connected.of(room.id);
        }
        Ok(rooms)
    }

    pub async fn create_room(&self, admin: &Person, name: &str) -> Result<Room, Error> {
        let name = field::line("name", name, LONGEST_NAME)?;
        let (by, clock) = (admin.id, self.clock.clone());
        let room = Room { id: clock.id(), name, machine_count: 0, connected_count: 0 };
        self.db
            .write(move |tx| {
                if store::room_named(tx, &room.name)?.is_some() {
                    return Err(Error::RoomExists);
                }
                store::insert_room(tx, room.id, &room.name, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(by, "room_created", &room.id))?;
                Ok(room)
            })
            .await
    }

    pub async fn rename_room(&self, admin: &Person, id: RoomId, name: &str) -> Result<Room, Error> {
        let name = field::line("name", name, LONGEST_NAME)?;
        let (by, clock) = (admin.id, self.clock.clone());
        self.db
            .write(move |tx| {
                if store::room_named(tx, &name)?.is_some_and(|other| other != id) {
                    return Err(Error::RoomExists);
                }
                if !store::rename_room(tx, id, &name, clock.now())? {
                    return Err(Error::NoSuchRoom(id));
                }
                Ok(audit::write(tx, &clock, &audit::Entry::new(by, "room_renamed", &id))?)
            })
            .await?;
        let room = self.rooms().await?.into_iter().find(|room| room.id == id);
        room.ok_or(Error::NoSuchRoom(id))
    }

    /// A room with machines, revoked ones too, or with a past stays.
    pub async fn delete_room(&self, admin: &Person, id: RoomId) -> Result<(), Error> {
        let (by, clock) = (admin.id, self.clock.clone());
        self.db
            .write(move |tx| {
                store::room(tx, id)?.ok_or(Error::NoSuchRoom(id))?;
                if store::rooms(tx)?.len() == 1 {
                    return Err(Error::LastRoom);
                }
                if store::is_room_in_use(tx, id)? {
                    return Err(Error::RoomInUse(id));
                }
                store::delete_room(tx, id)?;
                Ok(audit::write(tx, &clock, &audit::Entry::new(by, "room_deleted", &id))?)
            })
            .await
    }
}
