//! Whatever comes between what the box sent, or instead of it: only what it sent leaves, each
//! packet once; and what is asked for is bounded.
#![no_main]

mod signed;

use std::{collections::HashSet, time::Duration};

use alfarid_stream::{
    block::{Next, Tickets},
    feedback::MAX_ENTRIES,
    protect::Protect,
    repair::{Reach, Repair},
    restore::{Config, Restore},
    rtp::{Header, Packet},
    transmit::{Lane, ReceiverId},
};
use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const SSRC: u32 = 1;
const FIRST: u64 = 65_500;
const RECEIVER: ReceiverId = ReceiverId(1);

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Nothing happens for so many milliseconds.
    Wait(u8),
    /// The box sends a packet of this length.
    Send { length: u8, marker: bool },
    /// One of the datagrams that the box sent comes, however late or often.
    Come(u8),
    /// One comes with some byte changed.
    Changed { which: u8, at: u16, bits: u8 },
    /// Somebody else's comes: as it is, or behind a header of the stream.
    Foreign { datagram: &'a [u8], sequence_step: Option<i16> },
    /// The machine speaks, and the box hears it or not.
    Speak { is_heard: bool },
}

fuzz_target!(|steps: Vec<Step>| {
    let mut now = Duration::ZERO;
    let mut protect = Protect::new(now, signed::key(), Tickets::new(&[9; 32]));
    let mut repair = Repair::new(signed::key());
    let streams = vec![Next { ssrc: SSRC, index: FIRST }];
    let (playout, round_trip) = (Duration::from_millis(250), Duration::from_millis(5));
    let config = Config { key: signed::public(), streams, playout, round_trip };
    let mut restore = Restore::new(now, config);
    let (mut index, mut on_air) = (FIRST, Vec::new());
    let (mut sources, mut left) = (Vec::new(), HashSet::new());
    for step in steps {
        match step {
            Step::Wait(millis) => now += Duration::from_millis(millis.into()),
            Step::Send { length, marker } => {
                let sequence = (index & 0xffff) as u16;
                let header = Header { marker, sequence, ssrc: SSRC, ..Header::default() };
                let payload = Bytes::from(vec![index as u8; usize::from(length)]);
                let mut datagram = Vec::new();
                Packet { header, payload }.write(&mut datagram);
                let datagram = Bytes::from(datagram);
                protect.push(now, Lane::Video, index, datagram.clone()).expect("the next one");
                sources.push(datagram);
                index += 1;
            }
            Step::Come(which) => {
                if let Some(datagram) = pick(&on_air, which) {
                    restore.push(now, datagram.clone());
                }
            }
            Step::Changed { which, at, bits } => {
                if let Some(datagram) = pick(&on_air, which) {
                    let mut datagram = datagram.to_vec();
                    let at = usize::from(at) % datagram.len();
                    datagram[at] ^= bits;
                    restore.push(now, datagram.into());
                }
            }
            Step::Foreign { datagram, sequence_step } => {
                let header = sequence_step.map(|step| {
                    let sequence = (index as u16).wrapping_add_signed(step);
                    Header { sequence, ssrc: SSRC, ..Header::default() }.to_bytes()
                });
                let header = header.iter().flatten().copied();
                restore.push(now, header.chain(datagram.iter().copied()).collect());
            }
            Step::Speak { is_heard } => {
                while let Some(feedback) = restore.feedback(now) {
                    assert!(feedback.requests.len() <= MAX_ENTRIES);
                    assert!(feedback.losses.len() <= MAX_ENTRIES);
                    assert!(feedback.requests.iter().all(|request| request.deficit <= 65));
                    if is_heard {
                        protect.hear(now, RECEIVER, &feedback);
                        repair.hear(now, RECEIVER, Reach::Multicast, &feedback);
                    }
                }
                assert!(restore.next_timeout().is_none_or(|at| at > now), "it spoke, and is due");
            }
        }
        while let Some(sent) = protect.poll(now) {
            on_air.push(sent.datagram);
        }
        while let Some(closed) = protect.take_closed() {
            repair.keep(now, closed);
        }
        while let Some(sent) = repair.poll(now) {
            on_air.push(sent.datagram);
        }
        while let Some(verified) = restore.poll() {
            assert_eq!(verified.ssrc, SSRC);
            let place = verified.index.checked_sub(FIRST).expect("none before the first");
            assert_eq!(sources.get(place as usize), Some(&verified.datagram));
            assert!(left.insert(verified.index), "it left twice");
        }
    }
});

/// One of the newest.
fn pick(on_air: &[Bytes], which: u8) -> Option<&Bytes> {
    let newest = &on_air[on_air.len().saturating_sub(256)..];
    newest.get(usize::from(which) % newest.len().max(1))
}
