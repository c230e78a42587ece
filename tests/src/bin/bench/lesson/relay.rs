//! How long a packet is in the box, by the kernel's timestamps on the box's own interface.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_stream::rtp;
use anyhow::{Result, ensure};
use bytes::Bytes;
use classroom::{
    air::VIDEO_PORT,
    host::Host,
    traffic::{Direction, Packet, Watch},
};

/// When each packet of a frame passed, by the frame's RTP time. SRTP leaves the header readable
/// (RFC 3711 §3.1), so both sides can be told apart into frames.
type Frames = BTreeMap<u32, Vec<Duration>>;

#[derive(Debug, Default)]
struct Seen {
    /// By SSRC: the picture is what has the most packets.
    incoming: BTreeMap<u32, Frames>,
    outgoing: Frames,
}

#[derive(Debug)]
pub(super) struct Delay {
    seen: Arc<Mutex<Seen>>,
    _watch: Watch,
}

impl Delay {
    pub(super) fn watch(the_box: &Host, publisher: Ipv4Addr) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let watch = the_box.watch_packets(move |packet| {
            note(&mut noting.lock().unwrap_or_else(PoisonError::into_inner), packet, publisher);
        })?;
        Ok(Self { seen, _watch: watch })
    }

    /// Milliseconds from in to out, packet by packet.
    ///
    /// The relay moves all RTP times of a source by one constant, and what it adds (parameter
    /// sets) goes before a frame: packets are paired from each frame's end.
    pub(super) fn milliseconds(&self) -> Result<Vec<f64>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let incoming = seen.incoming.values().max_by_key(|frames| packets(frames));
        let Some(incoming) = incoming else { return Ok(Vec::new()) };
        let shift = shift(incoming, &seen.outgoing);
        let mut delays = Vec::new();
        for (time, into) in incoming {
            let Some(out) = seen.outgoing.get(&time.wrapping_add(shift)) else { continue };
            let pairs = into.iter().rev().zip(out.iter().rev());
            delays.extend(pairs.map(|(from, to)| to.saturating_sub(*from).as_secs_f64() * 1e3));
        }
        ensure!(delays.len() > 500, "only {} packets were paired", delays.len());
        Ok(delays)
    }
}

fn packets(frames: &Frames) -> usize {
    frames.values().map(Vec::len).sum()
}

/// The constant by which most frames left soonest after they came.
fn shift(incoming: &Frames, outgoing: &Frames) -> u32 {
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    for (time, out) in outgoing {
        let Some(left) = out.last() else { continue };
        let newest = incoming
            .iter()
            .filter_map(|(came_time, into)| Some((into.last()?, came_time)))
            .filter(|(came, _)| *came <= left)
            .max();
        if let Some((_, came_time)) = newest {
            *votes.entry(time.wrapping_sub(*came_time)).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes).map_or(0, |(shift, _)| shift)
}

fn note(seen: &mut Seen, packet: &Packet<'_>, publisher: Ipv4Addr) {
    let is_media = packet.payload.first().is_some_and(|first| first >> 6 == 2)
        // RTCP shares the port (RFC 5761 §4).
        && packet.payload.get(1).is_some_and(|second| !(192..=223).contains(second));
    if !is_media {
        return;
    }
    let Ok(rtp) = rtp::Packet::parse(&Bytes::copy_from_slice(packet.payload)) else { return };
    let (time, ssrc) = (rtp.header.timestamp, rtp.header.ssrc);
    match packet.direction {
        Direction::Received if packet.source.ip() == IpAddr::V4(publisher) => {
            seen.incoming.entry(ssrc).or_default().entry(time).or_default().push(packet.at);
        }
        Direction::Sent if packet.destination.port() == VIDEO_PORT => {
            seen.outgoing.entry(time).or_default().push(packet.at);
        }
        Direction::Received | Direction::Sent => {}
    }
}
