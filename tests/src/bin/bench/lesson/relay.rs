//! How long a packet is in a box that relays and records, by the kernel's timestamps on the box's
//! own interface.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_stream::rtp;
use anyhow::{Result, ensure};
use classroom::{
    air::{OnAir, VIDEO_PORT},
    host::Host,
    school::Options,
    traffic::{Direction, Packet, Watch},
};

use super::{
    school, small_lesson,
    source::{self, Rates},
};
use crate::report::{Report, Worst, percentile};

const SETTLED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(90);

pub(super) async fn measure(report: &mut Report, rates: &mut Rates) -> Result<()> {
    let (p99, about) = p99_ms(rates).await?;
    report.figure("relay_p99_ms", p99, Worst::AtMost(2.0), about);
    Ok(())
}

/// The 99th percentile in milliseconds, and what it is of. No machine decodes here: a box has no
/// player on its own cores. Pacing, which is meant to hold a large picture's packets, is off.
pub(crate) async fn p99_ms(rates: &mut Rates) -> Result<(f64, String)> {
    let unpaced = ("ALFARID_MEDIA__PACING".to_owned(), "false".to_owned());
    let options =
        Options { without_players: true, daemon_env: vec![unpaced], ..Options::default() };
    let school = school(1, &options).await?;
    let the_box = school.classroom.the_box();
    let lesson = small_lesson(&school).await?;
    let _publisher = source::giving_way(&school, &lesson, (1280, 720)).await?;
    OnAir::watch(the_box)?.wait_for(SETTLED, LIMIT).await?;
    let delay = Delay::watch(the_box, school.classroom.teacher()?.address())?;
    let on_air = OnAir::watch(the_box)?;
    on_air.wait_for(WINDOW, LIMIT).await?;
    let mut delays = delay.milliseconds()?;
    rates.judge("720p, relayed and recorded", &on_air)?;
    school.end_lesson(&lesson).await?;
    school.classroom.close()?;
    let (p50, p99) = (percentile(&mut delays, 0.5), percentile(&mut delays, 0.99));
    let about = format!(
        "packet in to packet out of {} packets, median {p50:.2}; the publisher and who watches \
         share the cores, its encoder gives way, no player does",
        delays.len()
    );
    Ok((p99, about))
}

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
pub(crate) struct Delay {
    seen: Arc<Mutex<Seen>>,
    _watch: Watch,
}

impl Delay {
    pub(crate) fn watch(the_box: &Host, publisher: Ipv4Addr) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let watch = the_box.watch_packets(move |packet| {
            note(&mut noting.lock().unwrap_or_else(PoisonError::into_inner), packet, publisher);
        })?;
        Ok(Self { seen, _watch: watch })
    }

    /// When the last packet of each picture came, by the RTP time that it left with.
    pub(crate) fn came(&self) -> BTreeMap<u32, Duration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let incoming = seen.incoming.values().max_by_key(|frames| packets(frames));
        let Some(incoming) = incoming else { return BTreeMap::new() };
        let shift = shift(incoming, &seen.outgoing);
        let last = incoming.iter().filter_map(|(time, into)| Some((time, into.last()?)));
        last.map(|(time, at)| (time.wrapping_add(shift), *at)).collect()
    }

    /// Milliseconds from in to out, packet by packet.
    ///
    /// The relay moves all RTP times of a source by one constant, and what it adds (parameter
    /// sets) goes before a frame: packets are paired from each frame's end.
    fn milliseconds(&self) -> Result<Vec<f64>> {
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
    let Ok(rtp::Header { timestamp: time, ssrc, .. }) = rtp::Header::parse(packet.payload) else {
        return;
    };
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
