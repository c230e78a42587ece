//! What is said to the box: which blocks are short, and how it goes.

use std::time::Duration;

use super::{ASKS, MAX_ENTRIES, MAX_SHARDS, Restore, blocks::Place, pieces::Pieces};
use crate::feedback::{Feedback, Request};

/// The shortest time between them.
const ASK_AGAIN: Duration = Duration::from_millis(30);
/// How often feedback comes when something was lost...
const AFTER_LOSS: Duration = Duration::from_millis(500);
/// ... and when nothing was.
const WITHOUT_LOSS: Duration = Duration::from_secs(2);

impl Restore {
    /// What is to be told to the box now. To be called until it gives `None`, after each push and
    /// at each timeout.
    ///
    /// A block that is short is asked for [`SETTLING`](super::SETTLING) after it is known to be
    /// closed, [`ASKS`] times when the answer should have come, then more slowly, and
    /// [`ROUNDS`](super::ROUNDS) times at most; never later than
    /// [`LATE_WAIT`](super::LATE_WAIT) after its first packet was to be shown. What was lost is told
    /// every 500 ms; that nothing was, every 2 s.
    pub fn feedback(&mut self, now: Duration) -> Option<Feedback> {
        self.expire(now);
        let newest_block = self.blocks.newest()?;
        let requests = self.requests(now);
        if requests.is_empty() && now < self.next_report() {
            return None;
        }
        self.last_feedback = now;
        self.stats.requests += requests.len() as u64;
        Some(Feedback {
            newest_block,
            requests,
            losses: self.losses.drain(..).collect(),
            received: low(self.stats.received),
            lost: low(self.stats.lost),
        })
    }

    /// When to call [`Restore::feedback`] and [`Restore::poll`] even if nothing arrives; `None`
    /// before anything signed did.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.blocks.newest()?;
        let times = self.blocks.open().flat_map(|(_, pieces)| {
            let ask = pieces.next_ask().filter(|&at| at < pieces.asked_until(self.playout));
            ask.into_iter().chain([pieces.settled_at(self.playout)])
        });
        times.chain([self.next_report()]).min()
    }

    fn next_report(&self) -> Duration {
        match self.losses.len() {
            0 => self.last_feedback + WITHOUT_LOSS,
            MAX_ENTRIES => self.last_feedback,
            _ => self.last_feedback + AFTER_LOSS,
        }
    }

    fn requests(&mut self, now: Duration) -> Vec<Request> {
        let missing = self.answers.missing_after(self.round_trip);
        // The last one's answer is to be in time too.
        let again = ASK_AGAIN.max(missing.min(self.playout / u32::from(ASKS + 1)));
        let is_due = |pieces: &Pieces| pieces.next_ask().is_some_and(|at| at <= now);
        let due = self.blocks.open().filter(|(_, pieces)| is_due(pieces));
        let due: Vec<_> =
            due.map(|(number, pieces)| (number, now < pieces.asked_until(self.playout))).collect();
        let mut requests = Vec::new();
        for (block, is_waited_for) in due {
            if !is_waited_for {
                // This machine slept over it.
                if let Place::Open(pieces) = self.blocks.place(block) {
                    pieces.asks().stop();
                }
                continue;
            }
            if requests.len() == MAX_ENTRIES {
                break;
            }
            let deficit = self.deficit(block);
            if let Place::Open(pieces) = self.blocks.place(block) {
                let round = pieces.asks().rounds();
                pieces.asks().asked(now, again);
                requests.push(Request { block, deficit, round });
            }
        }
        requests
    }

    /// Shards that the block lacks; 0 if nothing is known of it.
    fn deficit(&mut self, number: u32) -> u8 {
        let deficit = match self.blocks.place(number) {
            Place::Open(pieces) if pieces.entries().is_some() => pieces.deficit(&self.candidates),
            _ => self.guess_deficit(number).unwrap_or_default(),
        };
        u8::try_from(deficit.min(MAX_SHARDS)).unwrap_or_default()
    }

    /// Of a block of which nothing is known: its packets lie between what is known before it and
    /// behind it, and some of them may be here. Where nothing behind it is known of a stream it may
    /// be as much as the last time; where several blocks in a row are unknown it may be what lacks of
    /// them all: the box gives no more than the block has. `None` if nothing is known before it.
    fn guess_deficit(&self, number: u32) -> Option<usize> {
        let heartbeat = self.heartbeat.as_ref().filter(|last| number < last.block);
        let lacking = self.streams.all().filter_map(|ssrc| {
            let start = self.blocks.end_before(number, ssrc).or(self.streams.passed(ssrc))?;
            let said = || {
                let stream = heartbeat?.streams.iter().find(|stream| stream.ssrc == ssrc)?;
                Some(stream.next)
            };
            let end = self.blocks.start_behind(number, ssrc).or_else(said);
            let end = end.unwrap_or(start.saturating_add(self.streams.run(ssrc)));
            Some(self.candidates.lacking(ssrc, start, end, MAX_SHARDS))
        });
        let manifest = 1;
        lacking.reduce(|one, other| one + other).map(|lacking| manifest + lacking)
    }
}

/// The low 32 bits, as feedback has room for.
fn low(count: u64) -> u32 {
    (count & 0xffff_ffff) as u32
}
