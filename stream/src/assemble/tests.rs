//! The assembler over loss, reordering, duplicates and late joins.

use std::time::Duration;

use super::*;
use crate::{
    lab::{Made, Style, essence, on_air},
    relay::Sent,
};

const ALL: [Style; 8] = [
    Style::Chromium,
    Style::Obs,
    Style::X264,
    Style::Hardware,
    Style::LibWebRtc,
    Style::ShortPictureId,
    Style::PlainVp8,
    Style::Opus,
];
const NONE_KEPT: Config = Config { reorder_wait: REORDER_WAIT, kept_wait: None };
const JOINING: Config = Config { reorder_wait: REORDER_WAIT, kept_wait: Some(KEPT_WAIT) };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn push(assembler: &mut Assembler, now: Duration, sent: &[Sent], origin: Origin) {
    for sent in sent {
        assembler.push(now, sent.index, sent.packet.clone(), origin);
    }
}

fn drain(assembler: &mut Assembler, now: Duration) -> Vec<Frame> {
    std::iter::from_fn(|| assembler.poll(now)).collect()
}

/// Pushes and drains packet by packet, all live.
fn play(assembler: &mut Assembler, now: Duration, sent: &[Sent]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for sent in sent {
        push(assembler, now, std::slice::from_ref(sent), Origin::Live);
        frames.extend(drain(assembler, now));
    }
    frames
}

/// Which of `air` these are.
fn numbers(air: &[(Made, Vec<Sent>)], frames: &[Frame]) -> Vec<usize> {
    let number = |frame: &Frame| {
        air.iter()
            .position(|(made, _)| made.essence == essence(frame))
            .expect("a frame that was sent")
    };
    frames.iter().map(number).collect()
}

#[test]
fn whole_frames_come_out_at_once_however_they_are_packed() {
    for style in ALL {
        let air = on_air(style, "KddKdd");
        let mut assembler = Assembler::new(style.codec(), NONE_KEPT, ms(0));
        for (number, (made, sent)) in air.iter().enumerate() {
            let frames = play(&mut assembler, ms(0), sent);
            assert_eq!(numbers(&air, &frames), [number], "{style:?}");
            let frame = &frames[0];
            assert_eq!(frame.is_keyframe, made.is_keyframe);
            assert_eq!(frame.first_index, sent[0].index);
            assert_eq!(frame.last_index, sent[sent.len() - 1].index);
            assert!(!frame.catch_up);
        }
        let stats = assembler.stats();
        assert_eq!((stats.frames, stats.lost, stats.dropped), (6, 0, 0));
    }
}

#[test]
fn timestamps_go_on_over_their_wrap() {
    // The publisher's clock wraps after a second.
    let air = on_air(Style::PlainVp8, &"K".repeat(40));
    let mut assembler = Assembler::new(Codec::Vp8, NONE_KEPT, ms(0));
    let times: Vec<_> = air
        .iter()
        .flat_map(|(_, sent)| play(&mut assembler, ms(0), sent))
        .map(|frame| frame.timestamp)
        .collect();
    assert_eq!(times.len(), 40);
    assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 3_600));
}

#[test]
fn order_and_repetition_do_not_matter() {
    for style in ALL {
        let air = on_air(style, "Kdd");
        let mut packets: Vec<Sent> = air.iter().flat_map(|(_, sent)| sent.clone()).collect();
        packets.extend(packets.clone());
        // A fixed shuffle; the first packet stays first for sound, which starts where it starts.
        packets[1..].sort_by_key(|sent| (sent.index * 7_919) % 31);
        let mut assembler = Assembler::new(style.codec(), NONE_KEPT, ms(0));
        let frames = play(&mut assembler, ms(0), &packets);
        assert_eq!(numbers(&air, &frames), [0, 1, 2], "{style:?}");
        let stats = assembler.stats();
        assert_eq!(stats.duplicate + stats.late, packets.len() as u64 / 2);
    }
}

