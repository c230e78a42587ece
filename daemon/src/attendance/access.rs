//! Whose attendance a person may see and change.
//!
//! A lesson's attendance is seen and corrected by who holds it, by the class's own teacher, whose
//! register it is whoever stood in, and by an admin. Who sits where is changed by who stands in
//! front of the class and by an admin.

use alfarid_protocol::id::ClassId;
use rusqlite::Connection;

use super::{Error, store::meeting::Kept};
use crate::{
    identity::Person,
    roster::{self, Class},
};

pub(super) fn may_see(c: &Connection, meeting: &Kept, person: &Person) -> Result<(), Error> {
    if may_seat(meeting, person).is_ok() {
        return Ok(());
    }
    match class_to_see(c, meeting.class, person) {
        Err(Error::NotYourClass(_)) => Err(Error::NotYourLesson(meeting.lesson)),
        own => own.map(drop),
    }
}

pub(super) fn may_correct(c: &Connection, meeting: &Kept, person: &Person) -> Result<(), Error> {
    may_see(c, meeting, person)
}

pub(super) fn may_seat(meeting: &Kept, person: &Person) -> Result<(), Error> {
    if meeting.teacher == person.id || person.is_admin() {
        Ok(())
    } else {
        Err(Error::NotYourLesson(meeting.lesson))
    }
}

/// The class, if its attendance is `person`'s to see.
pub(super) fn class_to_see(
    c: &Connection,
    class: ClassId,
    person: &Person,
) -> Result<Class, Error> {
    let class = roster::store::class(c, class)?.ok_or(Error::NoSuchClass(class))?;
    if class.teacher_id == Some(person.id) || person.is_admin() {
        Ok(class)
    } else {
        Err(Error::NotYourClass(class.id))
    }
}
