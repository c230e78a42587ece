//! Classes, students, rooms, and who sits where.
//!
//! A class is a list of students; a seating says, per class and room, at which machine each of
//! them sits (one or two a machine), since a machine sees six classes a day.

pub mod store;

use alfarid_protocol::id::{ClassId, MachineId, RoomId, StudentId, TeacherId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

/// Who sits at one machine, in one class's seating.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seat {
    pub machine_id: MachineId,
    /// One or two.
    pub student_ids: Vec<StudentId>,
}
