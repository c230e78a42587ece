//! The messages of the control connection: JSON text over one WebSocket that the machine opens.
//!
//! ```text
//!   machine                                    box
//!     │ TLS 1.3, its certificate (or none: then only Enrol is taken)
//!     │──────────── Hello / Enrol ───────────────▶│
//!     │◀─────────── Welcome / Enrolled / Refused ─│
//!     │◀─────────── Stage, Grant ─────────────────│ as lessons come and go
//!     │──────────── HasEpoch ────────────────────▶│ its keys are held
//!     │──────────── WantKept ────────────────────▶│ after the group is joined
//!     │◀─────────── kept pictures (binary) ───────│
//!     │◀─────────── Epoch ────────────────────────│ the next key: hourly, or when one lost trust
//!     │──────────── HasEpoch ────────────────────▶│
//!     │──────────── Rung ────────────────────────▶│ it receives in another way now
//!     │◀─────────── LeaveGroup ───────────────────│ it alone loses what all others pay for
//!     │──────────── Ping, Report, Marks ─────────▶│
//!     │◀─────────── Pong, MarksAcked ─────────────│
//! ```
//!
//! The path is [`PATH`] on the box's agent port. The first message of a machine is `Hello` or
//! `Enrol`; the version in it decides what follows. Unknown fields are ignored, so that a newer
//! peer may say more; an unknown message is ignored too and counted.

use serde::{Deserialize, Serialize};

use crate::{
    grant::{EpochKey, Grant, Stage},
    id::{BootId, BoxId, LessonId, MachineId},
    rung::{Rung, RungCause},
    span::{Mark, Moment},
    time::Timestamp,
};

/// Where the WebSocket lives on the agent port.
pub const PATH: &str = "/agent/v1";

/// The largest text message that either side takes.
pub const MAX_TEXT: usize = 128 * 1024;

/// How often a machine pings. A peer that is silent for three times as long is gone.
pub const PING_EVERY_MS: u64 = 5_000;

/// What a machine says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromMachine {
    /// First message of a machine that has a certificate.
    Hello {
        protocol: u16,
        agent_version: String,
        /// The host's own name: for people to read, never an identity.
        name: String,
        now: Moment,
    },
    /// First and only message of a machine that has none yet.
    Enrol {
        protocol: u16,
        agent_version: String,
        name: String,
        /// The token's secret, base64url without padding.
        secret: String,
        /// PKCS#10 in PEM, signed by the key that the machine made and keeps.
        csr_pem: String,
    },
    /// A clock exchange: answered by `Pong` at once.
    Ping {
        now: Moment,
        /// `CLOCK_MONOTONIC` of the machine in nanoseconds as this leaves: what is shown is timed
        /// by it, and no other clock takes part in that. `None` from a machine that shows all at
        /// once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_ns: Option<u64>,
    },
    /// Presence marks in order of their numbers; repeated until acknowledged.
    Marks { marks: Vec<Mark> },
    /// The group is joined; these are the first live indices seen, `None` where nothing came
    /// within [`FIRST_PACKET_WAIT_MS`]. The box answers with the kept pictures before them.
    WantKept { serial: u32, video_from: Option<u64>, audio_from: Option<u64> },
    /// This machine holds the lesson's epoch of this number, by a grant or by `Epoch`: as far as it
    /// is concerned, the box may seal with it.
    HasEpoch { lesson: LessonId, number: u32 },
    /// The machine receives in another way now, or begins to. Said at each change and with each
    /// grant.
    Rung {
        serial: u32,
        rung: Rung,
        /// `None`: it begins there.
        cause: Option<RungCause>,
    },
    /// How it goes; once a second while a lesson is received, and at a change.
    Report(Report),
}

/// How long a machine waits for a first live packet before it asks for the kept pictures anyway
/// (a still screen sends nothing for seconds).
pub const FIRST_PACKET_WAIT_MS: u64 = 150;

