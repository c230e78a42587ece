//! The tunnels of one lesson: plain packets, to machines that no UDP reaches.
//!
//! ```text
//!            room again: what is kept, since the newest keyframe or where it stopped
//!   lags ─────────────────────────────────────────────────────────────────────▶ follows
//!    ▲                                                                             │
//!    └──── its queue is full: everything is dropped until that has been taken ─────┘
//! ```
//!
//! What waits for a machine waits here and not in the kernel, whose buffer is small on this port. A
//! machine that does not keep up jumps, and never causes a keyframe; nobody else notices it.
//!
//! Invariant: of the picture a tunnel gets indices that only grow, and after a jump a keyframe
//! first.

use alfarid_stream::{relay::Sent, transmit::ReceiverId};
use tokio::sync::mpsc::error::TrySendError;

use crate::machines::TunnelLane;

/// Everything that goes through TLS.
#[derive(Debug, Default)]
pub(super) struct Tunnels(Vec<Tunnel>);

#[derive(Debug)]
struct Tunnel {
    receiver: ReceiverId,
    lane: TunnelLane,
    /// The first index of the picture that it has not been given.
    next: u64,
    lags: bool,
}

impl Tunnels {
    /// A machine goes on at the index `from`, or begins with a keyframe: `kept` is what it needs for
    /// that. An older tunnel of it ends.
    pub(super) fn add(
        &mut self,
        receiver: ReceiverId,
        lane: TunnelLane,
        from: Option<u64>,
        kept: &[Sent],
    ) {
        self.end(receiver);
        let mut tunnel = Tunnel { receiver, lane, next: from.unwrap_or_default(), lags: true };
        tunnel.go_on(kept);
        self.0.push(tunnel);
    }

    /// The machine is gone, or has another grant.
    pub(super) fn end(&mut self, receiver: ReceiverId) {
        self.0.retain(|tunnel| tunnel.receiver != receiver);
    }

    /// Hands a packet to every tunnel. `kept`: what is kept of the picture, this packet and perhaps
    /// newer ones among it.
    pub(super) fn send(&mut self, sent: &Sent, is_video: bool, kept: &[Sent]) {
        self.0.retain_mut(|tunnel| tunnel.send(sent, is_video, kept));
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|tunnel| !tunnel.lane.is_closed()).count()
    }
}

impl Tunnel {
    /// `false`: nobody reads any more.
    fn send(&mut self, sent: &Sent, is_video: bool, kept: &[Sent]) -> bool {
        if self.lane.is_closed() {
            return false;
        }
        if self.lags && self.lane.capacity() == self.lane.max_capacity() {
            self.go_on(kept);
        }
        let is_given = is_video && sent.index < self.next;
        if !self.lags && !is_given && self.give(vec![sent.clone()]) && is_video {
            self.next = sent.index + 1;
        }
        true
    }

    /// Goes on with what is kept; with nothing kept, the next keyframe brings it back.
    fn go_on(&mut self, kept: &[Sent]) {
        let Some(last) = kept.last() else { return };
        let fresh: Vec<_> = kept.iter().filter(|sent| sent.index >= self.next).cloned().collect();
        self.lags = false;
        if self.give(fresh) {
            self.next = self.next.max(last.index + 1);
        }
    }

    /// `false`: there was no room, and the machine lags.
    fn give(&mut self, packets: Vec<Sent>) -> bool {
        let is_full = matches!(self.lane.try_send(packets), Err(TrySendError::Full(_)));
        self.lags |= is_full;
        !is_full
    }
}

#[cfg(test)]
mod tests {
    use alfarid_stream::rtp::{Header, Packet};
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::*;

    const MACHINE: ReceiverId = ReceiverId(1);

    fn sent(index: u64) -> Sent {
        let packet = Packet { header: Header::default(), payload: Bytes::from_static(b"x") };
        Sent { index, packet, keyframe: None }
    }

    fn indices(lane: &mut mpsc::Receiver<Vec<Sent>>) -> Vec<u64> {
        let parts = std::iter::from_fn(|| lane.try_recv().ok()).flatten();
        parts.map(|sent| sent.index).collect()
    }

    #[test]
    fn a_machine_goes_on_where_it_was_and_gets_nothing_twice() {
        let (mut tunnels, (lane, mut end)) = (Tunnels::default(), mpsc::channel(8));
        let mut kept: Vec<_> = (10..15).map(sent).collect();
        tunnels.add(MACHINE, lane, Some(13), &kept);
        tunnels.send(&kept[4], true, &kept);
        kept.push(sent(15));
        tunnels.send(&kept[5], true, &kept);
        tunnels.send(&sent(3), false, &kept);
        assert_eq!(indices(&mut end), [13, 14, 15, 3]);
        drop(end);
        tunnels.send(&sent(16), true, &kept);
        assert_eq!(tunnels.count(), 0);
    }

    #[test]
    fn a_machine_that_lags_jumps_to_what_is_kept_and_harms_no_other() {
        let mut tunnels = Tunnels::default();
        let ((slow, mut slow_end), (quick, mut quick_end)) = (mpsc::channel(2), mpsc::channel(64));
        let mut kept = vec![sent(0)];
        tunnels.add(ReceiverId(2), slow, None, &kept);
        tunnels.add(MACHINE, quick, None, &kept);
        for index in 1..20 {
            if index == 15 {
                kept.clear();
            }
            kept.push(sent(index));
            tunnels.send(&sent(index), true, &kept);
        }
        assert_eq!(indices(&mut quick_end), (0..20).collect::<Vec<_>>());
        assert_eq!(indices(&mut slow_end), [0, 1]);
        kept.push(sent(20));
        tunnels.send(&sent(20), true, &kept);
        assert_eq!(indices(&mut slow_end), (15..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_machine_that_lags_within_one_picture_group_misses_nothing_of_it() {
        let (mut tunnels, (lane, mut end)) = (Tunnels::default(), mpsc::channel(2));
        let mut kept = vec![sent(0)];
        tunnels.add(MACHINE, lane, None, &kept);
        let mut given = Vec::new();
        for index in 1..20 {
            kept.push(sent(index));
            tunnels.send(&sent(index), true, &kept);
            if index % 7 == 0 {
                given.extend(indices(&mut end));
            }
        }
        tunnels.send(&sent(20), false, &kept);
        given.extend(indices(&mut end).into_iter().filter(|index| *index < 20));
        tunnels.send(&sent(21), false, &kept);
        given.extend(indices(&mut end).into_iter().filter(|index| *index < 20));
        assert_eq!(given, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn without_anything_kept_it_waits_for_a_keyframe() {
        let (mut tunnels, (lane, mut end)) = (Tunnels::default(), mpsc::channel(8));
        tunnels.add(MACHINE, lane, None, &[]);
        tunnels.send(&sent(5), true, &[]);
        tunnels.send(&sent(6), true, &[sent(6)]);
        assert_eq!(indices(&mut end), [6]);
    }
}
