//! Sources that come, take over, start over and go.

use bytes::Bytes;
use uuid::Uuid;

use super::*;

const FIRST: PublicationId = PublicationId(Uuid::from_u128(1));
const SECOND: PublicationId = PublicationId(Uuid::from_u128(2));

/// A VP8 frame in one packet (RFC 7741 §4.2, RFC 6386 §9.1): 16 by 16 pixels.
const KEYFRAME: &[u8] = &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
const DELTA: &[u8] = &[0x10, 0x11, 0, 0];

/// An H.264 keyframe in one packet (RFC 6184 §5.7.1): SPS of 1280 by 720, PPS, the slice's head.
const IDR: &[u8] = &[
    0x78, 0, 27, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02,
    0x02, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x47, 0x8c, 0x19, 0x24, 0, 4, 0x68,
    0xcb, 0x8c, 0xb2, 0, 3, 0x65, 0x88, 0x80,
];

/// A publisher with its own numbers, and the track that it feeds.
struct Lab {
    track: Track,
    now: Duration,
}

struct Sender {
    publication: PublicationId,
    ssrc: u32,
    sequence: u16,
}

impl Sender {
    fn new(publication: PublicationId, ssrc: u32) -> Self {
        Self { publication, ssrc, sequence: 7 }
    }
}

impl Lab {
    fn new() -> Self {
        let mut last = 0;
        let random = Box::new(move || {
            last += 1;
            last
        });
        Self { track: Track::new(random), now: Duration::from_secs(1) }
    }

    fn frame(
        &mut self,
        sender: &mut Sender,
        codec: Codec,
        payload: &'static [u8],
    ) -> Vec<Happened> {
        self.now += Duration::from_millis(33);
        sender.sequence += 1;
        let header = alfarid_stream::rtp::Header {
            marker: true,
            payload_type: feed::payload_type(codec),
            sequence: sender.sequence,
            timestamp: u32::from(sender.sequence) * 3_000,
            ssrc: sender.ssrc,
        };
        let packet = Packet { header, payload: Bytes::from_static(payload) };
        let mut out = Vec::new();
        self.track.push(self.now, sender.publication, packet, &mut out);
        out
    }

    fn asked(&mut self) -> Vec<PublicationId> {
        let mut out = Vec::new();
        self.track.poll(self.now, &mut out);
        let asked = |happened| match happened {
            Happened::Ask(publication) => Some(publication),
            _ => None,
        };
        out.into_iter().filter_map(asked).collect()
    }
}

fn indices(happened: &[Happened]) -> Vec<u64> {
    let index = |happened: &Happened| match happened {
        Happened::Sent(sent) => Some(sent.index),
        _ => None,
    };
    happened.iter().filter_map(index).collect()
}

#[test]
fn packets_of_nobody_and_pictures_without_a_keyframe_go_nowhere() {
    let mut lab = Lab::new();
    let mut sender = Sender::new(FIRST, 1);
    assert!(lab.frame(&mut sender, Codec::Vp8, KEYFRAME).is_empty());
    lab.track.announce(FIRST);
    assert!(lab.frame(&mut sender, Codec::Vp8, DELTA).is_empty());
    assert_eq!(lab.asked(), [FIRST]);
    assert_eq!(lab.asked(), [], "not at once again");
}

#[test]
fn a_second_publication_takes_over_at_its_keyframe_in_the_same_stream() {
    let mut lab = Lab::new();
    let (mut first, mut second) = (Sender::new(FIRST, 1), Sender::new(SECOND, 2));
    lab.track.announce(FIRST);
    let begun = lab.frame(&mut first, Codec::Vp8, KEYFRAME);
    assert!(matches!(begun[..2], [Happened::Started { .. }, Happened::TookOver { .. }]));
    let start = indices(&begun)[0];
    lab.track.announce(SECOND);
    assert!(lab.frame(&mut second, Codec::Vp8, DELTA).is_empty());
    assert_eq!(indices(&lab.frame(&mut first, Codec::Vp8, DELTA)), [start + 1]);
    let taken = lab.frame(&mut second, Codec::Vp8, KEYFRAME);
    assert!(matches!(taken[0], Happened::TookOver { publication: SECOND, .. }));
    assert_eq!(indices(&taken), [start + 2]);
    assert!(lab.frame(&mut first, Codec::Vp8, KEYFRAME).is_empty());
    assert_eq!(lab.track.on_air(), Some(SECOND));
}

#[test]
fn a_sender_that_starts_over_is_followed_from_its_keyframe_on() {
    let mut lab = Lab::new();
    lab.track.announce(FIRST);
    let mut sender = Sender::new(FIRST, 1);
    let start = indices(&lab.frame(&mut sender, Codec::Vp8, KEYFRAME))[0];
    let mut again = Sender::new(FIRST, 99);
    assert!(lab.frame(&mut again, Codec::Vp8, DELTA).is_empty());
    assert_eq!(indices(&lab.frame(&mut again, Codec::Vp8, KEYFRAME)), [start + 1]);
}

