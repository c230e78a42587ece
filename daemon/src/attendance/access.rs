//! Whose attendance a person may see and change.
//!
//! A lesson's attendance is seen by who holds it, by the class's own teacher and by an admin; it
//! is changed by who holds it and by an admin.

use alfarid_protocol::id::ClassId;
use rusqlite::Connection;

use super::{Error, store::meeting::Kept};
use crate::{identity::Person, roster};

pub(super) fn may_see(c: &Connection, meeting: &Kept, person: &Person) -> Result<(), Error> {
    if may_change(meeting, person).is_ok() || is_own(c, meeting.class, person)? {
        return Ok(());
    }
    Err(Error::NotYourLesson(meeting.lesson))
}

pub(super) fn may_change(meeting: &Kept, person: &Person) -> Result<(), Error> {
    if meeting.teacher == person.id || person.is_admin() {
        Ok(())
    } else {
        Err(Error::NotYourLesson(meeting.lesson))
    }
}

pub(super) fn may_see_class(c: &Connection, class: ClassId, person: &Person) -> Result<(), Error> {
    if person.is_admin() || is_own(c, class, person)? {
        return Ok(());
    }
    Err(Error::NotYourClass(class))
}

fn is_own(c: &Connection, class: ClassId, person: &Person) -> Result<bool, Error> {
    let class = roster::store::class(c, class)?.ok_or(Error::NoSuchClass(class))?;
    Ok(class.teacher_id == Some(person.id))
}