/// How a machine receives a lesson. Counters are since the grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub serial: u32,
    pub packets_received: u64,
    pub packets_lost: u64,
    pub frames_whole: u64,
    pub frames_dropped: u64,
    /// Frames on show by the player, as it says itself, whether or not somebody looks; 0 without a
    /// player.
    pub frames_shown: u64,
    /// Whether a player is attached to the agent: somebody can see the lesson.
    pub player: bool,
    /// A new keyframe would help: frames were lost and none has come since. Never in the tunnel.
    pub wants_keyframe: bool,
    /// How late over their due time whole frames came, as far as the lesson's playout delay has to
    /// bear it.
    /// `None` while nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<u16>,
    /// By which way it receives; `None`: an older machine, which knows multicast alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// Datagrams in the box's name that the box had not sent: somebody with the group's key forges.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's own signature")]
fn is_zero(of: &u64) -> bool {
    *of == 0
}

/// What the box says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromBox {
    Welcome {
        protocol: u16,
        box_id: BoxId,
        machine: MachineId,
        /// The room's name, for people to read.
        room: String,
        /// `false`: known, but an admin has still to let it in; no lesson comes before that.
        approved: bool,
        box_time: Timestamp,
        /// The newest mark this box has applied; the machine sends what comes after it.
        marks_through: u64,
    },
    Enrolled {
        machine: MachineId,
        box_id: BoxId,
        /// The machine's certificate, then the box CA's, PEM.
        chain_pem: String,
        /// The site root's certificate, PEM: what the machine pins from now on.
        root_pem: String,
    },
    /// The connection is closed after this.
    Refused {
        code: RefusalCode,
        detail: String,
    },
    Pong {
        machine: Moment,
        box_time: Timestamp,
        /// `None` where the machine did not ask for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticks: Option<Ticks>,
    },
    MarksAcked {
        through: u64,
    },
    /// What the screens show, while a lesson is there.
    Stage(Stage),
    /// How to receive it; replaces an earlier grant.
    Grant(Grant),
    /// The key that the lesson goes on to, ahead of its first packet. Answered by `HasEpoch`.
    Epoch {
        lesson: LessonId,
        epoch: EpochKey,
    },
    /// This machine alone loses so much that all others pay for it: it is to receive by unicast for
    /// a while. An older machine, which does not know this, is answered alone where it is.
    LeaveGroup {
        serial: u32,
    },
    /// The lesson is over for this machine: it shows its calm line again.
    Withdraw {
        lesson: LessonId,
    },
}

/// The fine half of a clock exchange. The box's clock is the one that its heartbeats go by: it
/// never steps while the box runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticks {
    /// As the `Ping` had it.
    pub sent_ns: u64,
    /// The box's clock when the `Ping` was there, and when this left.
    pub heard_ns: u64,
    pub answered_ns: u64,
    /// The box's clock begins anew with each boot of the box: what was known of another one's is
    /// worth nothing.
    pub boot: BootId,
}

/// Why the box will not serve a machine: stable words for programs and for the machine's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    AgentTooOld,
    BoxTooOld,
    BadMessage,
    TokenUnknown,
    TokenExpired,
    TokenUsedUp,
    BadRequest,
    MachineUnknown,
    MachineRevoked,
    /// The same machine connected a second time: the older connection is closed with this.
    Replaced,
    TryLater,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    /// Box and machine are updated one after the other.
    #[test]
    fn clocks_are_exchanged_with_a_peer_that_knows_of_no_ticks() {
        let now = json!({ "boot": "00000000-0000-0000-0000-000000000000", "monotonic_ms": 7 });
        let moment = Moment { boot: BootId(Uuid::nil()), monotonic_ms: 7 };
        let asked = json!({ "type": "ping", "now": now });
        let read: FromMachine = serde_json::from_value(asked.clone()).unwrap();
        assert_eq!(read, FromMachine::Ping { now: moment, sent_ns: None });
        assert_eq!(serde_json::to_value(&read).unwrap(), asked);
        let answer = json!({ "type": "pong", "machine": now, "box_time": 9 });
        let read: FromBox = serde_json::from_value(answer.clone()).unwrap();
        let box_time = Timestamp(9);
        assert_eq!(read, FromBox::Pong { machine: moment, box_time, ticks: None });
        assert_eq!(serde_json::to_value(&read).unwrap(), answer);
    }
}
