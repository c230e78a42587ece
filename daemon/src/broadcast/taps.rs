//! The taps of one slot, see [`tap`](super::tap).

use alfarid_protocol::id::PublicationId;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::tap::{Tapped, TappedPacket, TappedTrack, TrackId};

/// Everything that listens to a slot.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// The tracks that are on air.
    running: Vec<TappedTrack>,
    taps: Vec<Tap>,
}

#[derive(Debug)]
struct Tap {
    sender: mpsc::Sender<Tapped>,
    /// The tracks that it knows of, which it learns of at their next keyframe.
    knows: Vec<TrackId>,
}

impl Taps {
    pub(super) fn add(&mut self, sender: mpsc::Sender<Tapped>) {
        self.taps.push(Tap { sender, knows: Vec::new() });
    }

    pub(super) fn start(&mut self, track: TappedTrack) {
        self.running.push(track);
    }

    /// Says whose packets a track carries from now on, to those that learn of it later.
    pub(super) fn taken_over(&mut self, track: TrackId, publication: PublicationId) {
        for running in self.running.iter_mut().filter(|running| running.id == track) {
            running.publication = publication;
        }
    }

    pub(super) fn end(&mut self, track: TrackId) {
        self.running.retain(|running| running.id != track);
        for tap in &mut self.taps {
            if let Some(known) = tap.knows.iter().position(|known| *known == track) {
                tap.knows.swap_remove(known);
                // Lost where there is no room: the next track of its kind ends this one too.
                let _ = tap.sender.try_send(Tapped::Ended(track));
            }
        }
    }

    /// Hands a packet to every tap.
    pub(super) fn send(&mut self, packet: &TappedPacket) {
        let track = self.running.iter().find(|running| running.id == packet.track);
        self.taps.retain_mut(|tap| tap.send(track, packet));
    }
}

impl Tap {
    /// `false`: nobody reads any more.
    fn send(&mut self, track: Option<&TappedTrack>, packet: &TappedPacket) -> bool {
        if !self.knows.contains(&packet.track) {
            let Some(track) = track.filter(|_| packet.begins) else { return true };
            match self.sender.try_send(Tapped::Started(*track)) {
                Ok(()) => self.knows.push(packet.track),
                // It learns of the track at the next keyframe.
                Err(TrySendError::Full(_)) => return true,
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        let sent = self.sender.try_send(Tapped::Packet(packet.clone()));
        !matches!(sent, Err(TrySendError::Closed(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alfarid_stream::Codec;
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::broadcast::tap::TrackKind;

    const TRACK: TrackId = TrackId(7);

    fn packet(index: u64, begins: bool) -> TappedPacket {
        let (at, packet) = (Duration::ZERO, Bytes::new());
        TappedPacket { track: TRACK, index, begins, at, playout: None, packet }
    }

    fn running() -> Taps {
        let mut taps = Taps::default();
        let publication = PublicationId(Uuid::nil());
        taps.start(TappedTrack {
            id: TRACK,
            kind: TrackKind::ScreenVideo,
            codec: Codec::Vp8,
            publication,
        });
        taps
    }

    #[test]
    fn a_late_tap_begins_with_a_keyframe() {
        let mut taps = running();
        let (sender, mut tap) = mpsc::channel(8);
        taps.add(sender);
        taps.send(&packet(1, false));
        taps.send(&packet(2, true));
        taps.send(&packet(3, false));
        taps.end(TRACK);
        drop(taps);
        assert!(matches!(tap.try_recv(), Ok(Tapped::Started(track)) if track.id == TRACK));
        assert!(matches!(tap.try_recv(), Ok(Tapped::Packet(packet)) if packet.index == 2));
        assert!(matches!(tap.try_recv(), Ok(Tapped::Packet(packet)) if packet.index == 3));
        assert!(matches!(tap.try_recv(), Ok(Tapped::Ended(TRACK))));
        assert!(tap.try_recv().is_err());
    }

    #[test]
    fn a_slow_tap_loses_packets_and_harms_no_other() {
        let mut taps = running();
        let (slow, _unread) = mpsc::channel(2);
        let (quick, mut read) = mpsc::channel(64);
        taps.add(slow);
        taps.add(quick);
        for index in 0..10 {
            taps.send(&packet(index, index == 0));
        }
        let seen = std::iter::from_fn(|| read.try_recv().ok()).count();
        assert_eq!(seen, 11, "the start and ten packets");
    }
}
