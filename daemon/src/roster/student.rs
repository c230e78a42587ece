//! Students: in one class at a time, known to the school by a number.

use alfarid_protocol::id::{ClassId, StudentId};
use rusqlite::Transaction;

use super::{Error, Handle, Student, class_to_change, store};
use crate::{
    field::{self, Change, Invalid},
    identity::{self, Ended, Person, audit},
};

pub(super) const LONGEST_NUMBER: usize = 50;
pub(super) const LONGEST_NAME: usize = 200;

/// Parsed: every field can be kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStudent {
    pub number: String,
    pub full_name: String,
    pub email: Option<String>,
}

impl NewStudent {
    pub fn parse(number: &str, full_name: &str, email: Option<&str>) -> Result<Self, Invalid> {
        Ok(Self {
            number: field::line("student_id", number, LONGEST_NUMBER)?,
            full_name: field::line("full_name", full_name, LONGEST_NAME)?,
            email: parse_email(email)?,
        })
    }
}

/// `None` stays as it is, as does [`Change::Keep`].
#[derive(Clone, Debug, Default)]
pub struct StudentChange {
    pub number: Option<String>,
    pub full_name: Option<String>,
    pub email: Change<String>,
    /// Into another class, which the person must be allowed to change as well.
    pub class: Option<ClassId>,
    pub is_active: Option<bool>,
}

impl Handle {
    /// The students of a class by name, without those who left unless `all`.
    pub async fn students(&self, class: ClassId, all: bool) -> Result<Vec<Student>, Error> {
        self.db
            .read(move |c| {
                store::class(c, class)?.ok_or(Error::NoSuchClass(class))?;
                let mut students = store::all_students_of_class(c, class)?;
                students.retain(|student| all || student.is_active);
                Ok(students)
            })
            .await
    }

    pub async fn create_student(
        &self,
        person: &Person,
        class: ClassId,
        new: NewStudent,
    ) -> Result<Student, Error> {
        let (person, clock) = (person.clone(), self.clock.clone());
        let student = Student {
            id: clock.id(),
            student_id: new.number,
            full_name: new.full_name,
            email: new.email,
            class_id: Some(class),
            is_active: true,
        };
        let student = self
            .db
            .write(move |tx| {
                let into = class_to_change(tx, &person, class)?;
                if store::student_of_number(tx, &student.student_id)?.is_some() {
                    return Err(Error::NumberTaken);
                }
                if into.student_count >= into.max_students {
                    return Err(Error::ClassFull { max: into.max_students });
                }
                store::save_student(tx, &student, clock.now())?;
                audit_change(tx, &clock, &person, "student_created", student.id)?;
                Ok(student)
            })
            .await?;
        self.changed(class);
        Ok(student)
    }

    pub async fn change_student(
        &self,
        person: &Person,
        id: StudentId,
        change: StudentChange,
    ) -> Result<Student, Error> {
        let number = change.number.as_deref();
        let number = number.map(|n| field::line("student_id", n, LONGEST_NUMBER)).transpose()?;
        let name = change.full_name.as_deref();
        let name = name.map(|n| field::line("full_name", n, LONGEST_NAME)).transpose()?;
        let email = change.email.parse(|email| parse_email(Some(&email)))?;
        let (person, clock) = (person.clone(), self.clock.clone());
        let (old_class, student, ended) = self
            .db
            .write(move |tx| {
                let old = student_to_change(tx, &person, id)?;
                let student = Student {
                    id,
                    student_id: number.unwrap_or_else(|| old.student_id.clone()),
                    full_name: name.unwrap_or_else(|| old.full_name.clone()),
                    email: email.over(old.email.clone()),
                    class_id: change.class.or(old.class_id),
                    is_active: change.is_active.unwrap_or(old.is_active),
                };
                let same_number = store::student_of_number(tx, &student.student_id)?;
                if same_number.is_some_and(|other| other.id != id) {
                    return Err(Error::NumberTaken);
                }
                move_student(tx, &person, &old, &student)?;
                store::save_student(tx, &student, clock.now())?;
                audit_change(tx, &clock, &person, "student_changed", id)?;
                let has_left = old.is_active && !student.is_active;
                let ended = if has_left { identity::shut_out(tx, id)? } else { Ended::default() };
                Ok((old.class_id, student, ended))
            })
            .await?;
        self.identity.ended(&ended);
        let new_class = student.class_id.filter(|new| Some(*new) != old_class);
        for class in old_class.into_iter().chain(new_class) {
            self.changed(class);
        }
        Ok(student)
    }

    /// Who left is deactivated, has no seat, and is signed in nowhere; lessons they were in keep
    /// them.
    pub async fn deactivate_student(&self, person: &Person, id: StudentId) -> Result<(), Error> {
        let change = StudentChange { is_active: Some(false), ..StudentChange::default() };
        self.change_student(person, id, change).await.map(drop)
    }
}

/// What a student's move or leaving means for the classes and seats.
fn move_student(
    tx: &Transaction<'_>,
    person: &Person,
    old: &Student,
    new: &Student,
) -> Result<(), Error> {
    let leaves = old.class_id != new.class_id || (old.is_active && !new.is_active);
    if leaves {
        store::leave_seats(tx, old.id)?;
    }
    let joins = new.is_active && (old.class_id != new.class_id || !old.is_active);
    if let Some(class) = new.class_id.filter(|_| joins) {
        let into = class_to_change(tx, person, class)?;
        if into.student_count >= into.max_students {
            return Err(Error::ClassFull { max: into.max_students });
        }
    }
    Ok(())
}

fn student_to_change(
    tx: &Transaction<'_>,
    person: &Person,
    id: StudentId,
) -> Result<Student, Error> {
    let student = store::student(tx, id)?.ok_or(Error::NoSuchStudent(id))?;
    match student.class_id {
        Some(class) => class_to_change(tx, person, class).map(drop)?,
        None if !person.is_admin() => return Err(Error::AdminsOnly),
        None => {}
    }
    Ok(student)
}

fn audit_change(
    tx: &Transaction<'_>,
    clock: &crate::clock::Clock,
    person: &Person,
    action: &'static str,
    id: StudentId,
) -> Result<(), Error> {
    Ok(audit::write(tx, clock, &audit::Entry::new(person.id, action, &id))?)
}

fn parse_email(email: Option<&str>) -> Result<Option<String>, Invalid> {
    let email = email.map(str::trim).filter(|email| !email.is_empty());
    email.map(|email| field::email("email", email)).transpose()
}
