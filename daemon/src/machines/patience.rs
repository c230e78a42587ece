//! How much of one machine is put up with, over all its connections.
//!
//! A machine is a pupil's computer, and whoever has root on it says by it what they like. What it
//! may cost the box is counted for the machine and not for its connection: hanging up and dialling
//! in again forgives nothing, and harms nobody else.
//!
//! | what | an honest machine | is put up with | beyond |
//! |---|---|---|---|
//! | arrivals | dozens in a row while its Wi-Fi flaps | [`ARRIVALS`] | refused, to come later |
//! | messages | two a second | [`MESSAGES`] | refused |
//! | wishes for kept pictures, which are large | one for each arrival in a lesson | [`KEPT`] | not answered |
//! | tunnels, each of which begins with kept pictures | one, and again when it breaks | [`TUNNELS`] | refused, to come later |
//! | clock exchanges | one in five seconds | [`EXCHANGES`] | answered and not noted |
//! | messages of marks | one a minute, a few hundred after months away | [`MARKS`], and one part in [`SHARE`] of the time of whoever writes them down | written down later |
//!
//! Pure: time is handed in. What is remembered is little, and forgotten when it says nothing any
//! more.

use std::{collections::HashMap, time::Duration};

use alfarid_protocol::id::MachineId;

use crate::bucket::{Bucket, Rate};

const ARRIVALS: Rate = Rate { at_once: 60.0, per_second: 1.0 };
const KEPT: Rate = Rate { at_once: 60.0, per_second: 0.2 };
const TUNNELS: Rate = Rate { at_once: 30.0, per_second: 0.5 };
const MESSAGES: Rate = Rate { at_once: 200.0, per_second: 20.0 };
const EXCHANGES: Rate = Rate { at_once: 10.0, per_second: 0.5 };
const MARKS: Rate = Rate { at_once: 8.0, per_second: 1.0 };

/// Marks that took so long to write down are followed by others after that time so many times over.
const SHARE: u32 = 10;

/// But no later than this: the machine should not wonder whether the box has heard it.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// When more machines than this are remembered, those that say nothing any more are forgotten. A
/// machine of which nothing is known has a key that the box knows: there are no more of them than
/// the box has let in.
const REMEMBERED: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Patience {
    machines: HashMap<MachineId, Borne>,
}

/// What was borne of one machine.
#[derive(Debug)]
struct Borne {
    arrivals: Bucket,
    kept: Bucket,
    tunnels: Bucket,
    messages: Bucket,
    exchanges: Bucket,
    marks: Bucket,
    /// Until when whoever writes its marks down rests from it.
    rest: Duration,
}

impl Patience {
    /// The machine dials in. `false`: too often.
    pub(super) fn arrives(&mut self, machine: MachineId, now: Duration) -> bool {
        if self.machines.len() >= REMEMBERED {
            self.machines.retain(|_, borne| !borne.is_forgiven(now));
        }
        self.of(machine, now).arrivals.take(ARRIVALS, now)
    }

    /// It says something. `false`: that was one message too many.
    pub(super) fn speaks(&mut self, machine: MachineId, now: Duration) -> bool {
        self.of(machine, now).messages.take(MESSAGES, now)
    }

    /// It wants kept pictures. `false`: too often.
    pub(super) fn wants_kept(&mut self, machine: MachineId, now: Duration) -> bool {
        self.of(machine, now).kept.take(KEPT, now)
    }

    /// It opens a tunnel. `false`: too often.
    pub(super) fn tunnels(&mut self, machine: MachineId, now: Duration) -> bool {
        self.of(machine, now).tunnels.take(TUNNELS, now)
    }

    /// It exchanges clocks. `false`: too often to be noted.
    pub(super) fn exchanges_clocks(&mut self, machine: MachineId, now: Duration) -> bool {
        self.of(machine, now).exchanges.take(EXCHANGES, now)
    }

    /// It has marks to be written down. `Err`: not before so much time.
    pub(super) fn tells_marks(
        &mut self,
        machine: MachineId,
        now: Duration,
    ) -> Result<(), Duration> {
        let borne = self.of(machine, now);
        let rest = borne.rest.saturating_sub(now);
        if !rest.is_zero() {
            return Err(rest);
        }
        if borne.marks.take(MARKS, now) { Ok(()) } else { Err(borne.marks.until_one(MARKS)) }
    }