#[test]
fn what_comes_too_late_is_waited_for_unless_a_keyframe_goes_on_without_it() {
    for style in ALL.into_iter().filter(|style| style.codec().is_video()) {
        for (script, until) in [("Kdd", 100), ("KdK", 40)] {
            let air = on_air(style, script);
            let mut assembler = Assembler::new(style.codec(), NONE_KEPT, ms(0));
            assembler.set_late_wait(ms(60));
            play(&mut assembler, ms(0), &air[0].1);
            let (late, others) = air[1].1.split_first().unwrap();
            play(&mut assembler, ms(0), others);
            play(&mut assembler, ms(0), &air[2].1);
            assert_eq!(assembler.next_timeout(), Some(ms(until)), "{style:?} {script}");
            assert_eq!(drain(&mut assembler, ms(until - 1)), []);
            let frames = play(&mut assembler, ms(until - 1), std::slice::from_ref(late));
            assert_eq!(numbers(&air, &frames), [1, 2], "{style:?} {script}");
        }
    }
}

#[test]
fn after_a_loss_nothing_comes_up_to_the_next_keyframe() {
    for style in ALL.into_iter().filter(|style| style.codec().is_video()) {
        let air = on_air(style, "KdddKd");
        let mut assembler = Assembler::new(style.codec(), NONE_KEPT, ms(0));
        let mut frames = Vec::new();
        for (number, (_, sent)) in air.iter().enumerate() {
            let now = ms(100 * number as u64);
            frames.extend(drain(&mut assembler, now));
            assert_eq!(assembler.wants_keyframe(), (2..5).contains(&number), "{style:?} {number}");
            let lost = usize::from(number == 1);
            frames.extend(play(&mut assembler, now, &sent[lost..]));
        }
        assert_eq!(numbers(&air, &frames), [0, 4, 5], "{style:?}");
        let stats = assembler.stats();
        assert_eq!((stats.frames, stats.lost, stats.dropped), (3, 1, 3), "{style:?}");
    }
}

#[test]
fn a_lost_end_of_a_frame_is_noticed_by_the_next_one() {
    let air = on_air(Style::Chromium, "KdK");
    let mut assembler = Assembler::new(Codec::H264, NONE_KEPT, ms(0));
    let (_, cut) = &air[1];
    let mut frames = play(&mut assembler, ms(0), &air[0].1);
    frames.extend(play(&mut assembler, ms(40), &cut[..cut.len() - 1]));
    assert_eq!(assembler.next_timeout(), None, "a still screen looks the same");
    frames.extend(play(&mut assembler, ms(80), &air[2].1));
    assert_eq!(assembler.next_timeout(), Some(ms(80) + REORDER_WAIT));
    frames.extend(drain(&mut assembler, ms(80) + REORDER_WAIT));
    assert_eq!(numbers(&air, &frames), [0, 2]);
}

#[test]
fn a_frame_cut_short_is_dropped_although_no_index_is_missing() {
    for style in Style::H264.into_iter().chain(Style::VP8) {
        let mut air = on_air(style, "KdKd");
        // As the relay does it: the numbers go on behind the head of the second frame.
        let gone = air[1].1.split_off(2).len() as u64;
        for (_, sent) in &mut air[2..] {
            for sent in sent {
                sent.index -= gone;
            }
        }
        let mut assembler = Assembler::new(style.codec(), NONE_KEPT, ms(0));
        let frames: Vec<_> =
            air.iter().flat_map(|(_, sent)| play(&mut assembler, ms(0), sent)).collect();
        assert_eq!(numbers(&air, &frames), [0, 2, 3], "{style:?}");
        assert_eq!((assembler.stats().lost, assembler.stats().dropped), (0, 1));
    }
}

#[test]
fn parameter_sets_alone_make_no_keyframe() {
    let mut air = on_air(Style::Chromium, "KdK");
    // The sets, and then a picture that refers to another.
    let (sets, mut fake) = (air[0].1[0].clone(), air[1].1.clone());
    let timestamp = fake[0].packet.header.timestamp;
    fake.insert(0, Sent { index: fake[0].index - 1, ..sets });
    fake[0].packet.header.timestamp = timestamp;
    air.remove(0);
    let mut assembler = Assembler::new(Codec::H264, NONE_KEPT, ms(0));
    assert!(play(&mut assembler, ms(0), &fake).is_empty());
    assert!(assembler.wants_keyframe());
    assert_eq!(numbers(&air, &play(&mut assembler, ms(0), &air[1].1)), [1]);
}

