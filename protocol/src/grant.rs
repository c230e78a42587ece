//! How a machine is told to receive a lesson.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{
    id::LessonId,
    secret::{Secret, base64url},
    time::Timestamp,
};

/// Everything a machine needs to receive one lesson: by multicast, and by unicast from the same
/// address to wherever its keep-alives come from.
///
/// Ports follow from `port`: video there, its RTCP on +1, sound on +2 and +3, and what repairs all
/// of them on +4. All packets are sealed for the group (SRTP, RFC 7714); see [`Protection`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Grows with each grant of this box; answers to a grant name it, and so does the machine's
    /// feedback.
    pub serial: u32,
    pub lesson: LessonId,
    pub group: Ipv4Addr,
    pub port: u16,
    /// Only packets from this address count: the box's own on the machine's network.
    pub source: Ipv4Addr,
    /// `None` while nothing of the kind is on air.
    pub video: Option<Track>,
    pub audio: Option<Track>,
    pub protection: Protection,
    /// Whether a machine on Wi-Fi may receive by multicast: an admin has said that this one carries
    /// it well. It has no meaning for a machine on a wire.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wifi_multicast: bool,
}

/// What a machine needs to open what it receives, to tell the box's own packets from those of
/// another machine that has the same keys, and to ask for what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Seals what this machine tells the box about the broadcast. Made for this grant alone: its
    /// nonces are counted from the start.
    pub feedback_key: Secret<16>,
    /// The box's Ed25519 key for this lesson, the public half (RFC 8032 §5.1.5). A box that
    /// started over has another.
    #[serde(with = "base64url")]
    pub signer: [u8; 32],
    /// The present epoch, then the next one if it is granted already.
    pub epochs: Vec<EpochKey>,
    /// Where feedback goes: this UDP port of `source`. What is sent to this machine alone comes
    /// from there, to the address that its feedback came from.
    pub repair_port: u16,
    /// How long a packet may take to be repaired and shown in time, from its arrival.
    pub playout_ms: u16,
}

/// One key of the group. Every machine of the lesson has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochKey {
    /// Counts the epochs of one lesson. Its low 16 bits are in every packet (the MKI of RFC 3711
    /// §3.1).
    pub number: u32,
    /// Master key and salt of AES-128-GCM (RFC 7714 §12).
    pub key: Secret<16>,
    pub salt: Secret<12>,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's own signature")]
fn is_false(of: &bool) -> bool {
    !of
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

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

    #[test]
    fn a_grant_is_written_as_the_other_side_reads_it_and_its_keys_are_not_printed() {
        let grant = Grant {
            serial: 7,
            lesson: LessonId(Uuid::nil()),
            group: Ipv4Addr::new(239, 255, 1, 2),
            port: 5004,
            source: Ipv4Addr::new(10, 0, 0, 1),
            video: None,
            audio: None,
            protection: Protection {
                feedback_key: Secret::new([1; 16]),
                signer: [2; 32],
                epochs: vec![EpochKey {
                    number: 3,
                    key: Secret::new([4; 16]),
                    salt: Secret::new([5; 12]),
                }],
                repair_port: 40_000,
                playout_ms: 250,
            },
            wifi_multicast: false,
        };
        let written = serde_json::to_value(&grant).unwrap();
        assert_eq!(
            written["protection"],
            json!({
                "feedback_key": "AQEBAQEBAQEBAQEBAQEBAQ",
                "signer": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI",
                "epochs": [
                    { "number": 3, "key": "BAQEBAQEBAQEBAQEBAQEBA", "salt": "BQUFBQUFBQUFBQUF" }
                ],
                "repair_port": 40_000,
                "playout_ms": 250,
            })
        );
        assert_eq!(written.get("wifi_multicast"), None, "as before there was such a thing");
        assert_eq!(serde_json::from_value::<Grant>(written).unwrap(), grant);
        let printed = format!("{grant:?}");
        assert!(!printed.contains("4, 4") && !printed.contains("1, 1"), "{printed}");
    }
}
