//! What is broken right now, in the words of whoever noticed.
//!
//! A capability raises a fault under a stable code and clears it when it is over; the health page
//! and the first request of every page show what stands. Raising the same code again changes its
//! detail, not its start.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use alfarid_protocol::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Clock,
    events::{Event, Events},
};

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    pub code: FaultCode,
    pub severity: Severity,
    /// What is wrong and what to do, in English.
    pub detail: String,
    pub since_at: Timestamp,
}

/// Stable; the pages have words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    BrowserTimeRefused,
    CertificateNotRenewed,
    ClockUnsure,
    DatabaseRestored,
    /// Little room is left, or something was not written for want of it.
    DiskFull,
    /// Members of groups cannot be asked for.
    IgmpUnavailable,
    /// The disk does not take what happens in lessons.
    LessonsNotWritten,
    MdnsDown,
    /// A switch sends other rooms' streams to the box.
    MulticastFlooded,
    RecordingFailed,
    RedirectPort,
    StateDiskFull,
    TrustDamaged,
    WhipPort,
}

/// As it is written in JSON.
impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Works, but somebody should look.
    Warning,
    /// A part of the box does not work.
    Error,
}

/// Cheap to clone; every clone is the same board.
#[derive(Clone, Debug)]
pub struct Health {
    faults: Arc<Mutex<BTreeMap<FaultCode, Fault>>>,
    clock: Clock,
    events: Events,
}

impl Health {
    pub fn new(clock: Clock, events: Events) -> Self {
        Self { faults: Arc::default(), clock, events }
    }

    pub fn raise(&self, code: FaultCode, severity: Severity, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::warn!(fault.code = %code, "fault {code}: {detail}");
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let since_at = faults.get(&code).map_or_else(|| self.clock.now(), |fault| fault.since_at);
        faults.insert(code, Fault { code, severity, detail, since_at });
        drop(faults);
        self.events.tell(Event::FaultChanged);
    }

    /// Does nothing if no such fault stands.
    pub fn clear(&self, code: FaultCode) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let stood = faults.remove(&code).is_some();
        drop(faults);
        if stood {
            tracing::info!(fault.code = %code, "fault {code} is over");
            self.events.tell(Event::FaultChanged);
        }
    }

    pub fn faults(&self) -> Vec<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.values().cloned().collect()
    }
}
