//! Classes: groups of students.

use alfarid_protocol::id::{ClassId, TeacherId};

use super::{Class, Error, Handle, class_to_change, store};
use crate::{
    field::{self, Change, FieldCode, Invalid},
    identity::{self, Ended, Person, audit},
};

const LONGEST_NAME: usize = 100;
const LONGEST_DESCRIPTION: usize = 500;

/// What the large quality profile is made for.
const USUAL_MAX_STUDENTS: u32 = 50;
const MOST_STUDENTS: u32 = 500;

#[derive(Clone, Debug)]
pub struct NewClass {
    pub name: String,
    pub description: Option<String>,
    /// Only an admin may make a class for somebody else; a teacher's new class is their own.
    pub teacher: Option<TeacherId>,
    pub max_students: Option<u32>,
}

/// `None` stays as it is, as does [`Change::Keep`].
#[derive(Clone, Debug, Default)]
pub struct ClassChange {
    pub name: Option<String>,
    pub description: Change<String>,
    /// An admin's to change.
    pub teacher: Change<TeacherId>,
    pub max_students: Option<u32>,
}

impl Handle {
    /// All classes, by name.
    pub async fn classes(&self) -> Result<Vec<Class>, Error> {
        Ok(self.db.read(store::classes).await?)
    }

    pub async fn class(&self, id: ClassId) -> Result<Class, Error> {
        self.db.read(move |c| store::class(c, id)).await?.ok_or(Error::NoSuchClass(id))
    }

    pub async fn create_class(&self, person: &Person, new: NewClass) -> Result<Class, Error> {
        if new.teacher.is_some_and(|teacher| teacher != person.id) && !person.is_admin() {
            return Err(Error::AdminsOnly);
        }
        let own = (!person.is_admin()).then_some(person.id);
        let (by, clock) = (person.id, self.clock.clone());
        let class = Class {
            id: clock.id(),
            name: field::line("name", &new.name, LONGEST_NAME)?,
            description: description(new.description.as_deref())?,
            teacher_id: new.teacher.or(own),
            max_students: max_students(new.max_students.unwrap_or(USUAL_MAX_STUDENTS))?,
            student_count: 0,
        };
        let class = self
            .db
            .write(move |tx| {
                if store::class_named(tx, &class.name)?.is_some() {
                    return Err(Error::ClassExists);
                }
                check_teacher(tx, class.teacher_id)?;
                store::save_class(tx, &class, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(by, "class_created", &class.id))?;
                Ok(class)
            })
            .await?;
        self.changed(class.id);
        Ok(class)
    }

    pub async fn change_class(
        &self,
        person: &Person,
        id: ClassId,
        change: ClassChange,
    ) -> Result<Class, Error> {
        let name = change.name.map(|name| field::line("name", &name, LONGEST_NAME)).transpose()?;
        let description = change.description.parse(|text| description(Some(&text)))?;
        let max_students = change.max_students.map(max_students).transpose()?;
        let (person, clock) = (person.clone(), self.clock.clone());
        let class = self
            .db
            .write(move |tx| {
                let old = class_to_change(tx, &person, id)?;
                let class = Class {
                    name: name.unwrap_or(old.name),
                    description: description.over(old.description),
                    teacher_id: change.teacher.over(old.teacher_id),
                    max_students: max_students.unwrap_or(old.max_students),
                    ..old
                };
                if class.teacher_id != old.teacher_id && !person.is_admin() {
                    return Err(Error::AdminsOnly);
                }
                if store::class_named(tx, &class.name)?.is_some_and(|other| other != id) {
                    return Err(Error::ClassExists);
                }
                check_teacher(tx, class.teacher_id)?;
                store::save_class(tx, &class, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(person.id, "class_changed", &id))?;
                Ok(class)
            })
            .await?;
        self.changed(id);
        Ok(class)
    }

    /// Its students stay in the roster, deactivated and in no class: importing them elsewhere
    /// takes them up again. A class that has had lessons stays.
    pub async fn delete_class(&self, person: &Person, id: ClassId) -> Result<(), Error> {
        let (person, clock) = (person.clone(), self.clock.clone());
        let ended = self
            .db
            .write(move |tx| {
                class_to_change(tx, &person, id)?;
                if store::has_class_lessons(tx, id)? {
                    return Err(Error::ClassHasLessons(id));
                }
                let mut ended = Ended::default();
                for student in store::students_of_class(tx, id)? {
                    ended.and(identity::shut_out(tx, student.id)?);
                }
                store::delete_class(tx, id, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(person.id, "class_deleted", &id))?;
                Ok::<_, Error>(ended)
            })
            .await?;
        self.identity.ended(&ended);
        self.changed(id);
        Ok(())
    }
}

fn check_teacher(tx: &rusqlite::Transaction<'_>, id: Option<TeacherId>) -> Result<(), Error> {
    match id {
        Some(id) if !store::is_active_teacher(tx, id)? => Err(Error::NoSuchTeacher(id)),
        _ => Ok(()),
    }
}

fn description(text: Option<&str>) -> Result<Option<String>, Invalid> {
    field::optional_line("description", text, LONGEST_DESCRIPTION)
}

fn max_students(most: u32) -> Result<u32, Invalid> {
    if (1..=MOST_STUDENTS).contains(&most) {
        return Ok(most);
    }
    let detail = "must be 1 to 500";
    Err(Invalid { field: "max_students", code: FieldCode::OutOfRange, detail })
}
