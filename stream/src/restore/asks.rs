//! When a block is asked for, and how long an answer is waited for.

use std::time::Duration;

use super::{ASKS, LATE_APART, ROUNDS, SETTLING};

/// What one machine says is said once more after so long, for where answers are lost, requests are
/// too. An outage takes both less often the farther apart they are; the answer to the second must
/// still come before it is missing.
const SAID_AGAIN: Duration = Duration::from_millis(10);
/// What the box waits before it answers, how long it sends, and the network's jitter, at the least.
const ANSWERING: Duration = Duration::from_millis(20);

/// The requests of one block. Each is said twice, and the box hears the second only if it did not
/// hear the first.
#[derive(Debug)]
pub(super) struct Asks {
    next: Duration,
    /// So many are over.
    rounds: u8,
    /// The last one is to be said once more, and when the one after it is due.
    again: Option<Duration>,
    /// When the first request was said, until anything comes.
    since: Option<Duration>,
}

impl Asks {
    /// The first one is due so long after `known`, when nothing more can be on its way.
    pub(super) fn new(known: Duration) -> Self {
        Self { next: known + SETTLING, rounds: 0, again: None, since: None }
    }

    /// When to ask, if the block is still short then.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.rounds < ROUNDS).then_some(self.next)
    }

    /// How often it was asked for.
    pub(super) fn rounds(&self) -> u8 {
        self.rounds
    }

    /// It was asked for now; the answer is there after `answering`.
    pub(super) fn asked(&mut self, now: Duration, answering: Duration) {
        match self.again.take() {
            None => {
                let is_late = self.rounds + 1 >= ASKS;
                let apart = if is_late { answering.max(LATE_APART) } else { answering };
                self.again = Some(now + apart);
                self.next = now + SAID_AGAIN;
                if self.rounds == 0 {
                    self.since = Some(now);
                }
            }
            Some(answered) => {
                self.rounds += 1;
                self.next = answered.max(now + SETTLING);
            }
        }
    }

    /// No answer would be waited for any more.
    pub(super) fn stop(&mut self) {
        self.rounds = ROUNDS;
    }

    /// Something came; more of it may be behind. Gives how long after the first request it did,
    /// once: too long where that one was lost, while counting from a later one would make each late
    /// answer a quick one.
    pub(super) fn came(&mut self, now: Duration) -> Option<Duration> {
        self.next = self.next.max(now + SETTLING);
        self.since.take().map(|since| now.saturating_sub(since))
    }
}

/// How long answers take, smoothed as RFC 6298 §2 does it: where fifty machines on one access point
/// lack the same, the last is answered long after the first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// And how far off they are from that.
    took: Option<(Duration, Duration)>,
}

impl Answers {
    pub(super) fn came(&mut self, after: Duration) {
        self.took = Some(match self.took {
            None => (after, after / 2),
            Some((mean, off)) => ((mean * 7 + after) / 8, (off * 3 + after.abs_diff(mean)) / 4),
        });
    }

    /// When an answer is missing.
    pub(super) fn missing_after(&self, round_trip: Duration) -> Duration {
        let measured = self.took.map_or(Duration::ZERO, |(mean, off)| mean + 2 * off);
        measured.max(round_trip + ANSWERING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_answer_is_missing_later_where_answers_take_longer() {
        let mut answers = Answers::default();
        assert_eq!(answers.missing_after(ms(30)), ms(50));
        answers.came(ms(25));
        assert_eq!(answers.missing_after(ms(30)), ms(50), "never sooner than the network allows");
    }

    /// How often a block is asked for whose answer comes 70 ms after the first request.
    fn rounds(answers: &mut Answers) -> u8 {
        let mut asks = Asks::new(ms(0));
        for at in (0..75).map(ms) {
            if asks.next().is_some_and(|next| next <= at) {
                asks.asked(at, answers.missing_after(ms(30)));
            }
        }
        let after = asks.came(ms(75)).unwrap();
        assert_eq!(asks.came(ms(76)), None, "the rest of it");
        answers.came(after);
        asks.rounds()
    }

    #[test]
    fn answers_that_always_come_late_are_waited_for() {
        let mut answers = Answers::default();
        assert_eq!(rounds(&mut answers), 2, "50 ms are over");
        assert!((0..8).any(|_| rounds(&mut answers) == 1));
        assert_eq!(rounds(&mut answers), 1);
    }
}