#[test]
fn a_sender_that_starts_over_keeps_the_next_publication_waiting_no_longer() {
    for is_sender_first in [false, true] {
        let mut lab = Lab::new();
        let (mut first, mut second) = (Sender::new(FIRST, 1), Sender::new(SECOND, 2));
        lab.track.announce(FIRST);
        let start = indices(&lab.frame(&mut first, Codec::Vp8, KEYFRAME))[0];
        lab.track.announce(SECOND);
        assert!(lab.frame(&mut second, Codec::Vp8, DELTA).is_empty());
        let mut again = Sender::new(FIRST, 99);
        assert!(lab.frame(&mut again, Codec::Vp8, DELTA).is_empty());
        assert_eq!(lab.asked(), [FIRST, SECOND], "both are waited for");
        let mut sent = Vec::new();
        if is_sender_first {
            sent.extend(indices(&lab.frame(&mut again, Codec::Vp8, KEYFRAME)));
            assert_eq!(lab.track.on_air(), Some(FIRST));
        }
        let taken = lab.frame(&mut second, Codec::Vp8, KEYFRAME);
        assert!(matches!(taken[0], Happened::TookOver { publication: SECOND, .. }));
        sent.extend(indices(&taken));
        assert!(lab.frame(&mut again, Codec::Vp8, KEYFRAME).is_empty(), "its place is taken");
        sent.extend(indices(&lab.frame(&mut second, Codec::Vp8, DELTA)));
        assert!(sent.iter().copied().eq((start + 1..).take(sent.len())), "{start}: {sent:?}");
    }
}

#[test]
fn whose_place_was_taken_does_not_come_back_by_another_codec() {
    let mut lab = Lab::new();
    let (mut first, mut second) = (Sender::new(FIRST, 1), Sender::new(SECOND, 2));
    lab.track.announce(FIRST);
    lab.frame(&mut first, Codec::Vp8, KEYFRAME);
    lab.track.announce(SECOND);
    let taken = lab.frame(&mut second, Codec::H264, IDR);
    assert!(matches!(taken[0], Happened::Ended { .. }));
    assert_eq!(lab.track.live().unwrap().codec, Codec::H264);
    // It has not heard yet that it is over.
    assert!(lab.frame(&mut first, Codec::Vp8, DELTA).is_empty());
    assert!(!lab.asked().contains(&FIRST));
    assert!(lab.frame(&mut first, Codec::Vp8, KEYFRAME).is_empty());
    assert_eq!(lab.track.on_air(), Some(SECOND));
}

#[test]
fn while_a_keyframe_is_awaited_it_is_asked_for_once_a_second_and_not_more() {
    let mut lab = Lab::new();
    lab.track.announce(FIRST);
    lab.frame(&mut Sender::new(FIRST, 1), Codec::Vp8, KEYFRAME);
    let mut again = Sender::new(FIRST, 99);
    lab.frame(&mut again, Codec::Vp8, DELTA);
    let mut times = Vec::new();
    for _ in 0..1_000 {
        if !lab.asked().is_empty() {
            times.push(lab.now);
        }
        let next = lab.track.next_timeout().unwrap();
        assert!(next > lab.now, "it would turn on the spot");
        lab.now = lab.now.max(next.min(lab.now + Duration::from_millis(10)));
    }
    assert!((9..=11).contains(&times.len()), "{times:?}");
}

#[test]
fn nobody_is_shown_what_was_on_air_before() {
    let mut lab = Lab::new();
    lab.track.announce(FIRST);
    let mut sender = Sender::new(FIRST, 1);
    lab.frame(&mut sender, Codec::Vp8, KEYFRAME);
    lab.frame(&mut sender, Codec::Vp8, DELTA);
    assert_eq!(lab.track.kept(None).len(), 2);
    let ssrc = lab.track.live().unwrap().ssrc;
    lab.track.withdraw(FIRST);
    assert_eq!((lab.track.on_air(), lab.track.kept(None).len()), (None, 0));
    lab.track.announce(SECOND);
    let mut sender = Sender::new(SECOND, 2);
    lab.frame(&mut sender, Codec::Vp8, KEYFRAME);
    assert_eq!(lab.track.live().unwrap().ssrc, ssrc, "the stream goes on");
}

#[test]
fn sound_that_is_expected_has_its_stream_before_its_first_packet() {
    let mut lab = Lab::new();
    lab.track.announce(FIRST);
    let mut out = Vec::new();
    lab.track.expect(lab.now, Codec::Opus, FIRST, &mut out);
    assert!(matches!(out[..], [Happened::Started { codec: Codec::Opus, .. }]));
    let mut sender = Sender::new(FIRST, 1);
    let heard = lab.frame(&mut sender, Codec::Opus, &[1, 2, 3]);
    assert!(matches!(heard[..], [Happened::TookOver { .. }, Happened::Sent(_)]));
}
