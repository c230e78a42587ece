//! Who sits where when a class is in a room.

use std::collections::HashSet;

use alfarid_protocol::id::{ClassId, RoomId};
use rusqlite::Transaction;

use super::{Error, Handle, Seat, class_to_change, store};
use crate::identity::Person;

impl Handle {
    pub async fn seating(&self, class: ClassId, room: RoomId) -> Result<Vec<Seat>, Error> {
        self.db
            .read(move |c| {
                store::class(c, class)?.ok_or(Error::NoSuchClass(class))?;
                store::room(c, room)?.ok_or(Error::NoSuchRoom(room))?;
                Ok(store::seating(c, class, room)?)
            })
            .await
    }

    /// Replaces the whole seating of this class in this room.
    pub async fn seat(
        &self,
        person: &Person,
        class: ClassId,
        room: RoomId,
        seats: Vec<Seat>,
    ) -> Result<Vec<Seat>, Error> {
        check_shape(&seats)?;
        let person = person.clone();
        let seating = self
            .db
            .write(move |tx| {
                class_to_change(tx, &person, class)?;
                store::room(tx, room)?.ok_or(Error::NoSuchRoom(room))?;
                check_places(tx, class, room, &seats)?;
                store::replace_seating(tx, class, room, &seats)?;
                Ok::<_, Error>(store::seating(tx, class, room)?)
            })
            .await?;
        self.changed(class);
        Ok(seating)
    }
}

fn check_shape(seats: &[Seat]) -> Result<(), Error> {
    let mut machines = HashSet::new();
    let mut students = HashSet::new();
    for seat in seats {
        if !machines.insert(seat.machine_id) {
            return Err(Error::SeatTwice(seat.machine_id));
        }
        if !(1..=2).contains(&seat.student_ids.len()) {
            return Err(Error::SeatSize(seat.machine_id));
        }
        for student in &seat.student_ids {
            if !students.insert(*student) {
                return Err(Error::SeatedTwice(*student));
            }
        }
    }
    Ok(())
}

fn check_places(
    tx: &Transaction<'_>,
    class: ClassId,
    room: RoomId,
    seats: &[Seat],
) -> Result<(), Error> {
    let machines = store::machines_of_room(tx, room)?;
    let students: HashSet<_> =
        store::students_of_class(tx, class)?.into_iter().map(|student| student.id).collect();
    for seat in seats {
        if !machines.contains(&seat.machine_id) {
            return Err(Error::SeatElsewhere(seat.machine_id));
        }
        if let Some(stranger) = seat.student_ids.iter().find(|id| !students.contains(id)) {
            return Err(Error::SeatStranger(*stranger));
        }
    }
    Ok(())
}