    /// Its marks are on disk now, which took so long.
    pub(super) fn marks_took(&mut self, machine: MachineId, took: Duration, now: Duration) {
        let rest = took.saturating_mul(SHARE - 1).min(LONGEST_REST);
        self.of(machine, now).rest = now + rest;
    }

    fn of(&mut self, machine: MachineId, now: Duration) -> &mut Borne {
        self.machines.entry(machine).or_insert_with(|| Borne::new(now))
    }
}

impl Borne {
    fn new(now: Duration) -> Self {
        Self {
            arrivals: Bucket::full(ARRIVALS, now),
            kept: Bucket::full(KEPT, now),
            tunnels: Bucket::full(TUNNELS, now),
            messages: Bucket::full(MESSAGES, now),
            exchanges: Bucket::full(EXCHANGES, now),
            marks: Bucket::full(MARKS, now),
            rest: Duration::ZERO,
        }
    }

    /// It is as if nothing had been.
    fn is_forgiven(&mut self, now: Duration) -> bool {
        let buckets = [
            (&mut self.arrivals, ARRIVALS),
            (&mut self.kept, KEPT),
            (&mut self.tunnels, TUNNELS),
            (&mut self.messages, MESSAGES),
            (&mut self.exchanges, EXCHANGES),
            (&mut self.marks, MARKS),
        ];
        self.rest <= now && buckets.into_iter().all(|(bucket, rate)| bucket.is_full(rate, now))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HOSTILE: MachineId = MachineId(Uuid::from_u128(1));
    const HONEST: MachineId = MachineId(Uuid::from_u128(2));

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_flood_is_not_borne_and_an_honest_pace_is() {
        let mut patience = Patience::default();
        assert!((0..200).all(|_| patience.speaks(HOSTILE, ms(0))));
        assert!(!patience.speaks(HOSTILE, ms(0)));
        assert!((0..10_000).all(|n| patience.speaks(HONEST, ms(n * 100))));
    }

    #[test]
    fn dialling_in_again_forgives_nothing() {
        let mut patience = Patience::default();
        while patience.speaks(HOSTILE, ms(0)) {}
        assert!(patience.arrives(HOSTILE, ms(0)));
        assert!(!patience.speaks(HOSTILE, ms(0)));
        let arrivals = (0..1_000).filter(|n| patience.arrives(HOSTILE, ms(n * 10))).count();
        assert!((68..=70).contains(&arrivals), "{arrivals} in ten seconds");
        let kept = (0..1_000).filter(|n| patience.wants_kept(HOSTILE, ms(n * 100))).count();
        assert!((78..=82).contains(&kept), "{kept} in a hundred seconds");
    }

    #[test]
    fn a_machine_that_keeps_trying_gets_in() {
        let mut patience = Patience::default();
        // As the agent waits: no longer than a second, in the first minute.
        while patience.arrives(HONEST, ms(0)) {}
        let arrivals = (1..=60).filter(|n| patience.arrives(HONEST, ms(n * 1_000))).count();
        assert!(arrivals >= 59, "{arrivals} in a minute");
    }

    #[test]
    fn who_takes_long_to_write_down_has_a_tenth_of_the_time() {
        let mut patience = Patience::default();
        let (mut now, mut busy) = (ms(0), ms(0));
        while now < ms(60_000) {
            match patience.tells_marks(HOSTILE, now) {
                Ok(()) => {
                    now += ms(400);
                    busy += ms(400);
                    patience.marks_took(HOSTILE, ms(400), now);
                }
                Err(wait) => now += wait,
            }
        }
        assert!(busy <= ms(6_800), "{busy:?} of {now:?}");
    }

    #[test]
    fn marks_of_a_school_year_are_there_in_minutes() {
        let mut patience = Patience::default();
        let mut now = ms(0);
        for _ in 0..390 {
            while let Err(wait) = patience.tells_marks(HONEST, now) {
                now += wait;
            }
            now += ms(20);
            patience.marks_took(HONEST, ms(20), now);
        }
        assert!(now < Duration::from_mins(8), "{now:?}");
    }

    #[test]
    fn who_says_nothing_any_more_is_forgotten() {
        let mut patience = Patience::default();
        for machine in 0..10_000 {
            let id = MachineId(Uuid::from_u64_pair(0, machine));
            patience.arrives(id, Duration::from_secs(machine));
        }
        assert!(patience.machines.len() <= REMEMBERED + 1);
    }
}
