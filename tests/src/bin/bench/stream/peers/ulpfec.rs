//! `rtpulpfecenc` and `rtpulpfecdec` of GStreamer (RFC 5109), with what stands around the decoder
//! in `rtpbin`: a storage of all that arrived, and a buffer that puts packets in order and gives up
//! those that are not there when they are due.

use std::time::Duration;

use alfarid_stream::{rtp::Header, transmit::HEADERS};
use anyhow::Result;
use bytes::Bytes;
use gstreamer::prelude::*;

use super::{
    element::Element,
    plain::{Arrival, MEDIA, Stream, caps},
};

const PARITY: u8 = 122;

/// What is not there a moment before its picture is due is given up.
const MOMENT: Duration = Duration::from_millis(1);

/// Far more than a picture waits, in nanoseconds.
const STORED: u64 = 1_000_000_000;

/// What went out, and when.
pub(super) struct Sent {
    pub(super) packets: Vec<(Duration, Bytes)>,
    /// Bytes of parity over those of the stream.
    pub(super) overhead: f64,
}

/// Protects the stream with so many percent of parity.
pub(super) fn send(stream: &Stream, percent: u32) -> Result<Sent> {
    let encoder = Element::new("rtpulpfecenc", |encoder| {
        encoder.set_property("pt", u32::from(PARITY));
        encoder.set_property("percentage", percent);
        encoder.set_property("percentage-important", percent);
    })?;
    let feed = encoder.feed("sink", &caps(MEDIA, stream.ssrc))?;
    let mut packets = Vec::new();
    for plain in &stream.packets {
        feed.push(plain.at, &plain.datagram)?;
        packets.extend(encoder.take().into_iter().map(|(_, datagram)| (plain.at, datagram)));
    }
    let bytes: usize = packets.iter().map(|(_, datagram)| datagram.len() + HEADERS).sum();
    let overhead = super::super::judge::ratio(bytes, stream.bytes()) - 1.0;
    Ok(Sent { packets, overhead })
}

/// What a machine has of it in the end.
pub(super) fn receive(
    stream: &Stream,
    sent: &Sent,
    arrivals: &[Option<Duration>],
) -> Result<Vec<Arrival>> {
    let storage = Element::new("rtpstorage", |storage| {
        storage.set_property("size-time", STORED);
    })?;
    let internal: gstreamer::glib::Object = storage.inner().property("internal-storage");
    let decoder = Element::new("rtpulpfecdec", |decoder| {
        decoder.set_property("pt", u32::from(PARITY));
        decoder.set_property("storage", &internal);
    })?;
    let store = storage.feed("sink", &caps(MEDIA, stream.ssrc))?;
    let ordered = decoder.feed("sink", &caps(MEDIA, stream.ssrc))?;
    let mut stored = sent.packets.iter().zip(arrivals).peekable();
    let mut now = Duration::ZERO;
    let mut has = Vec::new();
    for ((at, datagram), arrival) in sent.packets.iter().zip(arrivals) {
        let header = Header::parse(datagram)?;
        let due = stream.due(header.timestamp).unwrap_or(*at).saturating_sub(MOMENT);
        now = now.max(arrival.unwrap_or(due));
        while let Some((_, arrival)) = stored.peek() {
            if arrival.is_some_and(|arrival| arrival > now) {
                break;
            }
            if let Some(((_, datagram), Some(arrival))) = stored.next() {
                store.push(*arrival, datagram)?;
                storage.take();
            }
        }
        if arrival.is_some() {
            ordered.push(now, datagram)?;
        } else {
            ordered.lost(now, header.sequence);
        }
        let out = decoder.take().into_iter();
        has.extend(out.filter_map(|(_, datagram)| Some((now, stream.place(&datagram)?))));
    }
    Ok(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fails without it: a decoder that is driven wrong repairs nothing, and looks bad.
    #[test]
    fn one_lost_packet_is_brought_back() {
        let stream = Stream::of_noise(200);
        let sent = send(&stream, 25).unwrap();
        assert!((0.2..0.4).contains(&sent.overhead), "{}", sent.overhead);
        let is_lost = |datagram: &Bytes| stream.place(datagram) == Some(57);
        let arrive = |(at, datagram): &(Duration, Bytes)| (!is_lost(datagram)).then_some(*at);
        let arrivals: Vec<_> = sent.packets.iter().map(arrive).collect();
        assert_eq!(arrivals.iter().filter(|at| at.is_none()).count(), 1);

        let has = receive(&stream, &sent, &arrivals).unwrap();

        assert!(has.iter().any(|(_, place)| *place == 57), "{} packets", has.len());
    }
}
