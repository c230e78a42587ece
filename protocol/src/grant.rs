//! How a machine is told to receive a lesson.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{id::LessonId, time::Timestamp};

/// Everything a machine needs to receive one lesson by multicast.
///
/// Ports follow from `port`: video RTP there, its RTCP on +1, sound on +2 and +3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Grows with each grant of this box; answers to a grant name it.
    pub serial: u32,
    pub lesson: LessonId,
    pub group: Ipv4Addr,
    pub port: u16,
    /// Only packets from this address count: the box's own on the machine's network.
    pub source: Ipv4Addr,
    /// `None` while nothing of the kind is on air.
    pub video: Option<Track>,
    pub audio: Option<Track>,
}

/// One unbroken RTP stream. A change of codec is a new track with a new SSRC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    pub codec: Codec,
    pub ssrc: u32,
    pub payload_type: u8,
    /// RTP clock in Hz (RFC 3551 §4): 90000 for video, 48000 for Opus.
    pub clock_rate: u32,
    /// The full 48-bit index (roll-over count and sequence number, RFC 3711 §3.3.1) of the next
    /// packet that the box sends, so that a 16-bit number on the wire has one meaning.
    pub next_index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// RFC 6184, packetization-mode 1.
    H264,
    /// RFC 7741.
    Vp8,
    /// RFC 7587, stereo at 48 kHz.
    Opus,
}

/// What every screen of a lesson shows, beside the stream itself. State, not a command: saying it
/// twice changes nothing, and a machine that joins late is told the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    pub lesson: LessonId,
    /// The lesson's title, for the calm line before a picture is there.
    pub title: String,
    pub picture: Picture,
    /// A visible mark stands on every screen while this is true.
    pub recording: bool,
    /// Whether anybody publishes a screen at this moment.
    pub on_air: bool,
    /// No teacher is there, and the lesson is past its planned end: when it ends by itself, unless
    /// one comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by_itself_at: Option<Timestamp>,
}

/// What the teacher lets the machines show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    #[default]
    Live,
    /// Nothing but a calm line: eyes to the front.
    Blank,
    /// The last picture stays, whatever the teacher does meanwhile.
    Frozen,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Box and machine are updated one after the other.
    #[test]
    fn a_stage_without_an_end_is_as_it_was_before_there_was_one() {
        let said = json!({
            "lesson": "00000000-0000-0000-0000-000000000000",
            "title": "Algebra",
            "picture": "live",
            "recording": true,
            "on_air": false,
        });
        let stage: Stage = serde_json::from_value(said.clone()).unwrap();
        assert_eq!(stage.ends_by_itself_at, None);
        assert_eq!(serde_json::to_value(&stage).unwrap(), said);
    }
}
