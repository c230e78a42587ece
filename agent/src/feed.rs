//! What agent and player say to each other over the Unix socket.
//!
//! Both ends come from one package but not always from one build: while an update is being
//! installed, an old player may meet a new agent. A [`VERSION`] that differs ends the player as a
//! failure, and the session's systemd starts the new one.
//!
//! Agent to player, numbers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, [`VERSION`] |
//! | 1 | kind: 1 video, 2 audio, 3 stage, 4 idle, 5 replaced |
//! | 1 | codec: 0 none, 1 H.264, 2 VP8, 3 Opus |
//! | 1 | flags: bit 0 keyframe, bit 1 catch-up |
//! | 8 | RTP timestamp, unwrapped |
//! | 8 | when to show it: `CLOCK_MONOTONIC` in nanoseconds, 0 is at once |
//! | 4 | length of the payload, at most [`MAX_PAYLOAD`] |
//! | … | a whole frame; or JSON of [`Stage`], of [`Idle`]; or nothing |
//!
//! Player to agent: version, kind (1 ready, 2 shown), 8 bytes of value.
//!
//! ```text
//!   agent                                        player
//!     │◀────────────────────── Ready, Shown ───────│ where its counting begins
//!     │── Stage or Idle ──────────────────────────▶│ always the first
//!     │── Video (catch-up …, then the last) ──────▶│ what it missed since the keyframe
//!     │── Video, Audio, Stage, Idle ──────────────▶│
//!     │◀────────────────────────────── Shown ──────│ each second
//!     │── Replaced ───────────────────────────────▶│ a newer player took its place
//! ```

use std::io;

use alfarid_protocol::{
    control::RefusalCode,
    grant::{Codec, Stage},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub const VERSION: u8 = 1;

/// No encoder that browsers have makes a frame this large at 4K.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// Bytes before the payload.
pub const HEADER: usize = 24;

/// Bytes of a message from the player.
pub const REPLY: usize = 10;

/// The name of the socket in the runtime folder.
pub const SOCKET: &str = "player.sock";

#[derive(Debug, Error)]
pub enum FeedError {
    #[error("the other side speaks version {0} of the feed, this build speaks {VERSION}")]
    Version(u8),
    #[error("feed message of unknown kind {0}")]
    Kind(u8),
    #[error("feed frame of unknown codec {0}")]
    Codec(u8),
    #[error("feed payload of {0} bytes is longer than allowed")]
    TooLong(usize),
    #[error("feed payload is not the JSON expected")]
    Json(#[source] serde_json::Error),
    #[error("read from the feed")]
    Read(#[source] io::Error),
}

/// One whole frame on its way to the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub codec: Codec,
    pub keyframe: bool,
    /// To be decoded but not shown, and not even decoded when a keyframe follows soon: newer frames
    /// follow right behind.
    pub catch_up: bool,
    /// RTP time, unwrapped.
    pub timestamp: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds; 0: at once.
    pub show_at: u64,
    pub data: Bytes,
}

/// Why nothing is on show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// A box serves this machine, and there is no lesson for it.
    NoLesson,
    /// No box has been in reach yet, or not for a while; it is being looked for.
    #[default]
    NoBox,
    /// Nobody has made this machine known to a site.
    NotEnrolled,
    /// The box knows it, and an admin has still to let it in.
    NotLetIn,
    /// The box answers and will not serve it, until somebody does something.
    Refused(RefusalCode),
}

/// What the agent says to the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToPlayer {
    Video(Frame),
    Audio(Frame),
    Stage(Stage),
    Idle(Idle),
    /// A newer player has taken the place of this one, which should end.
    Replaced,
}

impl ToPlayer {
    /// The message as it goes over the socket: header and payload. A frame's payload is shared,
    /// not copied.
    pub fn encode(&self) -> Result<([u8; HEADER], Bytes), FeedError> {
        let json = |value| Bytes::from(serde_json::Value::to_string(&value));
        let (kind, frame, payload) = match self {
            Self::Video(frame) => (1, Some(frame), frame.data.clone()),
            Self::Audio(frame) => (2, Some(frame), frame.data.clone()),
            Self::Stage(stage) => {
                (3, None, json(serde_json::to_value(stage).map_err(FeedError::Json)?))
            }
            Self::Idle(idle) => {
                (4, None, json(serde_json::to_value(idle).map_err(FeedError::Json)?))
            }
            Self::Replaced => (5, None, Bytes::new()),
        };
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= MAX_PAYLOAD)
            .ok_or(FeedError::TooLong(payload.len()))?;
        let mut header = [0; HEADER];
        header[0] = VERSION;
        header[1] = kind;
        if let Some(frame) = frame {
            header[2] = codec_number(frame.codec);
            header[3] = u8::from(frame.keyframe) | u8::from(frame.catch_up) << 1;
            header[4..12].copy_from_slice(&frame.timestamp.to_be_bytes());
            header[12..20].copy_from_slice(&frame.show_at.to_be_bytes());
        }
        header[20..].copy_from_slice(&length.to_be_bytes());
        Ok((header, payload))
    }

    /// Reads one message, blocking. Never reserves more than [`MAX_PAYLOAD`], whatever comes.
    pub fn read(source: &mut impl io::Read) -> Result<Self, FeedError> {
        let mut header = [0; HEADER];
        source.read_exact(&mut header).map_err(FeedError::Read)?;
        let head = Head::parse(&header)?;
        let mut payload = vec![0; head.length];
        source.read_exact(&mut payload).map_err(FeedError::Read)?;
        head.message(payload.into())
    }
}

/// A header that makes sense.
struct Head {
    kind: u8,
    codec: u8,
    flags: u8,
    timestamp: u64,
    show_at: u64,
    length: usize,
}

