//! What a lesson has on air, as viewers are sent it. Pure.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alfarid_stream::{Codec, rtp::Packet};
use tokio::sync::mpsc;

use super::kept::Kept;
use crate::broadcast::{
    relay,
    tap::{Tapped, TappedPacket, TappedTrack, TrackId, TrackKind},
    track::Joiner,
};

/// One packet, shared by all viewers.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) kind: TrackKind,
    pub(super) codec: Codec,
    /// Of its track, without gaps.
    pub(super) index: u64,
    /// The first of a keyframe.
    pub(super) begins: bool,
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    /// When it left the relay.
    pub(super) at: Duration,
    /// How long after it is due machines show it.
    pub(super) playout: Option<Duration>,
    pub(super) payload: Arc<[u8]>,
}

/// How the relay of a lesson's screen is asked for a keyframe. Keeps nothing alive.
pub(in crate::broadcast) struct Source(pub(in crate::broadcast) mpsc::WeakSender<relay::Order>);

impl Source {
    /// Never waits; a request that gets lost is asked again by whoever still lacks a picture.
    pub(super) fn joins(&self, joiner: Joiner) {
        if let Some(orders) = self.0.upgrade() {
            let _ = orders.try_send(relay::Order::Joins(joiner));
        }
    }
}

/// A lesson's tracks, and the pictures since its newest keyframe.
#[derive(Debug, Default)]
pub(super) struct Programme {
    tracks: HashMap<TrackId, TappedTrack>,
    pub(super) kept: Kept,
}

impl Programme {
    /// Whoever joins begins with the next keyframe.
    pub(super) fn forget_kept(&mut self) {
        self.kept.clear();
    }

    /// Takes what the tap gives. Gives what viewers are to be sent of it.
    pub(super) fn take(&mut self, tapped: Tapped) -> Option<Piece> {
        match tapped {
            Tapped::Started(track) => {
                // One track of a kind at a time, even if word of the last one's end was lost.
                self.tracks.retain(|_, known| known.kind != track.kind);
                self.tracks.insert(track.id, track);
                None
            }
            Tapped::Ended(id) => {
                let ended = self.tracks.remove(&id);
                if ended.is_some_and(|track| track.kind == TrackKind::ScreenVideo) {
                    self.kept.clear();
                }
                None
            }
            Tapped::Packet(packet) => {
                let track = self.tracks.get(&packet.track)?;
                let piece = read(*track, &packet)?;
                if piece.kind == TrackKind::ScreenVideo {
                    self.kept.push(&piece);
                }
                Some(piece)
            }
        }
    }
}

fn read(track: TappedTrack, tapped: &TappedPacket) -> Option<Piece> {
    let packet = Packet::parse(&tapped.packet).ok()?;
    Some(Piece {
        kind: track.kind,
        codec: track.codec,
        index: tapped.index,
        begins: tapped.begins,
        marker: packet.header.marker,
        timestamp: packet.header.timestamp,
        at: tapped.at,
        playout: tapped.playout,
        payload: Arc::from(&packet.payload[..]),
    })
}

impl Joiner {
    pub(super) fn of(who: super::Watcher) -> Self {
        match who {
            super::Watcher::Student(student) => Self::Student(student),
            super::Watcher::Person(person) => Self::Person(person),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alfarid_protocol::id::PublicationId;
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    /// Of a picture in VP8.
    pub(in crate::broadcast::viewers) fn piece(index: u64, begins: bool) -> Piece {
        Piece {
            kind: TrackKind::ScreenVideo,
            codec: Codec::Vp8,
            index,
            begins,
            marker: false,
            timestamp: 0,
            at: Duration::ZERO,
            playout: None,
            payload: Arc::from([0; 4]),
        }
    }

    fn started(id: u32, kind: TrackKind, codec: Codec) -> Tapped {
        let publication = PublicationId(Uuid::nil());
        Tapped::Started(TappedTrack { id: TrackId(id), kind, codec, publication })
    }

    fn packet(id: u32, index: u64, begins: bool) -> Tapped {
        let header = alfarid_stream::rtp::Header::default().to_bytes();
        let packet = Bytes::from([&header[..], b"payload"].concat());
        Tapped::Packet(TappedPacket {
            track: TrackId(id),
            index,
            begins,
            at: Duration::ZERO,
            playout: None,
            packet,
        })
    }

    #[test]
    fn what_is_on_air_is_given_without_its_header_and_the_picture_is_kept() {
        let mut programme = Programme::default();
        assert!(programme.take(packet(1, 0, true)).is_none(), "nobody said what it is");
        programme.take(started(1, TrackKind::ScreenVideo, Codec::H264));
        programme.take(started(2, TrackKind::PersonAudio, Codec::Opus));
        let given = programme.take(packet(1, 5, true)).unwrap();
        assert_eq!((given.codec, &given.payload[..]), (Codec::H264, &b"payload"[..]));
        let voice = programme.take(packet(2, 9, true)).unwrap();
        assert_eq!((voice.kind, programme.kept.all().len()), (TrackKind::PersonAudio, 1));
        programme.take(Tapped::Ended(TrackId(1)));
        assert!(programme.kept.all().is_empty(), "who joins is not shown what was");
    }

    #[test]
    fn a_track_whose_end_was_lost_ends_with_the_next_of_its_kind() {
        let mut programme = Programme::default();
        programme.take(started(1, TrackKind::ScreenVideo, Codec::H264));
        programme.take(started(2, TrackKind::ScreenVideo, Codec::Vp8));
        assert!(programme.take(packet(1, 6, true)).is_none());
        assert_eq!(programme.take(packet(2, 1, true)).unwrap().codec, Codec::Vp8);
    }
}
