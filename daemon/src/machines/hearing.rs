//! What a machine says: read, and given to whom it concerns.
//!
//! ```text
//!   text ─▶ read ─┬─ Ping ───────────────▶ Pong, presence
//!                 ├─ Marks ─▶ lane of one ─▶ presence ─▶ MarksAcked    (file)
//!                 └─ WantKept, HasEpoch, Report, Rung ─▶ media
//! ```
//!
//! How much of it is listened to is the business of [`patience`](super::patience). Marks wait for
//! the disk and for the machine's turn on a lane of their own, so that meanwhile its pings are
//! answered; what does not fit there the machine sends again.

use std::time::Duration;

use alfarid_protocol::{
    control::{FromBox, FromMachine, PING_EVERY_MS, RefusalCode},
    span::{MARKS_PER_MESSAGE, Mark, MarkKind},
};
use axum::extract::ws::{Message, WebSocket};
use futures_util::{StreamExt, stream::SplitStream};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::{MediaMessage, PresenceMessage, connection::Deps, greeting::Guest};

/// Three pings missed.
const SILENCE: Duration = Duration::from_millis(3 * PING_EVERY_MS);

/// Messages of marks that wait while one is written down: the machine sends the next one when it
/// hears of that. Full: it is dropped, and the machine, which hears of no more than was written
/// down, sends it again.
const MARKS_WAITING: usize = 1;

/// The longest part of something said that is repeated, to the machine or in the log.
const REPEATED: usize = 200;

/// Messages that this build knows by name. Others are a newer peer's and are passed over.
const KNOWN: &[&str] =
    &["hello", "enrol", "ping", "marks", "want_kept", "has_epoch", "report", "rung"];

/// One text message.
#[derive(Debug)]
pub(super) enum Heard {
    Message(FromMachine),
    /// A newer peer says something that this build does not know.
    Unknown,
    /// What is wrong with it.
    Nonsense(String),
}

pub(super) fn read(text: &str) -> Heard {
    #[derive(Deserialize)]
    struct Tag {
        r#type: String,
    }
    match serde_json::from_str(text) {
        Ok(message) => Heard::Message(message),
        Err(error) => match serde_json::from_str::<Tag>(text) {
            Ok(tag) if !KNOWN.contains(&tag.r#type.as_str()) => Heard::Unknown,
            _ => Heard::Nonsense(shortened(&error.to_string())),
        },
    }
}

/// Something said by whoever says what they like, fit to be shown.
pub(super) fn shortened(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(REPEATED).collect()
}

/// The two ends of the lane of marks.
pub(super) fn marks_lane() -> (mpsc::Sender<Vec<Mark>>, mpsc::Receiver<Vec<Mark>>) {
    mpsc::channel(MARKS_WAITING)
}

/// The ears of one connection.
pub(super) struct Ears<'a> {
    pub(super) deps: &'a Deps,
    pub(super) guest: &'a Guest,
    pub(super) marks: mpsc::Sender<Vec<Mark>>,
}

