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