#[test]
fn lost_sound_is_passed_over() {
    let air = on_air(Style::Opus, "KKKK");
    let mut assembler = Assembler::new(Codec::Opus, NONE_KEPT, ms(0));
    let mut frames = Vec::new();
    for number in [0, 2, 3] {
        frames.extend(play(&mut assembler, ms(20 * number as u64), &air[number].1));
    }
    assert_eq!(numbers(&air, &frames), [0]);
    assert_eq!(assembler.next_timeout(), Some(ms(40) + REORDER_WAIT));
    frames.extend(drain(&mut assembler, ms(40) + REORDER_WAIT));
    assert_eq!(numbers(&air, &frames), [0, 2, 3]);
    assert!(!assembler.wants_keyframe());
}

#[test]
fn a_machine_that_joins_catches_up_with_the_kept_pictures() {
    for style in [Style::X264, Style::LibWebRtc] {
        let air = on_air(style, "Kddddd");
        let packets: Vec<Sent> = air.iter().flat_map(|(_, sent)| sent.clone()).collect();
        // The first live packet is in the middle of frame 3.
        let live = packets.iter().position(|sent| *sent == air[3].1[1]).unwrap();
        let mut assembler = Assembler::new(style.codec(), JOINING, ms(0));
        assert!(play(&mut assembler, ms(0), &packets[live..]).is_empty());
        assert!(!assembler.wants_keyframe());
        // They come in two messages.
        push(&mut assembler, ms(300), &packets[..live / 2], Origin::Kept);
        let mut frames = drain(&mut assembler, ms(300));
        push(&mut assembler, ms(400), &packets[live / 2..live], Origin::Kept);
        assembler.kept_ended();
        frames.extend(drain(&mut assembler, ms(400)));
        assert_eq!(numbers(&air, &frames), [0, 1, 2, 3, 4, 5], "{style:?}");
        let catch_up: Vec<_> = frames.iter().map(|frame| frame.catch_up).collect();
        assert_eq!(catch_up, [true, true, true, false, false, false]);
        assert_eq!((assembler.stats().lost, assembler.stats().dropped), (0, 0));
    }
}