impl Ears<'_> {
    /// Listens until the machine is silent, closes, or is not worth listening to. Returns what is
    /// to be said at the end.
    pub(super) async fn hear(self, stream: &mut SplitStream<WebSocket>) -> Option<FromBox> {
        loop {
            let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, stream.next()).await else {
                return None;
            };
            let now = self.deps.machines.floor.clock.monotonic();
            if !self.deps.machines.patience().speaks(self.guest.known.id, now) {
                return Some(bad("too many messages at once"));
            }
            let text = match message {
                Message::Text(text) => text,
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Binary(_) => return Some(bad("a machine sends text only")),
                Message::Close(_) => return None,
            };
            match read(&text) {
                Heard::Message(message) => {
                    if let Some(refused) = self.pass_on(message).await {
                        return Some(refused);
                    }
                }
                Heard::Unknown => {
                    tracing::debug!(machine.id = %self.guest.known.id, "a message of a newer agent");
                }
                Heard::Nonsense(what) => return Some(bad(&what)),
            }
        }
    }

    /// Gives a message to whom it concerns. Returns a refusal for one that makes no sense here.
    async fn pass_on(&self, message: FromMachine) -> Option<FromBox> {
        let Self { deps, guest, .. } = *self;
        let (machine, handle) = (guest.known.id, &deps.machines);
        match message {
            FromMachine::Ping { now } => {
                let (box_time, at) = (handle.floor.clock.now(), handle.floor.clock.monotonic());
                handle.say(machine, FromBox::Pong { machine: now, box_time });
                if guest.known.is_approved && handle.patience().exchanges_clocks(machine, at) {
                    let exchange = PresenceMessage::Clock { machine, moment: now, box_time };
                    let _ = deps.presence.send(exchange).await;
                }
            }
            // Until it is let in, a machine keeps what it has to tell, and is told nothing.
            _ if !guest.known.is_approved => {}
            FromMachine::Marks { marks } => {
                if marks.len() > MARKS_PER_MESSAGE {
                    return Some(bad("too many marks in one message"));
                }
                let _ = self.marks.try_send(marks);
            }
            FromMachine::WantKept { serial, video_from, audio_from } => {
                if handle.patience().wants_kept(machine, handle.floor.clock.monotonic()) {
                    let wanted = MediaMessage::WantKept { machine, serial, video_from, audio_from };
                    let _ = deps.media.send(wanted).await;
                }
            }
            FromMachine::HasEpoch { lesson, number } => {
                let has = MediaMessage::HasEpoch { machine, lesson, number };
                let _ = deps.media.send(has).await;
            }
            FromMachine::Report(report) => {
                let _ = deps.media.send(MediaMessage::Report { machine, report }).await;
            }
            FromMachine::Rung { serial, rung, cause } => {
                let rung = MediaMessage::Rung { machine, serial, rung, cause };
                let _ = deps.media.send(rung).await;
            }
            FromMachine::Hello { .. } | FromMachine::Enrol { .. } => {
                return Some(bad("a connection has one hello"));
            }
        }
        None
    }
}

/// Has marks written down, one message after the other and each when it is the machine's turn,
/// and says so to the machine. `number` is the connection's. Ends with the ears.
pub(super) async fn file(
    mut lane: mpsc::Receiver<Vec<Mark>>,
    deps: &Deps,
    guest: &Guest,
    number: u64,
) {
    let (machine, handle) = (guest.known.id, &deps.machines);
    let clock = &handle.floor.clock;
    while let Some(marks) = lane.recv().await {
        loop {
            let turn = handle.patience().tells_marks(machine, clock.monotonic());
            match turn {
                Ok(()) => break,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
        if let Some(newest) = marks.last() {
            let in_use = newest.kind != MarkKind::Closed;
            let is_news = handle.table().set_in_use(machine, number, in_use);
            if is_news {
                handle.tell(machine, guest.known.room);
            }
        }
        let begun = clock.monotonic();
        let (applied, through) = oneshot::channel();
        // An outlet without a taker: the box is stopping.
        let _ = deps.presence.send(PresenceMessage::Marks { machine, marks, applied }).await;
        let through = through.await;
        let now = clock.monotonic();
        handle.patience().marks_took(machine, now.saturating_sub(begun), now);
        // Not applied: the machine sends them again.
        if let Ok(through) = through {
            handle.say(machine, FromBox::MarksAcked { through });
        }
    }
}

fn bad(detail: &str) -> FromBox {
    FromBox::Refused { code: RefusalCode::BadMessage, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_message_is_passed_over_and_nonsense_is_not() {
        assert!(matches!(read(r#"{"type":"dance","fast":true}"#), Heard::Unknown));
        assert!(matches!(read(r#"{"type":"ping"}"#), Heard::Nonsense(_)));
        assert!(matches!(read("hello"), Heard::Nonsense(_)));
        let more = r#"{"type":"want_kept","serial":1,"video_from":null,"audio_from":7,"x":1}"#;
        assert!(matches!(
            read(more),
            Heard::Message(FromMachine::WantKept { serial: 1, video_from: None, .. })
        ));
    }

    #[test]
    fn of_nonsense_little_is_repeated() {
        let long = format!(r#"{{"type":"ping","now":"{}"}}"#, "a".repeat(100_000));
        let Heard::Nonsense(what) = read(&long) else { panic!("it makes sense") };
        assert!(what.len() <= REPEATED, "{what}");
        assert_eq!(shortened("a\u{7}\nb"), "ab");
    }
}
