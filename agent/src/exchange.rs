//! The machine's copy of the box's clock, by which every machine of a lesson shows a frame at the
//! same moment.
//!
//! ```text
//!   link ── Ping ──▶ box ── Pong ──▶ Exchanges ── the newest ──▶ reception
//!     ▲                                  │
//!     └───────── when to ask next ◀──────┘
//! ```
//!
//! The link asks, quickly at first and then steadily, and reception is told by a [`watch`] channel:
//! it needs the newest copy and no other.
//!
//! What is known is forgotten when it is of another clock: the machine slept (its own stood still),
//! or the box has booted since, or it is another box. A box's service that starts anew goes on by
//! the same clock. A box that does not know of fine exchanges is asked quickly for a while, then as
//! seldom as any other, and what it sends is shown at once.

use std::time::Duration;

use alfarid_protocol::{control::Ticks, id::BootId};
use alfarid_stream::playout::{BoxClock, Exchange, Outcome, QUICK_GAP, STEADY_GAP};
use tokio::sync::watch;

/// How often it is asked quickly, whatever comes of it.
const QUICK: u8 = 16;

/// The link's end.
#[derive(Debug)]
pub struct Exchanges {
    clock: watch::Sender<BoxClock>,
    boot: Option<BootId>,
    /// Quick questions that are left.
    quick: u8,
}

/// Nothing is known yet.
pub fn exchanges() -> (Exchanges, watch::Receiver<BoxClock>) {
    let (clock, told) = watch::channel(BoxClock::new());
    (Exchanges { clock, boot: None, quick: QUICK }, told)
}

impl Exchanges {
    /// A question leaves. Returns how long after it the next one is due.
    pub(crate) fn asks(&mut self) -> Duration {
        let gap = self.clock.borrow().gap();
        if gap == QUICK_GAP && self.quick == 0 {
            return STEADY_GAP;
        }
        self.quick = self.quick.saturating_sub(1);
        gap
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, received: Duration, ticks: &Ticks) {
        if self.boot.replace(ticks.boot) != Some(ticks.boot) {
            self.forget();
        }
        let (heard, answered) =
            (Duration::from_nanos(ticks.heard_ns), Duration::from_nanos(ticks.answered_ns));
        // As if it had been asked later and answered at once: the box's own time with it is no part
        // of the way.
        let sent = Duration::from_nanos(ticks.sent_ns) + answered.saturating_sub(heard);
        let exchange = Exchange { sent, box_time: answered, received };
        let mut outcome = Outcome::Refused;
        self.clock.send_modify(|clock| outcome = clock.exchanged(exchange));
        if outcome != Outcome::Followed {
            tracing::debug!(?outcome, "an exchange of clocks was unlike those before it");
        }
    }

    /// What is known is of another clock, or will soon be.
    pub(crate) fn forget(&mut self) {
        self.quick = QUICK;
        self.clock.send_modify(BoxClock::forget);
    }

    /// Another connection: its box may have booted since, and is asked quickly again if it has.
    pub(crate) fn connects(&mut self) {
        self.quick = QUICK;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const BOOT: BootId = BootId(Uuid::from_u128(1));

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A question at `sent_ms` that took a millisecond each way; the box thought about it for long.
    fn ticks(sent_ms: u64, box_ms: u64, boot: BootId) -> (Duration, Ticks) {
        let nanos = |millis: u64| millis * 1_000_000;
        let (heard_ns, answered_ns) = (nanos(box_ms + 1), nanos(box_ms + 41));
        (ms(sent_ms + 42), Ticks { sent_ns: nanos(sent_ms), heard_ns, answered_ns, boot })
    }

    #[test]
    fn what_the_box_takes_to_answer_is_no_part_of_the_way() {
        let (mut exchanges, told) = exchanges();
        let (received, ticks) = ticks(5_000, 900_000, BOOT);
        exchanges.answered(received, &ticks);
        let clock = told.borrow();
        assert_eq!(clock.box_time(ms(6_000)), Some(ms(901_000)));
        assert!(clock.uncertainty(received).unwrap() < ms(2));
    }

    #[test]
    fn it_asks_quickly_at_first_and_a_silent_box_not_for_ever() {
        let (mut exchanges, _told) = exchanges();
        let quick = (0..100).take_while(|_| exchanges.asks() == QUICK_GAP).count();
        assert_eq!((quick, exchanges.asks()), (usize::from(QUICK), STEADY_GAP));
        exchanges.connects();
        for n in 0..8 {
            assert_eq!(exchanges.asks(), QUICK_GAP);
            let (received, ticks) = ticks(5_000 + 250 * n, 900_000 + 250 * n, BOOT);
            exchanges.answered(received, &ticks);
        }
        assert_eq!(exchanges.asks(), STEADY_GAP);
    }

    #[test]
    fn a_box_that_has_booted_since_has_another_clock() {
        let (mut exchanges, told) = exchanges();
        for (n, boot) in [(0, BOOT), (1, BootId(Uuid::from_u128(2)))] {
            let (received, ticks) = ticks(5_000 + 250 * n, 900_000 * (n + 1), boot);
            exchanges.answered(received, &ticks);
        }
        assert_eq!(told.borrow().box_time(ms(5_250)), Some(ms(1_800_000)));
        exchanges.forget();
        assert_eq!(told.borrow().box_time(ms(5_250)), None);
    }
}
