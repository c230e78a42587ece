//! Accounts: who may log in, as what, and with which password.

use alfarid_protocol::{id::TeacherId, time::Timestamp};
use rusqlite::Transaction;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Error, Handle, Language, NewPassword, NewTeacher, Person, Role, Secret, audit, secret_token,
    sha256, slowdown::Attempt, store,
};
use crate::field::{self, Change, Invalid};

/// An account as admins see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Teacher {
    pub id: TeacherId,
    pub email: String,
    pub full_name: String,
    pub department: Option<String>,
    pub role: Role,
    pub is_active: bool,
    pub has_stream_key: bool,
    pub created_at: Timestamp,
}

/// What an admin changes; `None` and [`Change::Keep`] stay as they are.
#[derive(Debug, Default)]
pub struct TeacherChange {
    pub full_name: Option<String>,
    pub department: Change<String>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
    pub password: Option<Secret>,
}

/// What people change of themselves.
#[derive(Debug, Default)]
pub struct OwnChange {
    pub full_name: Option<String>,
    pub language: Option<Language>,
    pub password: Option<PasswordChange>,
}

#[derive(Debug)]
pub struct PasswordChange {
    pub old: Secret,
    pub new: Secret,
}

impl Handle {
    /// All accounts by name, those that are not active too.
    pub async fn teachers(&self) -> Result<Vec<Teacher>, Error> {
        Ok(self.db.read(store::teachers).await?)
    }

    pub async fn create_teacher(&self, by: TeacherId, new: NewTeacher) -> Result<Teacher, Error> {
        let hash = self.passwords.hash(new.password).await?;
        let clock = self.clock.clone();
        let teacher = Teacher {
            id: clock.id(),
            email: new.email,
            full_name: new.full_name,
            department: new.department,
            role: new.role,
            is_active: true,
            has_stream_key: false,
            created_at: clock.now(),
        };
        self.db
            .write(move |tx| {
                if store::is_email_taken(tx, &teacher.email)? {
                    return Err(Error::EmailTaken);
                }
                store::insert_teacher(tx, &teacher, &hash, new.language)?;
                audit::write(tx, &clock, &audit::Entry::new(by, "teacher_created", &teacher.id))?;
                Ok(teacher)
            })
            .await
    }

    /// A new password, or not being active any more, ends that person's sessions.
    pub async fn change_teacher(
        &self,
        by: TeacherId,
        id: TeacherId,
        change: TeacherChange,
    ) -> Result<Teacher, Error> {
        let full_name = change.full_name.as_deref().map(parse_name).transpose()?;
        let department = change
            .department
            .parse(|text| field::optional_line("department", Some(&text), NewTeacher::MAX_NAME))?;
        let hash = self.new_hash("password", change.password).await?;
        let clock = self.clock.clone();
        let (teacher, ended) = self
            .db
            .write(move |tx| {
                let old = store::teacher(tx, id)?.ok_or(Error::NoSuchTeacher(id))?;
                let teacher = Teacher {
                    full_name: full_name.unwrap_or(old.full_name),
                    department: department.over(old.department),
                    role: change.role.unwrap_or(old.role),
                    is_active: change.is_active.unwrap_or(old.is_active),
                    ..old
                };
                store::update_teacher(tx, &teacher, clock.now())?;
                if !store::has_admin(tx)? {
                    return Err(Error::LastAdmin);
                }
                audit::write(tx, &clock, &audit::Entry::new(by, "teacher_changed", &id))?;
                let is_cut_off = hash.is_some() || !teacher.is_active;
                if let Some(hash) = hash {
                    store::set_password(tx, id, &hash, clock.now())?;
                    audit::write(tx, &clock, &audit::Entry::new(by, "password_reset", &id))?;
                }
                let ended =
                    if is_cut_off { store::end_sessions(tx, id, None)? } else { Vec::new() };
                Ok::<_, Error>((teacher, ended))
            })
            .await?;
        self.sessions.over(&ended);
        Ok(teacher)
    }

    /// A new password ends the person's other sessions; `session` is the one that goes on.
    pub async fn change_own(
        &self,
        person: &Person,
        session: &str,
        change: OwnChange,
    ) -> Result<Person, Error> {
        let full_name = change.full_name.as_deref().map(parse_name).transpose()?;
        let session = sha256(session);
        let hash = match change.password {
            Some(password) => {
                self.check_own_password(person, session, password.old).await?;
                self.new_hash("password.new", Some(password.new)).await?
            }
            None => None,
        };
        let changed = Person {
            full_name: full_name.unwrap_or_else(|| person.full_name.clone()),
            language: change.language.unwrap_or(person.language),
            ..person.clone()
        };
        let clock = self.clock.clone();
        let (changed, ended) = self
            .db
            .write(move |tx| {
                store::update_person(tx, &changed, clock.now())?;
                let Some(hash) = hash else { return Ok((changed, Vec::new())) };
                let id = changed.id;
                store::set_password(tx, id, &hash, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(id, "password_changed", &id))?;
                let ended = store::end_sessions(tx, id, Some(&session))?;
                Ok::<_, Error>((changed, ended))
            })
            .await?;
        self.sessions.over(&ended);
        Ok(changed)
    }

    /// Makes a stream key in the place of an older one. It is given out here and nowhere else.
    pub async fn create_stream_key(&self, person: &Person) -> Result<Secret, Error> {
        let key = secret_token()?;
        self.put_stream_key(person.id, Some(sha256(&key)), "stream_key_created").await?;
        Ok(key)
    }

    /// Does nothing if there is none.
    pub async fn delete_stream_key(&self, person: &Person) -> Result<(), Error> {
        self.put_stream_key(person.id, None, "stream_key_deleted").await
    }

    async fn put_stream_key(
        &self,
        id: TeacherId,
        hash: Option<[u8; 32]>,
        action: &'static str,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        let write = move |tx: &Transaction<'_>| {
            store::set_stream_key(tx, id, hash.as_ref(), clock.now())?;
            Ok(audit::write(tx, &clock, &audit::Entry::new(id, action, &id))?)
        };
        self.db.write(write).await
    }

    /// A page left open must not be enough to guess a password at leisure.
    async fn check_own_password(
        &self,
        person: &Person,
        session: [u8; 32],
        old: Secret,
    ) -> Result<(), Error> {
        let attempt = Attempt {
            account: person.email.clone(),
            from: std::net::Ipv4Addr::UNSPECIFIED.into(),
            known_device: Some(session),
        };
        self.admit(&attempt)?;
        let email = person.email.clone();
        let known = self.db.read(move |c| store::credentials(c, &email)).await?;
        if !self.passwords.verify(old, known.map(|(_, hash)| hash)).await? {
            return Err(Error::WrongPassword);
        }
        self.forgive(&attempt);
        Ok(())
    }

    async fn new_hash(
        &self,
        field: &'static str,
        password: Option<Secret>,
    ) -> Result<Option<String>, Error> {
        let Some(password) = password else { return Ok(None) };
        let new = NewPassword::parse(field, password)?;
        self.passwords.hash(new).await.map(Some)
    }
}

fn parse_name(name: &str) -> Result<String, Invalid> {
    field::line("full_name", name, NewTeacher::MAX_NAME)
}
