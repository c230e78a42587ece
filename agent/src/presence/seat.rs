//! Whose session is at the keyboard, as logind knows it.
//!
//! Read every [`POLL`] rather than by signals: desktops restart, sessions come and go, and a read
//! is always about now. Without logind (a container, a test) the user given on the command line
//! counts as being there, unlocked and busy, for as long as their player is attached.

use std::{collections::HashMap, time::Duration};

use thiserror::Error;
use tokio::sync::watch;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

const POLL: Duration = Duration::from_secs(2);

const SERVICE: &str = "org.freedesktop.login1";
const SEAT_PATH: &str = "/org/freedesktop/login1/seat/seat0";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

#[derive(Debug, Error)]
enum SeatError {
    #[error("ask logind about {0}")]
    Ask(&'static str, #[source] zbus::Error),
    #[error("logind's answer about {0} has an unknown form")]
    Form(&'static str),
}

/// The session in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Whose it is; `None` at a login screen.
    pub user: Option<u32>,
    /// Whether that is known, and not only who would be there if anybody is.
    pub is_known: bool,
    pub locked: bool,
    /// Since when nobody touched anything, in `CLOCK_MONOTONIC`; `None` while somebody does.
    pub idle_since: Option<Duration>,
}

/// A login screen.
const NOBODY: Seat = Seat { user: None, is_known: true, locked: false, idle_since: None };

/// Where the session in front is learnt from.
#[derive(Clone, Copy, Debug)]
pub struct SeatSource {
    /// Ask logind at all.
    pub logind: bool,
    /// Who counts as being there where logind cannot be asked.
    pub otherwise: u32,
}

impl SeatSource {
    /// What is known before anybody was asked.
    pub fn at_first(self) -> Seat {
        if self.logind { Seat::default() } else { self.without_logind() }
    }

    fn without_logind(self) -> Seat {
        Seat { user: Some(self.otherwise), is_known: false, ..Seat::default() }
    }

    /// Keeps `seat` up to date for ever.
    pub async fn follow(self, seat: watch::Sender<Seat>) {
        let mut logind = Logind::default();
        // A late poll is as good as one in time; the missed ones are not made up for.
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            poll.tick().await;
            let now = if self.logind { logind.seat().await } else { None };
            let now = now.unwrap_or_else(|| self.without_logind());
            seat.send_if_modified(|seat| std::mem::replace(seat, now) != now);
        }
    }
}

/// The connection to the system bus, made when first needed and again when lost.
#[derive(Debug, Default)]
struct Logind {
    bus: Option<Connection>,
    /// The absence was logged: once is enough.
    missed: bool,
}

impl Logind {
    async fn seat(&mut self) -> Option<Seat> {
        match self.ask().await {
            Ok(seat) => {
                self.missed = false;
                Some(seat)
            }
            Err(error) => {
                self.bus = None;
                if !std::mem::replace(&mut self.missed, true) {
                    tracing::info!(
                        error = &error as &dyn std::error::Error,
                        "logind cannot be asked; an attached player counts as presence"
                    );
                }
                None
            }
        }
    }

    async fn ask(&mut self) -> Result<Seat, SeatError> {
        let bus = match &self.bus {
            Some(bus) => bus.clone(),
            None => self
                .bus
                .insert(Connection::system().await.map_err(|e| SeatError::Ask("the bus", e))?)
                .clone(),
        };
        let (_, session) = active_session(&bus).await?;
        // A seat without a session names the path "/".
        if session.as_str() == "/" {
            return Ok(NOBODY);
        }
        let properties = bus
            .call_method(
                Some(SERVICE),
                &session,
                Some(PROPERTIES),
                "GetAll",
                &"org.freedesktop.login1.Session",
            )
            .await
            .and_then(|reply| reply.body().deserialize::<HashMap<String, OwnedVariant>>())
            .map_err(|error| SeatError::Ask("the session", error))?;
        session_seat(properties).ok_or(SeatError::Form("the session"))
    }
}

async fn active_session(bus: &Connection) -> Result<(String, OwnedObjectPath), SeatError> {
    let reply = bus
        .call_method(
            Some(SERVICE),
            SEAT_PATH,
            Some(PROPERTIES),
            "Get",
            &("org.freedesktop.login1.Seat", "ActiveSession"),
        )
        .await
        .map_err(|error| SeatError::Ask("the seat", error))?;
    let value: OwnedVariant =
        reply.body().deserialize().map_err(|error| SeatError::Ask("the seat", error))?;
    value.try_into().map_err(|_| SeatError::Form("the seat"))
}

/// Reads logind's properties of a session. A greeter's session is nobody's.
fn session_seat(mut properties: HashMap<String, OwnedVariant>) -> Option<Seat> {
    let class: String = properties.remove("Class")?.try_into().ok()?;
    if class != "user" {
        return Some(NOBODY);
    }
    let (user, _): (u32, OwnedObjectPath) = properties.remove("User")?.try_into().ok()?;
    let locked: bool = properties.remove("LockedHint")?.try_into().ok()?;
    let idle: bool = properties.remove("IdleHint")?.try_into().ok()?;
    let since: u64 = properties.remove("IdleSinceHintMonotonic")?.try_into().ok()?;
    let idle_since = idle.then_some(Duration::from_micros(since));
    Some(Seat { user: Some(user), is_known: true, locked, idle_since })
}

#[cfg(test)]
mod tests {
    use zbus::{ObjectPath, Variant};

    use super::*;

    fn properties(class: &str, locked: bool, idle: bool) -> HashMap<String, OwnedVariant> {
        let user = (1000_u32, ObjectPath::try_from("/org/freedesktop/login1/user/_1000").unwrap());
        [
            ("Class", Variant::from(class)),
            ("User", Variant::from(user)),
            ("LockedHint", Variant::from(locked)),
            ("IdleHint", Variant::from(idle)),
            ("IdleSinceHintMonotonic", Variant::from(5_000_000_u64)),
        ]
        .map(|(name, value)| (name.to_owned(), value.try_into().unwrap()))
        .into()
    }

    #[test]
    fn a_session_is_read_as_logind_writes_it() {
        let busy = Seat { user: Some(1000), is_known: true, locked: false, idle_since: None };
        assert_eq!(session_seat(properties("user", false, false)), Some(busy));
        let away = Seat { locked: true, idle_since: Some(Duration::from_secs(5)), ..busy };
        assert_eq!(session_seat(properties("user", true, true)), Some(away));
    }

    #[test]
    fn a_login_screen_is_nobodys_and_nonsense_is_refused() {
        assert_eq!(session_seat(properties("greeter", false, false)), Some(NOBODY));
        assert_eq!(session_seat(HashMap::new()), None);
    }
}
