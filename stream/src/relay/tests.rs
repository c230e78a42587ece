//! The relay over whole sources: switches, losses, sizes.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    h264::{Unit, kind, units},
    lab::{Made, Publisher, Style},
    vp8::{Descriptor, PictureId},
};

const FIRST: SourceId = SourceId(1);
const SECOND: SourceId = SourceId(2);

fn relay(codec: Codec) -> Relay {
    Relay::new(Outgoing {
        codec,
        ssrc: 0xa1fa,
        payload_type: 96,
        first_index: 65_530,
        first_timestamp: u32::MAX - 5_000,
    })
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sends whole frames and gives what went on air.
fn send(relay: &mut Relay, now: Duration, source: SourceId, packets: &[Packet]) -> Vec<Sent> {
    let ordered = packets.iter().cloned().map(Ordered::Packet);
    ordered.flat_map(|ordered| relay.push(now, source, ordered)).collect()
}

fn lose(relay: &mut Relay, source: SourceId) {
    assert!(relay.push(ms(0), source, Ordered::Lost(1)).is_empty());
}

/// The kinds of all NAL units, in order.
fn kinds(sent: &[Sent]) -> Vec<u8> {
    let units = sent.iter().flat_map(|sent| units(&sent.packet.payload).unwrap());
    units.filter(Unit::is_start).map(|unit| unit.kind()).collect()
}

fn picture_ids(sent: &[Sent]) -> Vec<u16> {
    let id = |sent: &Sent| match Descriptor::parse(&sent.packet.payload).unwrap().0.picture_id {
        Some(PictureId::Long(id)) => id,
        other => panic!("no PictureID of 15 bits: {other:?}"),
    };
    sent.iter().map(id).collect()
}

#[test]
fn what_is_sent_has_the_tracks_own_numbers_without_gaps() {
    for style in [Style::Chromium, Style::X264, Style::LibWebRtc, Style::Opus] {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        let mut index = 65_530;
        for number in 0..20 {
            let made = publisher.frame(number % 10 == 0, 400);
            let sent = send(&mut relay, ms(40 * number), FIRST, &made.packets);
            assert_eq!(sent.len(), made.packets.len(), "{style:?}");
            for (sent, made) in sent.iter().zip(&made.packets) {
                let header = sent.packet.header;
                assert_eq!(sent.index, index);
                assert_eq!(u64::from(header.sequence), index & 0xffff);
                assert_eq!((header.ssrc, header.payload_type), (0xa1fa, 96));
                assert_eq!(header.marker, made.header.marker);
                index += 1;
            }
        }
        assert_eq!(relay.next_index(), index);
    }
}

#[test]
fn a_keyframe_is_announced_on_its_first_packet_however_it_is_packed() {
    for style in Style::H264.into_iter().chain(Style::VP8) {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        for number in 0..6 {
            let made = publisher.frame(number % 3 == 0, 400);
            let sent = send(&mut relay, ms(40 * number), FIRST, &made.packets);
            let announced: Vec<_> = sent.iter().map(|sent| sent.keyframe.is_some()).collect();
            assert_eq!(announced[0], made.is_keyframe, "{style:?} {number}");
            assert!(!announced[1..].contains(&true), "{style:?} {number}");
            if let Some(keyframe) = &sent[0].keyframe {
                assert_eq!(keyframe.format.size, Some(Size { width: 1280, height: 720 }));
                assert_eq!(keyframe.is_new_format, number == 0);
            }
        }
    }
}

#[test]
fn a_change_of_size_is_a_new_format() {
    for style in [Style::Obs, Style::PlainVp8] {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
        publisher.is_small = true;
        let sent = send(&mut relay, ms(40), FIRST, &publisher.frame(true, 50).packets);
        let keyframe = sent[0].keyframe.clone().unwrap();
        assert!(keyframe.is_new_format);
        assert_eq!(keyframe.format.size, Some(Size { width: 854, height: 480 }));
    }
}

#[test]
fn parameter_sets_are_repeated_behind_the_delimiter_of_an_idr_picture_without_them() {
    let mut relay = relay(Codec::H264);
    let mut publisher = Publisher::new(Style::Hardware, 1);
    relay.announce(FIRST);
    let sent = send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
    assert_eq!(
        kinds(&sent),
        [kind::SPS, kind::PPS, kind::DELIMITER, kind::IDR],
        "sets of their own travel with the picture"
    );
    assert!(sent.iter().all(|one| one.packet.header.timestamp == u32::MAX - 5_000));
    assert_eq!(sent.iter().filter(|one| one.packet.header.marker).count(), 1);
    assert_eq!(relay.stats().parameter_sets_repeated, 0);

    let sent = send(&mut relay, ms(40), FIRST, &publisher.frame(true, 50).packets);
    assert_eq!(kinds(&sent), [kind::DELIMITER, kind::SPS, kind::PPS, kind::IDR]);
    assert_eq!(relay.stats().parameter_sets_repeated, 1);
}

#[test]
fn parameter_sets_that_a_keyframe_leaves_out_are_forgotten() {
    let mut relay = relay(Codec::H264);
    let mut publisher = Publisher::new(Style::Obs, 1);
    relay.announce(FIRST);
    let mut made = publisher.frame(true, 50);
    // In the place of SEI, a second PPS: its id is 1.
    let other = Bytes::from_static(&[0x68, 0x5b, 0x8c]);
    made.packets[2].payload = other.clone();
    let pps = |sent: &[Sent]| {
        let format = &sent[0].keyframe.as_ref().unwrap().format;
        format.parameter_sets.as_ref().unwrap().pps().to_vec()
    };
    let sent = send(&mut relay, ms(0), FIRST, &made.packets);
    assert_eq!(pps(&sent), [made.packets[1].payload.clone(), other]);
    let next = publisher.frame(true, 50);
    let sent = send(&mut relay, ms(40), FIRST, &next.packets);
    assert_eq!(pps(&sent), [next.packets[1].payload.clone()]);
    assert!(sent[0].keyframe.as_ref().unwrap().is_new_format);
}

#[test]
fn a_frame_cut_short_is_never_continued() {
    for style in Style::H264.into_iter().chain(Style::VP8) {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        send(&mut relay, ms(0), FIRST, &publisher.frame(true, 400).packets);
        let Made { packets, .. } = publisher.frame(false, 400);
        let head = send(&mut relay, ms(40), FIRST, &packets[..2]);
        assert_eq!(head.len(), 2, "{style:?}");
        lose(&mut relay, FIRST);
        assert!(relay.wants_keyframe(FIRST));
        assert!(send(&mut relay, ms(40), FIRST, &packets[3..]).is_empty());
        assert!(send(&mut relay, ms(80), FIRST, &publisher.frame(false, 400).packets).is_empty());
        let next = send(&mut relay, ms(120), FIRST, &publisher.frame(true, 400).packets);
        assert!(!relay.wants_keyframe(FIRST));
        assert!(next[0].keyframe.is_some());
        let cut = &head[1];
        assert_eq!(next[0].index, cut.index + 1);
        assert!(!cut.packet.header.marker);
        assert_ne!(next[0].packet.header.timestamp, cut.packet.header.timestamp);
    }
}

#[test]
fn an_idr_picture_whose_sets_may_be_lost_is_not_trusted() {
    let mut relay = relay(Codec::H264);
    let mut publisher = Publisher::new(Style::Chromium, 1);
    relay.announce(FIRST);
    send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
    let resized = publisher.frame(true, 50);
    lose(&mut relay, FIRST);
    assert!(send(&mut relay, ms(40), FIRST, &resized.packets[1..]).is_empty());
    // The start of this one is certain, and the known sets are the newest there are.
    let bare = publisher.frame(true, 50);
    let sent = send(&mut relay, ms(80), FIRST, &bare.packets[1..]);
    assert_eq!(kinds(&sent), [kind::SPS, kind::PPS, kind::IDR]);
}

#[test]
fn a_later_slice_opens_nothing() {
    let mut relay = relay(Codec::H264);
    let mut publisher = Publisher::new(Style::X264, 1);
    relay.announce(FIRST);
    send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
    let made = publisher.frame(true, 50);
    lose(&mut relay, FIRST);
    assert!(send(&mut relay, ms(40), FIRST, &made.packets[5..]).is_empty());
    assert!(relay.wants_keyframe(FIRST));
}

#[test]
fn a_source_without_parameter_sets_never_opens() {
    let mut relay = relay(Codec::H264);
    let mut publisher = Publisher::new(Style::Chromium, 1);
    relay.announce(FIRST);
    for _ in 0..3 {
        let made = publisher.frame(true, 50);
        assert!(send(&mut relay, ms(0), FIRST, &made.packets[1..]).is_empty());
    }
    assert!(relay.wants_keyframe(FIRST));
}

#[test]
fn a_new_source_takes_over_at_its_first_keyframe_and_the_stream_goes_on() {
    for (style, other) in [(Style::Chromium, Style::X264), (Style::LibWebRtc, Style::PlainVp8)] {
        let mut relay = relay(style.codec());
        let (mut old, mut new) = (Publisher::new(style, 1), Publisher::new(other, 2));
        new.timestamp = 12_345;
        relay.announce(FIRST);
        send(&mut relay, ms(0), FIRST, &old.frame(true, 50).packets);
        relay.announce(SECOND);
        assert!(send(&mut relay, ms(30), SECOND, &new.frame(false, 50).packets).is_empty());
        assert!(relay.wants_keyframe(SECOND));
        let last = send(&mut relay, ms(40), FIRST, &old.frame(false, 50).packets);
        assert_eq!(relay.source(), Some(FIRST));
        let first = send(&mut relay, ms(1_040), SECOND, &new.frame(true, 50).packets);
        assert_eq!(relay.source(), Some(SECOND));
        assert!(send(&mut relay, ms(1_080), FIRST, &old.frame(true, 50).packets).is_empty());

        let (last, first) = (&last[last.len() - 1], &first[0]);
        assert_eq!(first.index, last.index + 1);
        let step = first.packet.header.timestamp.wrapping_sub(last.packet.header.timestamp);
        assert_eq!(step, 90_000, "a second went by");
    }
}

#[test]
fn announced_sources_do_not_stand_in_each_others_way() {
    for style in [Style::X264, Style::LibWebRtc] {
        let mut relay = relay(style.codec());
        let mut publishers = [1, 2, 3].map(|name| Publisher::new(style, name));
        let [present, again, next] = [1, 2, 3].map(SourceId);
        relay.announce(present);
        send(&mut relay, ms(0), present, &publishers[0].frame(true, 50).packets);
        relay.announce(next);
        relay.announce(again);
        assert!(relay.wants_keyframe(next) && relay.wants_keyframe(again), "{style:?}");
        let taken = send(&mut relay, ms(40), again, &publishers[1].frame(true, 50).packets);
        assert!(taken[0].keyframe.is_some() && relay.source() == Some(again), "{style:?}");
        let taken = send(&mut relay, ms(80), next, &publishers[2].frame(true, 50).packets);
        assert!(taken[0].keyframe.is_some() && relay.source() == Some(next), "{style:?}");
        assert!(send(&mut relay, ms(90), again, &publishers[1].frame(true, 50).packets).is_empty());
    }
}

#[test]
fn no_more_sources_are_kept_than_may_be_announced() {
    let mut relay = relay(Codec::Vp8);
    for source in 0..100 {
        relay.announce(SourceId(source));
        relay.announce(SourceId(source));
    }
    let announced = (0..100).filter(|source| relay.wants_keyframe(SourceId(*source)));
    assert_eq!(announced.collect::<Vec<_>>(), [98, 99]);
}

#[test]
fn a_withdrawn_source_leaves_silence() {
    let mut relay = relay(Codec::Opus);
    let mut publisher = Publisher::new(Style::Opus, 1);
    relay.announce(FIRST);
    assert_eq!(send(&mut relay, ms(0), FIRST, &publisher.frame(true, 20).packets).len(), 1);
    relay.withdraw(FIRST);
    assert_eq!(relay.source(), None);
    assert!(send(&mut relay, ms(20), FIRST, &publisher.frame(true, 20).packets).is_empty());
}

#[test]
fn lost_sound_is_passed_over_and_its_time_kept() {
    let mut relay = relay(Codec::Opus);
    let mut publisher = Publisher::new(Style::Opus, 1);
    relay.announce(FIRST);
    let before = send(&mut relay, ms(0), FIRST, &publisher.frame(true, 20).packets);
    publisher.frame(true, 20);
    lose(&mut relay, FIRST);
    let after = send(&mut relay, ms(40), FIRST, &publisher.frame(true, 20).packets);
    let (before, after) = (&before[0], &after[0]);
    assert_eq!(after.index, before.index + 1);
    let step = after.packet.header.timestamp.wrapping_sub(before.packet.header.timestamp);
    assert_eq!(step, 2 * 960);
}

#[test]
fn picture_ids_count_the_sent_frames_over_losses_and_sources() {
    let mut relay = relay(Codec::Vp8);
    let mut sent = Vec::new();
    for (number, style) in Style::VP8.into_iter().enumerate() {
        let source = SourceId(number as u64);
        let mut publisher = Publisher::new(style, 1);
        relay.announce(source);
        for is_keyframe in [true, false, false, true] {
            let made = publisher.frame(is_keyframe, 250);
            sent.extend(send(&mut relay, ms(0), source, &made.packets));
            if !is_keyframe {
                lose(&mut relay, source);
            }
        }
    }
    // Of each source the first two frames and the last, three packets each.
    let expected: Vec<u16> = (1..=9).flat_map(|id| [id; 3]).collect();
    assert_eq!(picture_ids(&sent), expected);
}

#[test]
fn the_count_of_base_layers_goes_on() {
    let mut relay = relay(Codec::Vp8);
    let mut counts = Vec::new();
    for source in [FIRST, SECOND] {
        let mut publisher = Publisher::new(Style::LibWebRtc, 1);
        relay.announce(source);
        for is_keyframe in [true, false, false, true] {
            let made = publisher.frame(is_keyframe, 20);
            for sent in send(&mut relay, ms(0), source, &made.packets) {
                let (descriptor, _) = Descriptor::parse(&sent.packet.payload).unwrap();
                assert_eq!(descriptor.layer, Some((0, false)));
                counts.push(descriptor.tl0_pic_idx.unwrap());
            }
        }
    }
    assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn probes_leave_no_trace() {
    for style in [Style::Chromium, Style::LibWebRtc] {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
        let index = relay.next_index();
        assert!(send(&mut relay, ms(10), FIRST, &[publisher.probe()]).is_empty());
        let sent = send(&mut relay, ms(40), FIRST, &publisher.frame(false, 50).packets);
        assert_eq!(sent[0].index, index);
    }
}

#[test]
fn an_unreadable_payload_is_a_loss() {
    for style in [Style::Chromium, Style::LibWebRtc] {
        let mut relay = relay(style.codec());
        let mut publisher = Publisher::new(style, 1);
        relay.announce(FIRST);
        send(&mut relay, ms(0), FIRST, &publisher.frame(true, 50).packets);
        let mut packet = publisher.probe();
        // A fragmentation unit without its header; a descriptor without its second byte.
        packet.payload = Bytes::from_static(&[0x9c]);
        assert!(send(&mut relay, ms(10), FIRST, &[packet]).is_empty());
        assert_eq!(relay.stats().malformed, 1);
        assert!(relay.wants_keyframe(FIRST));
    }
}

#[test]
fn the_sender_report_speaks_for_this_moment() {
    let mut relay = relay(Codec::Opus);
    assert_eq!(relay.report(ms(0), 7), None);
    relay.announce(FIRST);
    let sent =
        send(&mut relay, ms(100), FIRST, &Publisher::new(Style::Opus, 1).frame(true, 20).packets);
    let report = relay.report(ms(350), 7).unwrap();
    assert_eq!((report.ssrc, report.ntp, report.packets), (0xa1fa, 7, 1));
    assert_eq!(report.octets as usize, sent[0].packet.payload.len());
    assert_eq!(report.timestamp, sent[0].packet.header.timestamp.wrapping_add(48 * 250));
}
