//! The box's side of the broadcast: protected packets in, what goes on air out.
//!
//! Source packets leave at once. Meanwhile they gather into blocks (see [`block`](crate::block)),
//! and when one closes, behind its last packet, its manifest and parity follow:
//!
//! ```text
//!            packets                 close                          next block
//!   ──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬─────────────────────────────┬──┬──┬─▶
//!     s  s  s  s  s  s  s  s  s  s  s  s  manifest parity... manifest   s  s
//!                                         └─────┬─────┘ └────┬───┘
//!                                  first parity ┘            └ again, while anybody loses anything
//! ```
//!
//! - **A block closes** at the last packet of a picture, or [`SOUND_ALONE`] after its first packet
//!   when there is only sound; once three lose over 1 %, [`SLICE`] after its first packet: the
//!   longer a block, the less parity it takes against the same loss (see [`Slicing`]). At
//!   [`MAX_SOURCES`](crate::block::MAX_SOURCES) packets in any case.
//! - **First parity** is sent unasked, as much as the neediest machine lacks in every other block
//!   (see [`FirstParity`]). What is missing still is asked for, see [`repair`](crate::repair).
//! - **The manifest is repeated** last, while anybody loses anything: where it comes last, a
//!   machine knows that nothing follows. On a good wire once is enough, and saves 2 % of all bytes.
//! - **A heartbeat** every [`HEARTBEAT`] says where the streams are, and when what is in them shows
//!   (see [`playout`](crate::playout)).
//!
//! What machines tell counts only if they are on multicast: the caller hands in no others'. A
//! closed block goes to [`Repair`](crate::repair::Repair) by [`Protect::take_closed`].
//!
//! Invariants: indices of one stream only grow; block numbers have no gaps; nothing waits for
//! anything but the clock.

mod closed;
mod first_parity;
mod open;
mod slicing;
mod streams;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use thiserror::Error;

pub use self::{closed::Closed, first_parity::FirstParity, slicing::Slicing};
pub(crate) use self::{closed::on_air, slicing::MOST_ALONE};
use self::{open::Open, streams::Streams};
use crate::{
    block::{Encoder, Heartbeat, MAX_DATAGRAM, SigningKey, Tickets},
    feedback::Feedback,
    playout::{MAX_DELAY, Medium},
    rtp,
    transmit::{Lane, ReceiverId, To, Transmit},
};

/// How long a block is open when nobody ends it: two packets of sound.
pub const SOUND_ALONE: Duration = Duration::from_millis(40);
/// How long a block is open in slice mode. Parity for 50 machines at 5 % loss costs a quarter of
/// the stream for single pictures and an eighth for slices (simulated). A longer one leaves no time
/// for a third round of repair within 250 ms: 125 ms save 2 % of the stream where a fifth is lost,
/// and broke six times as many pictures (the bench `stream`).
pub const SLICE: Duration = Duration::from_millis(100);
/// How often the box says that it is there.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// Most datagrams that wait to be polled: four blocks with parity. Full: the oldest is dropped.
const MAX_QUEUED: usize = 512;
/// Most closed blocks that wait to be taken. Full: the oldest is dropped, and never repaired.
const MAX_CLOSED: usize = 8;

/// Why a packet is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("not a protected packet")]
    Rtp(#[from] rtp::Error),
    #[error("packet {sequence} does not have index {index}")]
    Sequence { sequence: u16, index: u64 },
    #[error("index {index} of stream {ssrc:08x} is below {next}, the next")]
    Index { ssrc: u32, index: u64, next: u64 },
    #[error("packet of {0} bytes instead of at most {MAX_DATAGRAM}")]
    Length(usize),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Source packets sent.
    pub sources: u64,
    pub blocks: u64,
    /// Parity sent unasked.
    pub parity: u64,
    pub heartbeats: u64,
    /// Dropped: nobody polled, or nobody took a closed block.
    pub overflow: u64,
}

/// A packet of the open block.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub ssrc: u32,
    pub index: u64,
    pub lane: Lane,
    pub datagram: Bytes,
}

/// The box's side of one lesson.
#[derive(Debug)]
pub struct Protect {
    key: SigningKey,
    tickets: Tickets,
    encoder: Encoder,
    streams: Streams,
    playout: Duration,
    /// The block that is open, or will be.
    number: u32,
    open: Option<Open>,
    next_heartbeat: Duration,
    first_parity: FirstParity,
    slicing: Slicing,
    /// At most [`MAX_QUEUED`].
    queue: VecDeque<Transmit>,
    /// At most [`MAX_CLOSED`].
    closed: VecDeque<Closed>,
    stats: Stats,
}

