//! `rtpst2022-1-fecenc` and `rtpst2022-1-fecdec` of GStreamer (SMPTE ST 2022-1): packets in rows
//! and columns, and the exclusive or of each.

use std::time::Duration;

use alfarid_stream::{rtp::Header, transmit::HEADERS};
use anyhow::Result;
use bytes::Bytes;
use gstreamer::prelude::*;

use super::{
    super::judge::ratio,
    element::Element,
    plain::{Arrival, MEDIA, Plain, Stream, caps},
};

const PARITY: u8 = 97;

/// How packets lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Whether rows have parity too, not only columns.
    pub(super) has_rows: bool,
}

/// What went out, when, and by which pad of the encoder.
pub(super) struct Sent {
    pub(super) packets: Vec<(Duration, String, Bytes)>,
    /// Bytes of parity over those of the stream.
    pub(super) overhead: f64,
}

pub(super) fn send(stream: &Stream, matrix: Matrix) -> Result<Sent> {
    let Matrix { columns, rows, has_rows } = matrix;
    let encoder = Element::new("rtpst2022-1-fecenc", |encoder| {
        encoder.set_property("columns", columns);
        encoder.set_property("rows", rows);
        encoder.set_property("enable-row-fec", has_rows);
        encoder.set_property("pt", i32::from(PARITY));
    })?;
    let feed = encoder.feed("sink", &caps(MEDIA, 0))?;
    let mut packets = Vec::new();
    for plain in &stream.packets {
        feed.push(plain.at, &nameless(plain)?)?;
        let out = encoder.take().into_iter();
        packets.extend(out.map(|(pad, datagram)| (plain.at, pad, datagram)));
    }
    let bytes: usize = packets.iter().map(|(_, _, datagram)| datagram.len() + HEADERS).sum();
    Ok(Sent { packets, overhead: ratio(bytes, stream.bytes()) - 1.0 })
}

/// The standard has no SSRC: the elements take none but 0.
fn nameless(plain: &Plain) -> Result<Vec<u8>> {
    let mut datagram = plain.datagram.to_vec();
    Header { ssrc: 0, ..plain.packet.header }.rewrite(&mut datagram)?;
    Ok(datagram)
}

/// What a machine has of it in the end.
pub(super) fn receive(
    stream: &Stream,
    sent: &Sent,
    arrivals: &[Option<Duration>],
) -> Result<Vec<Arrival>> {
    let decoder = Element::new("rtpst2022-1-fecdec", |_| {})?;
    let media = decoder.feed("sink", &caps(MEDIA, 0))?;
    let columns = decoder.feed("fec_0", &caps(PARITY, 0))?;
    let rows = decoder.feed("fec_1", &caps(PARITY, 0))?;
    let mut has = Vec::new();
    for ((_, pad, datagram), arrival) in sent.packets.iter().zip(arrivals) {
        let Some(arrival) = *arrival else { continue };
        let feed = match pad.as_str() {
            "fec_0" => &columns,
            "fec_1" => &rows,
            _ => &media,
        };
        feed.push(arrival, datagram)?;
        let out = decoder.take().into_iter();
        has.extend(out.filter_map(|(_, datagram)| Some((arrival, stream.place(&datagram)?))));
    }
    Ok(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fails without it: a decoder that is driven wrong repairs nothing, and looks bad.
    #[test]
    fn one_lost_packet_of_a_column_is_brought_back() {
        let stream = Stream::of_noise(200);
        let matrix = Matrix { columns: 10, rows: 5, has_rows: false };
        let sent = send(&stream, matrix).unwrap();
        assert!((0.15..0.25).contains(&sent.overhead), "{}", sent.overhead);
        let is_lost = |datagram: &Bytes| stream.place(datagram) == Some(57);
        let arrive =
            |(at, _, datagram): &(Duration, String, Bytes)| (!is_lost(datagram)).then_some(*at);
        let arrivals: Vec<_> = sent.packets.iter().map(arrive).collect();
        assert_eq!(arrivals.iter().filter(|at| at.is_none()).count(), 1);

        let has = receive(&stream, &sent, &arrivals).unwrap();

        assert!(has.iter().any(|(_, place)| *place == 57), "{} packets", has.len());
    }
}
