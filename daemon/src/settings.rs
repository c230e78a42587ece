//! What an admin sets on the page, known by name.
//!
//! Every setting is a field of [`Values`] and a line of [`KEYS`], which says what it is called,
//! what it means and which values it takes. Whoever needs one asks [`Handle::values`], which costs
//! nothing: they are read at the start and held in memory, and a change is in the database before
//! it is in force.
//!
//! A kept value that this build cannot take (a newer one wrote it, say) is passed over with a line
//! in the log; the default stands in for it until it is set anew.

mod keys;
mod routes;
mod store;

use std::sync::{Arc, PoisonError, RwLock};

use alfarid_protocol::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

use self::keys::{KEYS, Key};
pub use self::routes::routes;
use crate::{
    clock::Clock,
    db::{Db, DbError},
    field::Invalid,
    identity::{Person, audit},
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot read or write settings")]
    Db(#[from] DbError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("there is no setting {0:?}")]
    NoSuchSetting(String),
}

/// All settings at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    pub attendance: AttendanceThresholds,
    pub lesson_default_minutes: u32,
    pub recording_on_by_default: bool,
}

/// By what a record of attendance is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttendanceThresholds {
    pub late_after_minutes: u32,
    pub left_early_before_minutes: u32,
    /// Of the lesson, 0 to 1: less is absence.
    pub present_minimum_ratio: f64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            attendance: AttendanceThresholds {
                late_after_minutes: 5,
                left_early_before_minutes: 5,
                present_minimum_ratio: 0.5,
            },
            lesson_default_minutes: 45,
            recording_on_by_default: true,
        }
    }
}

/// One setting as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Setting {
    #[schema(example = "lesson.default_minutes")]
    pub key: &'static str,
    #[schema(value_type = Value, example = 45)]
    pub value: Value,
    #[schema(value_type = Value, example = 45)]
    pub default: Value,
    pub description: &'static str,
    /// `null`: never set.
    pub updated_at: Option<Timestamp>,
}

/// Cheap to clone; every clone has the same values.
#[derive(Clone, Debug)]
pub struct Handle {
    db: Db,
    clock: Clock,
    values: Arc<RwLock<Values>>,
}

impl Handle {
    pub async fn open(db: Db, clock: Clock) -> Result<Self, Error> {
        let mut values = Values::default();
        for kept in db.read(store::all).await? {
            let Some(key) = keys::find(&kept.key) else { continue };
            let taken = serde_json::from_str(&kept.value).map(|value| key.set(&mut values, &value));
            if !matches!(taken, Ok(Ok(()))) {
                let key = key.name;
                tracing::warn!(setting.key = key, "the kept value of {key} cannot be taken");
            }
        }
        Ok(Self { db, clock, values: Arc::new(RwLock::new(values)) })
    }

    /// What is in force now.
    pub fn values(&self) -> Values {
        *self.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn attendance_thresholds(&self) -> AttendanceThresholds {
        self.values().attendance
    }

    /// All settings, as they are in force.
    pub async fn list(&self) -> Result<Vec<Setting>, Error> {
        let kept = self.db.read(store::all).await?;
        let values = self.values();
        let updated_at = |name| kept.iter().find(|row| row.key == name).map(|row| row.updated_at);
        Ok(KEYS.iter().map(|key| setting(key, &values, updated_at(key.name))).collect())
    }

    /// In force when this resolves, and after every restart.
    pub async fn set(&self, admin: &Person, name: &str, value: Value) -> Result<Setting, Error> {
        let key = keys::find(name).ok_or_else(|| Error::NoSuchSetting(name.to_owned()))?;
        let mut changed = self.values();
        key.set(&mut changed, &value)?;
        let (by, clock, now) = (admin.id, self.clock.clone(), self.clock.now());
        let kept = key.get(&changed).to_string();
        self.db
            .write(move |tx| {
                store::put(tx, key.name, &kept, key.description, now)?;
                let entry = audit::Entry::new(by, "setting_changed", &key.name).detail(kept);
                audit::write(tx, &clock, &entry)
            })
            .await?;
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        // Onto what is there now: another setting may have changed meanwhile.
        key.set(&mut values, &value)?;
        Ok(setting(key, &values, Some(now)))
    }
}

fn setting(key: &Key, values: &Values, updated_at: Option<Timestamp>) -> Setting {
    Setting {
        key: key.name,
        value: key.get(values),
        default: key.get(&Values::default()),
        description: key.description,
        updated_at,
    }
}