#[test]
fn the_newest_kept_picture_of_a_still_screen_is_shown() {
    let air = on_air(Style::Chromium, "Kdd");
    let mut assembler = Assembler::new(Codec::H264, JOINING, ms(0));
    let mut frames = Vec::new();
    for (_, sent) in &air {
        push(&mut assembler, ms(50), sent, Origin::Kept);
        frames.extend(drain(&mut assembler, ms(50)));
    }
    assert_eq!(frames.len(), 2, "whether the third is to be shown is not yet known");
    assembler.kept_ended();
    frames.extend(drain(&mut assembler, ms(50)));
    assert_eq!(numbers(&air, &frames), [0, 1, 2]);
    assert_eq!(frames.iter().map(|frame| frame.catch_up).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn kept_pictures_that_do_not_come_are_not_waited_for_long() {
    let air = on_air(Style::Chromium, "KddKd");
    let mut assembler = Assembler::new(Codec::H264, JOINING, ms(0));
    for (_, sent) in &air[1..3] {
        assert!(play(&mut assembler, ms(100), sent).is_empty());
    }
    assert_eq!(assembler.next_timeout(), Some(KEPT_WAIT));
    assert!(drain(&mut assembler, KEPT_WAIT).is_empty());
    assert!(assembler.wants_keyframe());
    let frames: Vec<_> =
        air[3..].iter().flat_map(|(_, sent)| play(&mut assembler, ms(1_100), sent)).collect();
    assert_eq!(numbers(&air, &frames), [3, 4]);
    assert_eq!(assembler.stats().dropped, 2);
}

#[test]
fn a_live_keyframe_ends_the_wait_for_the_kept_ones() {
    let air = on_air(Style::X264, "KddKd");
    let mut assembler = Assembler::new(Codec::H264, JOINING, ms(0));
    let mut frames = play(&mut assembler, ms(10), &air[2].1);
    frames.extend(play(&mut assembler, ms(50), &air[3].1));
    assert_eq!(numbers(&air, &frames), [3]);
    for (_, sent) in &air[..2] {
        push(&mut assembler, ms(60), sent, Origin::Kept);
    }
    assembler.kept_ended();
    assert!(drain(&mut assembler, ms(60)).is_empty());
    assert_eq!(numbers(&air, &play(&mut assembler, ms(90), &air[4].1)), [4]);
}

#[test]
fn a_live_keyframe_ends_the_catching_up_as_soon_as_it_is_whole() {
    for style in [Style::X264, Style::LibWebRtc] {
        let air = on_air(style, "KddddKd");
        let mut assembler = Assembler::new(style.codec(), JOINING, ms(0));
        assert!(play(&mut assembler, ms(10), &air[4].1).is_empty());
        // Of the kept pictures the first message has come; the others are slow.
        push(&mut assembler, ms(20), &air[0].1, Origin::Kept);
        let mut frames = drain(&mut assembler, ms(20));
        let (last, head) = air[5].1.split_last().unwrap();
        frames.extend(play(&mut assembler, ms(50), head));
        assert_eq!(numbers(&air, &frames), [0], "{style:?}");
        frames.extend(play(&mut assembler, ms(60), std::slice::from_ref(last)));
        // What comes of them now comes too late.
        push(&mut assembler, ms(70), &air[1].1, Origin::Kept);
        frames.extend(drain(&mut assembler, ms(70)));
        frames.extend(play(&mut assembler, ms(90), &air[6].1));
        assert_eq!(numbers(&air, &frames), [0, 5, 6], "{style:?}");
        assert!(!frames[1].catch_up && !assembler.wants_keyframe());
        assert_eq!(assembler.stats().lost, 0, "nothing was lost on the way");
    }
}

#[test]
fn nothing_live_is_passed_over_for_a_later_keyframe() {
    for (style, config) in [(Style::X264, NONE_KEPT), (Style::LibWebRtc, JOINING)] {
        let air = on_air(style, "dKddKdKd");
        let mut assembler = Assembler::new(style.codec(), config, ms(0));
        // All of it arrives in one go.
        for (_, sent) in &air {
            push(&mut assembler, ms(10), sent, Origin::Live);
        }
        assert_eq!(numbers(&air, &drain(&mut assembler, ms(10))), [1, 2, 3, 4, 5, 6, 7]);
    }
}

#[test]
fn a_live_keyframe_with_a_hole_does_not_stand_before_one_that_is_whole() {
    let air = on_air(Style::LibWebRtc, "KddKdKd");
    let mut assembler = Assembler::new(Codec::Vp8, JOINING, ms(0));
    push(&mut assembler, ms(10), &air[2].1, Origin::Live);
    push(&mut assembler, ms(20), &air[0].1, Origin::Kept);
    let (holed, after) = (&air[3].1, air[4..].iter().flat_map(|(_, sent)| sent));
    push(&mut assembler, ms(30), &holed[..1], Origin::Live);
    push(&mut assembler, ms(30), &holed[2..], Origin::Live);
    let after: Vec<_> = after.cloned().collect();
    push(&mut assembler, ms(30), &after, Origin::Live);
    assert_eq!(numbers(&air, &drain(&mut assembler, ms(30))), [5, 6]);
}

#[test]
fn a_full_buffer_is_emptied_and_the_next_keyframe_found() {
    let air = on_air(Style::PlainVp8, "KK");
    let (_, sent) = &air[0];
    let mut assembler = Assembler::new(Codec::Vp8, NONE_KEPT, ms(0));
    assert!(play(&mut assembler, ms(0), &sent[..sent.len() - 1]).is_empty());
    // The keyframe goes on and on.
    let mut packet = sent[1].clone();
    for _ in 0..10_000 {
        packet.index += 1;
        assert!(play(&mut assembler, ms(0), std::slice::from_ref(&packet)).is_empty());
    }
    assert_eq!(assembler.stats().overflow, 0);
    let mut next = air[1].1.clone();
    for sent in &mut next {
        sent.index += 20_000;
    }
    assert_eq!(numbers(&air, &play(&mut assembler, ms(0), &next)), [1]);
}

#[test]
fn nothing_is_kept_of_a_caller_that_never_polls() {
    let air = on_air(Style::Opus, "K");
    let mut sent = air[0].1[0].clone();
    let mut assembler = Assembler::new(Codec::Opus, NONE_KEPT, ms(0));
    for _ in 0..10_000 {
        sent.index += 1;
        push(&mut assembler, ms(0), std::slice::from_ref(&sent), Origin::Live);
    }
    assert_eq!(assembler.stats().overflow, 10_000 - 8_192);
    assert_eq!(drain(&mut assembler, ms(0)).len(), 8_192);
}
