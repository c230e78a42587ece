//! Classes, students, rooms, and who sits where.
//!
//! A class is a list of students; a seating says, per class and room, at which machine each of
//! them sits (one or two a machine), since a machine sees six classes a day.
//!
//! Whoever is logged in may read all of it: any teacher may hold a lesson with any class. A class,
//! its students and its seatings are changed by its own teacher or an admin, rooms by an admin.
//!
//! Invariants: there is always a room; a student sits once per class and room, at a machine of
//! that room; students are deactivated and never deleted, for attendance names them; who is not
//! active is signed in nowhere.

mod class;
mod codes;
pub mod import;
mod room;
mod routes;
mod seating;
pub mod sheet;
pub mod store;
mod student;

use std::collections::BTreeMap;

use alfarid_protocol::id::{ClassId, MachineId, RoomId, StudentId, TeacherId};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;
use utoipa::ToSchema;

pub use self::{
    class::{ClassChange, NewClass},
    codes::StudentCode,
    import::{FileError, ImportPreview, Imported},
    routes::routes,
    student::{NewStudent, StudentChange},
};
use crate::{
    clock::Clock,
    db::{Db, DbError},
    events::{Event, Events},
    field::Invalid,
    floor::Floor,
    identity::{self, Person},
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("only an admin of this site may do this")]
    AdminsOnly,
    #[error("there is a class of that name already")]
    ClassExists,
    #[error("the class has room for {max} students")]
    ClassFull { max: u32 },
    #[error("class {0} has had lessons: it can be renamed, but not deleted")]
    ClassHasLessons(ClassId),
    #[error("cannot read or write the roster")]
    Db(#[from] DbError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error("{count} lines cannot be imported, the first is line {first}; nothing was imported")]
    ImportHasBadLines { count: usize, first: u32 },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("a box keeps at least one room")]
    LastRoom,
    #[error("there is no class {0}")]
    NoSuchClass(ClassId),
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    #[error("there is no student {0}")]
    NoSuchStudent(StudentId),
    #[error("there is no teacher {0}")]
    NoSuchTeacher(TeacherId),
    #[error("only the class's own teacher or an admin may change it")]
    NotYourClass(ClassId),
    #[error("a student with this number is in the roster already")]
    NumberTaken,
    #[error("there is a room of that name already")]
    RoomExists,
    #[error("room {0} has machines or has had lessons: move the machines first")]
    RoomInUse(RoomId),
    #[error("machine {0} is not in this room")]
    SeatElsewhere(MachineId),
    #[error("machine {0} is named twice")]
    SeatTwice(MachineId),
    #[error("machine {0} must have one or two students")]
    SeatSize(MachineId),
    #[error("student {0} is not in this class")]
    SeatStranger(StudentId),
    #[error("student {0} has two seats")]
    SeatedTwice(StudentId),
    #[error("the box is stopping")]
    Stopping,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Class {
    pub id: ClassId,
    pub name: String,
    pub description: Option<String>,
    pub teacher_id: Option<TeacherId>,
    pub max_students: u32,
    pub student_count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Student {
    pub id: StudentId,
    /// The school's own number.
    pub student_id: String,
    pub full_name: String,
    pub email: Option<String>,
    pub class_id: Option<ClassId>,
    pub is_active: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomName {
    pub id: RoomId,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Room {
    pub id: RoomId,
    pub name: String,
    /// Machines that are let in, connected or not.
    pub machine_count: u32,
    pub connected_count: u32,
}

/// Who sits at one machine, in one class's seating.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seat {
    pub machine_id: MachineId,
    /// One or two.
    pub student_ids: Vec<StudentId>,
}

/// How many machines of each room are connected, as whoever holds the connections last said.
#[derive(Clone, Debug)]
pub struct Connected(watch::Receiver<BTreeMap<RoomId, u32>>);

impl Connected {
    /// The sender is for whoever holds the connections. Only the newest count is kept.
    pub fn channel() -> (watch::Sender<BTreeMap<RoomId, u32>>, Self) {
        let (sender, receiver) = watch::channel(BTreeMap::new());
        (sender, Self(receiver))
    }

    fn of(&self, room: RoomId) -> u32 {
        self.0.borrow().get(&room).copied().unwrap_or(0)
    }
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    db: Db,
    clock: Clock,
    events: Events,
    identity: identity::Handle,
    connected: Connected,
}

impl Handle {
    /// Makes the first room, should there be none.
    pub async fn open(
        floor: &Floor,
        identity: identity::Handle,
        connected: Connected,
    ) -> Result<Self, Error> {
        let roster = Self {
            db: floor.db.clone(),
            clock: floor.clock.clone(),
            events: floor.events.clone(),
            identity,
            connected,
        };
        roster.make_first_room().await?;
        Ok(roster)
    }

    fn changed(&self, class: ClassId) {
        self.events.tell(Event::RosterChanged { class_id: class });
    }
}

/// The class, if `person` may change it.
fn class_to_change(c: &Connection, person: &Person, id: ClassId) -> Result<Class, Error> {
    let class = store::class(c, id)?.ok_or(Error::NoSuchClass(id))?;
    let is_own = class.teacher_id == Some(person.id);
    if is_own || person.is_admin() { Ok(class) } else { Err(Error::NotYourClass(id)) }
}
