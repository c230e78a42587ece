//! Sign-in codes for the students of a class: made by its teacher, shown once, printed.

use alfarid_protocol::id::{ClassId, StudentId};

use super::{Error, Handle, Student, class_to_change, store};
use crate::{
    field::{FieldCode, Invalid},
    identity::{self, Ended, NewCode, Person},
};

/// A student, and the code that is theirs from now on.
#[derive(Debug)]
pub struct StudentCode {
    pub student: Student,
    pub code: NewCode,
}

impl Handle {
    /// Makes codes for the active students of a class: for all of them, or for `these`. Their older
    /// codes open nothing any more, and whoever was signed in by one is out.
    pub async fn make_codes(
        &self,
        person: &Person,
        class: ClassId,
        these: Option<Vec<StudentId>>,
    ) -> Result<Vec<StudentCode>, Error> {
        if these.as_ref().is_some_and(Vec::is_empty) {
            let detail = "names nobody";
            return Err(Invalid { field: "student_ids", code: FieldCode::Empty, detail }.into());
        }
        let asker = person.clone();
        let students = self
            .db
            .read(move |c| {
                class_to_change(c, &asker, class)?;
                chosen(store::students_of_class(c, class)?, these)
            })
            .await?;
        let codes = self.identity.new_codes(students.len()).await?;
        let made: Vec<_> = students
            .into_iter()
            .zip(codes)
            .map(|(student, code)| StudentCode { student, code })
            .collect();
        let (person, clock) = (person.clone(), self.clock.clone());
        let (made, ended) = self
            .db
            .write(move |tx| {
                class_to_change(tx, &person, class)?;
                let mut ended = Ended::default();
                for StudentCode { student, code } in &made {
                    // As it is now: to whoever has left meanwhile no code is given.
                    let now = store::student(tx, student.id)?;
                    if !now.is_some_and(|now| now.is_active && now.class_id == Some(class)) {
                        return Err(Error::NoSuchStudent(student.id));
                    }
                    ended.and(identity::give_code(tx, &clock, student.id, code, person.id)?);
                }
                Ok::<_, Error>((made, ended))
            })
            .await?;
        self.identity.ended(&ended);
        Ok(made)
    }
}

fn chosen(
    mut students: Vec<Student>,
    these: Option<Vec<StudentId>>,
) -> Result<Vec<Student>, Error> {
    let Some(these) = these else { return Ok(students) };
    let is_known = |id: &StudentId| students.iter().any(|student| student.id == *id);
    if let Some(stranger) = these.iter().find(|id| !is_known(id)) {
        return Err(Error::NoSuchStudent(*stranger));
    }
    students.retain(|student| these.contains(&student.id));
    Ok(students)
}