impl Head {
    fn parse(header: &[u8; HEADER]) -> Result<Self, FeedError> {
        let [version, kind, codec, flags, rest @ ..] = *header;
        if version != VERSION {
            return Err(FeedError::Version(version));
        }
        let number = |at: usize, length: usize| {
            rest[at..at + length].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let length = usize::try_from(number(16, 4)).unwrap_or(usize::MAX);
        if length > MAX_PAYLOAD {
            return Err(FeedError::TooLong(length));
        }
        Ok(Self { kind, codec, flags, timestamp: number(0, 8), show_at: number(8, 8), length })
    }

    fn message(self, payload: Bytes) -> Result<ToPlayer, FeedError> {
        Ok(match self.kind {
            1 => ToPlayer::Video(self.frame(payload)?),
            2 => ToPlayer::Audio(self.frame(payload)?),
            3 => ToPlayer::Stage(serde_json::from_slice(&payload).map_err(FeedError::Json)?),
            4 => ToPlayer::Idle(serde_json::from_slice(&payload).map_err(FeedError::Json)?),
            5 => ToPlayer::Replaced,
            other => return Err(FeedError::Kind(other)),
        })
    }

    fn frame(self, data: Bytes) -> Result<Frame, FeedError> {
        Ok(Frame {
            codec: codec(self.codec)?,
            keyframe: self.flags & 1 != 0,
            catch_up: self.flags & 2 != 0,
            timestamp: self.timestamp,
            show_at: self.show_at,
            data,
        })
    }
}

const fn codec_number(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 1,
        Codec::Vp8 => 2,
        Codec::Opus => 3,
    }
}

const fn codec(number: u8) -> Result<Codec, FeedError> {
    match number {
        1 => Ok(Codec::H264),
        2 => Ok(Codec::Vp8),
        3 => Ok(Codec::Opus),
        other => Err(FeedError::Codec(other)),
    }
}

/// What the player says to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromPlayer {
    /// The first message: somebody can see the lesson now.
    Ready,
    /// Frames on show since this player started: at first right after `Ready`, then each second.
    Shown(u64),
}

impl FromPlayer {
    pub fn encode(self) -> [u8; REPLY] {
        let (kind, value) = match self {
            Self::Ready => (1, 0),
            Self::Shown(frames) => (2, frames),
        };
        let mut message = [0; REPLY];
        message[0] = VERSION;
        message[1] = kind;
        message[2..].copy_from_slice(&u64::to_be_bytes(value));
        message
    }

    pub fn decode(message: [u8; REPLY]) -> Result<Self, FeedError> {
        let [version, kind, value @ ..] = message;
        match (version, kind) {
            (VERSION, 1) => Ok(Self::Ready),
            (VERSION, 2) => Ok(Self::Shown(u64::from_be_bytes(value))),
            (VERSION, other) => Err(FeedError::Kind(other)),
            (other, _) => Err(FeedError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::{grant::Picture, id::LessonId, time::Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(message: &ToPlayer) -> Vec<u8> {
        let (header, payload) = message.encode().unwrap();
        [&header[..], &payload].concat()
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let codecs = prop_oneof![Just(Codec::H264), Just(Codec::Vp8), Just(Codec::Opus)];
        let data = proptest::collection::vec(any::<u8>(), 0..2000);
        (codecs, any::<(bool, bool)>(), any::<(u64, u64)>(), data).prop_map(
            |(codec, (keyframe, catch_up), (timestamp, show_at), data)| Frame {
                codec,
                keyframe,
                catch_up,
                timestamp,
                show_at,
                data: data.into(),
            },
        )
    }

    fn messages() -> impl Strategy<Value = ToPlayer> {
        let stage = any::<(String, bool, bool, Option<i64>)>().prop_map(
            |(title, recording, on_air, ends_by_itself_at)| Stage {
                lesson: LessonId(uuid::Uuid::from_u128(7)),
                title,
                picture: Picture::Frozen,
                recording,
                on_air,
                ends_by_itself_at: ends_by_itself_at.map(Timestamp),
            },
        );
        prop_oneof![
            frames().prop_map(ToPlayer::Video),
            frames().prop_map(ToPlayer::Audio),
            stage.prop_map(ToPlayer::Stage),
            prop_oneof![Just(Idle::NoLesson), Just(Idle::Refused(RefusalCode::AgentTooOld))]
                .prop_map(ToPlayer::Idle),
            Just(ToPlayer::Replaced),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(sent in proptest::collection::vec(messages(), 0..20)) {
            let stream: Vec<u8> = sent.iter().flat_map(bytes_of).collect();
            let mut source = stream.as_slice();
            for message in &sent {
                prop_assert_eq!(&ToPlayer::read(&mut source).unwrap(), message);
            }
            prop_assert!(source.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ToPlayer::read(&mut bytes.as_slice());
        }

        #[test]
        fn replies_are_read_back(frames: u64) {
            let message = FromPlayer::Shown(frames);
            prop_assert_eq!(FromPlayer::decode(message.encode()).unwrap(), message);
        }
    }

    #[test]
    fn the_layout_is_what_the_table_says() {
        let frame = Frame {
            codec: Codec::Vp8,
            keyframe: true,
            catch_up: true,
            timestamp: 0x0102,
            show_at: 0x0304,
            data: Bytes::from_static(b"abc"),
        };
        assert_eq!(
            bytes_of(&ToPlayer::Video(frame)),
            [1, 1, 2, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 3, 97, 98, 99]
        );
        assert_eq!(FromPlayer::Ready.encode(), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_memory_is_taken() {
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&[VERSION, 1]);
        header[20..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(ToPlayer::read(&mut &header[..]), Err(FeedError::TooLong(_))));
    }
}
