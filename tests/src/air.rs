//! What a lesson put on the air, as it left the box's interface.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_stream::rtp;
use anyhow::{Context, Result, ensure};

use crate::{
    host::Host,
    traffic::{Direction, Packet, Watch},
    until::eventually,
};

/// The port of a lesson's video, as `config/alfarid.toml` has it.
pub const VIDEO_PORT: u16 = 5004;

/// That of the sound of what is shown.
pub const SOUND_PORT: u16 = VIDEO_PORT + 2;

/// A frame of the picture: everything that left with one RTP timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When its first packet left.
    pub first_at: Duration,
    pub last_at: Duration,
    pub packets: u64,
    pub ip_bytes: u64,
    /// Its last packet left (the marker, RFC 6184 §5.1, RFC 7741 §4.1). Browsers cut a frame short
    /// when a keyframe is ready.
    pub has_end: bool,
}

/// Watches a box's multicast video until it is dropped.
#[derive(Debug)]
pub struct OnAir {
    frames: Arc<Mutex<BTreeMap<u32, Frame>>>,
    watch: Watch,
}

impl OnAir {
    pub fn watch(the_box: &Host) -> Result<Self> {
        let frames = Arc::new(Mutex::new(BTreeMap::new()));
        let seen = Arc::clone(&frames);
        let watch = the_box.watch_packets(move |packet| {
            if let Some(header) = video(packet) {
                note(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), &header, packet);
            }
        })?;
        Ok(Self { frames, watch })
    }

    /// By RTP timestamp. The one that is leaving just now may not be whole.
    pub fn frames(&self) -> BTreeMap<u32, Frame> {
        self.watch.catch_up();
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// RTP timestamp of the picture that left last.
    pub fn newest(&self) -> Option<u32> {
        self.watch.catch_up();
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.iter().max_by_key(|(_, frame)| frame.last_at).map(|(timestamp, _)| *timestamp)
    }

    /// Returns when pictures have been on the air for `length`, from the first one to the last.
    pub async fn wait_for(&self, length: Duration, limit: Duration) -> Result<()> {
        eventually(&format!("{length:?} of pictures on the air"), limit, async || {
            let so_far = length_of(&self.frames()).context("nothing is on the air")?;
            ensure!(so_far >= length, "{so_far:?} so far");
            Ok(())
        })
        .await
    }
}

/// How fast pictures leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Frames a second.
    pub fps: f64,
    /// Of IP packets, in 10^6 bits a second.
    pub mbps: f64,
}

impl Rate {
    /// From the first frame's leaving to the last one's, whose own packets are beyond that.
    /// `None` of less than two.
    pub fn of(frames: &BTreeMap<u32, Frame>) -> Option<Self> {
        let seconds = length_of(frames).filter(|length| !length.is_zero())?.as_secs_f64();
        let last = frames.values().max_by_key(|frame| frame.first_at)?;
        let bytes: u64 = frames.values().map(|frame| frame.ip_bytes).sum();
        let per_second = |count: u64| Some(f64::from(u32::try_from(count).ok()?) / seconds);
        Some(Self {
            fps: per_second(u64::try_from(frames.len()).ok()? - 1)?,
            mbps: per_second(bytes - last.ip_bytes)? * 8e-6,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} fps, {:.3} Mbit/s", self.fps, self.mbps)
    }
}

/// From the first frame's leaving to the last one's.
pub fn length_of(frames: &BTreeMap<u32, Frame>) -> Option<Duration> {
    let first = frames.values().map(|frame| frame.first_at).min()?;
    let last = frames.values().map(|frame| frame.first_at).max()?;
    Some(last.saturating_sub(first))
}

fn video(packet: &Packet<'_>) -> Option<rtp::Header> {
    let is_group = matches!(packet.destination.ip(), IpAddr::V4(group) if group.octets()[0] == 239);
    let is_video = packet.destination.port() == VIDEO_PORT;
    if packet.direction != Direction::Sent || !is_group || !is_video {
        return None;
    }
    // The header is not sealed.
    rtp::Header::parse(packet.payload).ok()
}

fn note(frames: &mut BTreeMap<u32, Frame>, header: &rtp::Header, packet: &Packet<'_>) {
    let at = packet.at;
    let new = Frame { first_at: at, last_at: at, packets: 0, ip_bytes: 0, has_end: false };
    let frame = frames.entry(header.timestamp).or_insert(new);
    frame.last_at = at;
    frame.packets += 1;
    frame.ip_bytes += packet.ip_bytes;
    frame.has_end |= header.marker;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first_ms: u64, ip_bytes: u64) -> Frame {
        let first_at = Duration::from_millis(first_ms);
        let last_at = first_at + Duration::from_millis(5);
        Frame { first_at, last_at, packets: 1, ip_bytes, has_end: true }
    }

    #[test]
    fn a_rate_is_of_the_time_between_the_first_and_the_last_picture() {
        let times = [(0, 10_000), (3_000, 15_000), (6_000, 12_500), (9_000, 9_999)];
        let frames =
            times.map(|(rtp_time, bytes)| (rtp_time, frame(u64::from(rtp_time) / 90, bytes)));

        let rate = Rate::of(&frames.into_iter().collect()).unwrap();

        assert!((rate.fps - 30.0).abs() < 0.1 && (rate.mbps - 3.0).abs() < 0.01, "{rate}");
    }

    #[test]
    fn one_picture_has_no_rate() {
        assert_eq!(Rate::of(&BTreeMap::from([(0, frame(0, 10_000))])), None);
    }
}