impl Protect {
    /// Key and tickets are made for this lesson and this start of the box.
    pub fn new(now: Duration, key: SigningKey, tickets: Tickets) -> Self {
        Self {
            key,
            tickets,
            encoder: Encoder::new(),
            streams: Streams::new(),
            playout: MAX_DELAY,
            number: 0,
            open: None,
            next_heartbeat: now,
            first_parity: FirstParity::new(),
            slicing: Slicing::new(),
            queue: VecDeque::new(),
            closed: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes a packet that is sealed for the group, and sends it. Its header, which stays readable,
    /// says whose it is and whether it ends a picture.
    ///
    /// # Errors
    /// A packet that is not what it is said to be is not sent, and changes nothing.
    pub fn push(
        &mut self,
        now: Duration,
        lane: Lane,
        index: u64,
        datagram: Bytes,
    ) -> Result<(), Error> {
        let header = rtp::Header::parse(&datagram)?;
        let (ssrc, sequence) = (header.ssrc, header.sequence);
        if index & 0xffff != u64::from(sequence) {
            return Err(Error::Sequence { sequence, index });
        }
        if datagram.len() > MAX_DATAGRAM {
            return Err(Error::Length(datagram.len()));
        }
        let medium = if lane == Lane::Sound { Medium::Sound } else { Medium::Picture };
        self.streams.go_on(now, medium, (ssrc, index, header.timestamp))?;
        self.close_if_due(now);
        self.add(now, Source { ssrc, index, lane, datagram: datagram.clone() });
        self.send(lane, datagram);
        self.stats.sources += 1;
        let ends_picture = lane == Lane::Video && header.marker && !self.slicing.is_slicing();
        if let Some(open) = &mut self.open {
            open.is_ended = ends_picture || open.sources.len() == crate::block::MAX_SOURCES;
        }
        Ok(())
    }

    /// Says D from now on; before, it is the largest.
    pub fn set_playout(&mut self, playout: Duration) {
        self.playout = playout;
    }

    /// The publisher's sender report: at its time `ntp` the stream of this medium is at
    /// `timestamp`, as the relay numbers it.
    pub fn reported(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        self.streams.reported(medium, ntp, timestamp);
    }

    /// Another source goes on with the same streams: its packets take another way.
    pub fn taken_over(&mut self) {
        self.streams.taken_over();
    }

    /// Hears what a machine on multicast says.
    pub fn hear(&mut self, now: Duration, receiver: ReceiverId, feedback: &Feedback) {
        for loss in &feedback.losses {
            if let Some(missing) = self.first_parity.hear(receiver, loss.block, loss.missing) {
                self.slicing.hear(now, receiver, missing);
            }
        }
    }

    /// The machine left the lesson, or multicast: what it said no longer counts.
    pub fn forget(&mut self, receiver: ReceiverId) {
        self.first_parity.forget(receiver);
        self.slicing.forget(receiver);
    }

    /// The machine that alone makes all others get more parity than they need, for 5 s now. The
    /// caller moves it to unicast, and calls [`Protect::forget`].
    pub fn outlier(&self, now: Duration) -> Option<ReceiverId> {
        self.first_parity.outlier(now)
    }

    /// What is to be sent. To be called until it gives `None`, after each push and at each timeout.
    pub fn poll(&mut self, now: Duration) -> Option<Transmit> {
        // Digests, signature and parity take time, which the packets themselves do not wait for.
        if let Some(next) = self.queue.pop_front() {
            return Some(next);
        }
        self.close_if_due(now);
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + HEARTBEAT;
            self.heartbeat(now);
        }
        self.queue.pop_front()
    }

    /// A block that was closed, for [`Repair::keep`](crate::repair::Repair::keep). To be called
    /// until it gives `None`, as [`Protect::poll`] is.
    pub fn take_closed(&mut self) -> Option<Closed> {
        self.closed.pop_front()
    }

    /// The packets of the open block, for a machine that starts on unicast: the closed ones are
    /// [kept](crate::repair::Repair::from).
    pub fn open(&self) -> impl Iterator<Item = (Lane, &Bytes)> {
        let open = self.open.iter().flat_map(|open| &open.sources);
        open.map(|source| (source.lane, &source.datagram))
    }

    /// When to poll again even if nothing is pushed.
    pub fn next_timeout(&self) -> Duration {
        self.closes_at().map_or(self.next_heartbeat, |at| at.min(self.next_heartbeat))
    }

    /// Blocks are slices of time, not pictures.
    pub fn is_slicing(&self) -> bool {
        self.slicing.is_slicing()
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// A heartbeat for one machine alone: the answer to its keep-alive.
    pub fn sign_of_life(&mut self, now: Duration) -> Bytes {
        let box_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let heartbeat = Heartbeat {
            block: self.number,
            commitment: self.tickets.commitment(self.number),
            box_ms,
            playout_ms: u16::try_from(self.playout.as_millis()).unwrap_or(u16::MAX),
            // At the moment that is said, not a fraction of a millisecond later.
            streams: self.streams.said(Duration::from_millis(box_ms)),
        };
        heartbeat.sign(&self.key)
    }

    fn heartbeat(&mut self, now: Duration) {
        let datagram = self.sign_of_life(now);
        self.stats.heartbeats += 1;
        self.send(Lane::Repair, datagram);
    }

    fn send(&mut self, lane: Lane, datagram: Bytes) {
        if self.queue.len() == MAX_QUEUED {
            self.queue.pop_front();
            self.stats.overflow += 1;
        }
        self.queue.push_back(Transmit { to: To::Group, lane, datagram });
    }
}

#[cfg(test)]
mod tests;
