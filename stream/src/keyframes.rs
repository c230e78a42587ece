//! When a publisher is asked for a keyframe.
//!
//! A keyframe costs as much as a second of video, so nobody gets one for the asking. They come
//! often enough that the kept pictures ([`gop`](crate::gop)) stay short and a machine that lost one
//! is soon whole again, and seldom enough that thirty machines coming back at once cost one
//! keyframe. This is the policy alone: what asking means (a PLI, an encoder's property) is the
//! source's business.
//!
//! | reason | asked when |
//! |---|---|
//! | [`Reason::Regular`] | [`REGULAR`] or [`REGULAR_BYTES`] after the last; [`STILL`] if under [`STILL_BYTES`] went by |
//! | [`Reason::Joiner`] | a machine joins and the newest is over [`FRESH`] old, once in [`PER_MACHINE`] for each |
//! | [`Reason::Needed`] | the relay cannot go on without one, or the kept pictures are overgrown |
//!
//! All together at most once in [`APART`]; a request that finds no answer is repeated no faster.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// A regular keyframe is due so long after the last...
pub const REGULAR: Duration = Duration::from_secs(4);
/// ... or after so many bytes...
pub const REGULAR_BYTES: u64 = 1_000_000;
/// ... but on a still screen only so long after it.
pub const STILL: Duration = Duration::from_secs(10);
/// A screen is still while fewer bytes went by since the last keyframe.
pub const STILL_BYTES: u64 = 50_000;
/// The kept pictures serve a joiner well while their keyframe is no older.
pub const FRESH: Duration = Duration::from_secs(1);
/// No two requests are closer.
pub const APART: Duration = Duration::from_secs(1);
/// One machine causes no two requests closer than this, however often it joins.
pub const PER_MACHINE: Duration = Duration::from_secs(10);

/// Most machines whose last request is remembered: far more than a room holds. Full: a further
/// machine's request is not counted, and it plays from the kept pictures.
const MAX_MACHINES: usize = 1_024;

/// Why a keyframe is asked for: a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Regular,
    Joiner,
    Needed,
}

/// The policy for one outgoing video track. `K` names a machine.
#[derive(Debug)]
pub struct Keyframes<K> {
    /// When the newest keyframe started; before the first: when this track did.
    newest: Duration,
    /// Bytes since the newest keyframe, its own included.
    bytes: u64,
    asked: Option<Duration>,
    /// What was asked for since the newest keyframe and overrides the regular time.
    wanted: Option<Reason>,
    /// When a machine last caused a request; entries older than [`PER_MACHINE`] are dropped.
    machines: HashMap<K, Duration>,
}

impl<K: Eq + Hash> Keyframes<K> {
    /// A track without a keyframe yet. None is asked for before someone needs one.
    pub fn new(now: Duration) -> Self {
        Self { newest: now, bytes: 0, asked: None, wanted: None, machines: HashMap::new() }
    }

    /// The relay sent a packet of `bytes`; `keyframe` when it is the first of a keyframe, which
    /// answers every request so far.
    pub fn sent(&mut self, now: Duration, bytes: usize, keyframe: bool) {
        if keyframe {
            self.newest = now;
            self.bytes = 0;
            self.wanted = None;
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// A machine begins to watch, from the kept pictures on.
    pub fn joined(&mut self, now: Duration, machine: K) {
        let recently = |at: Duration| now.saturating_sub(at) < PER_MACHINE;
        self.machines.retain(|_, at| recently(*at));
        if self.wanted.is_some() || now.saturating_sub(self.newest) <= FRESH {
            return;
        }
        if self.machines.len() < MAX_MACHINES && !self.machines.contains_key(&machine) {
            self.machines.insert(machine, now);
            self.wanted = Some(Reason::Joiner);
        }
    }

    /// Nothing useful can be sent before the next keyframe.
    pub fn needed(&mut self) {
        self.wanted = Some(Reason::Needed);
    }

    /// Whether to ask the publisher now. A reason that is given counts as asked.
    pub fn poll(&mut self, now: Duration) -> Option<Reason> {
        if now < self.next_timeout() {
            return None;
        }
        self.asked = Some(now);
        Some(self.wanted.unwrap_or(Reason::Regular))
    }

    /// When the next request is due, if nothing changes before. May lie in the past: poll then.
    pub fn next_timeout(&self) -> Duration {
        let due = match self.wanted {
            Some(_) => Duration::ZERO,
            None if self.bytes >= REGULAR_BYTES => Duration::ZERO,
            None if self.bytes < STILL_BYTES => self.newest + STILL,
            None => self.newest + REGULAR,
        };
        due.max(self.asked.map_or(Duration::ZERO, |asked| asked + APART))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A track whose keyframe of 100 kB started at 0.
    fn keyframes() -> Keyframes<u8> {
        let mut keyframes = Keyframes::new(ms(0));
        keyframes.sent(ms(0), 100_000, true);
        keyframes
    }

    #[test]
    fn regular_ones_come_by_time() {
        let mut keyframes = keyframes();
        assert_eq!(keyframes.next_timeout(), REGULAR);
        assert_eq!(keyframes.poll(ms(3_999)), None);
        assert_eq!(keyframes.poll(ms(4_000)), Some(Reason::Regular));
        assert_eq!(keyframes.poll(ms(4_999)), None, "unanswered, but asked just now");
        assert_eq!(keyframes.poll(ms(5_000)), Some(Reason::Regular));
        keyframes.sent(ms(5_100), 60_000, true);
        assert_eq!(keyframes.poll(ms(9_099)), None);
        assert_eq!(keyframes.poll(ms(9_100)), Some(Reason::Regular));
    }

    #[test]
    fn regular_ones_come_by_bytes() {
        let mut keyframes = keyframes();
        keyframes.sent(ms(500), 899_999, false);
        assert_eq!(keyframes.poll(ms(500)), None);
        keyframes.sent(ms(600), 1, false);
        assert_eq!(keyframes.poll(ms(600)), Some(Reason::Regular));
    }

    #[test]
    fn a_still_screen_is_asked_seldom() {
        let mut keyframes: Keyframes<u8> = Keyframes::new(ms(0));
        keyframes.sent(ms(0), 40_000, true);
        assert_eq!(keyframes.poll(ms(9_999)), None);
        assert_eq!(keyframes.poll(ms(10_000)), Some(Reason::Regular));
        keyframes.sent(ms(10_100), 40_000, true);
        keyframes.sent(ms(15_000), 10_000, false);
        assert_eq!(keyframes.poll(ms(15_000)), Some(Reason::Regular), "it moves again");
    }

    #[test]
    fn a_joiner_gets_a_fresh_one_unless_there_is_one() {
        let mut keyframes = keyframes();
        keyframes.joined(ms(1_000), 1);
        assert_eq!(keyframes.poll(ms(1_000)), None);
        keyframes.joined(ms(1_001), 2);
        assert_eq!(keyframes.poll(ms(1_001)), Some(Reason::Joiner));
        keyframes.sent(ms(1_100), 100_000, true);
        assert_eq!(keyframes.poll(ms(4_000)), None, "answered");
    }

    #[test]
    fn a_class_that_comes_back_costs_one_keyframe() {
        let mut keyframes = keyframes();
        for machine in 0..30 {
            keyframes.joined(ms(2_000 + u64::from(machine)), machine);
        }
        assert_eq!(keyframes.poll(ms(2_030)), Some(Reason::Joiner));
        keyframes.sent(ms(2_100), 100_000, true);
        for machine in 30..60 {
            keyframes.joined(ms(2_900 + u64::from(machine)), machine);
        }
        assert_eq!(keyframes.poll(ms(3_099)), None);
    }

    #[test]
    fn who_joins_while_one_is_on_its_way_has_not_asked() {
        let mut keyframes = keyframes();
        keyframes.joined(ms(2_000), 1);
        keyframes.joined(ms(2_000), 2);
        assert_eq!(keyframes.poll(ms(2_000)), Some(Reason::Joiner));
        keyframes.sent(ms(2_100), 100_000, true);
        keyframes.joined(ms(4_000), 2);
        assert_eq!(keyframes.poll(ms(4_000)), Some(Reason::Joiner));
    }

    #[test]
    fn one_machine_causes_no_more_than_its_share() {
        let mut keyframes = keyframes();
        keyframes.joined(ms(2_000), 1);
        assert_eq!(keyframes.poll(ms(2_000)), Some(Reason::Joiner));
        keyframes.sent(ms(2_100), 100_000, true);
        keyframes.joined(ms(4_000), 1);
        assert_eq!(keyframes.poll(ms(4_000)), None);
        keyframes.joined(ms(4_000), 2);
        assert_eq!(keyframes.poll(ms(4_000)), Some(Reason::Joiner));
        for seconds in [6, 8, 10, 12] {
            keyframes.sent(ms(1_000 * seconds), 100_000, true);
        }
        keyframes.joined(ms(13_500), 1);
        assert_eq!(keyframes.poll(ms(13_500)), Some(Reason::Joiner), "its ten seconds are over");
    }

    #[test]
    fn what_is_needed_is_asked_for_once_a_second_until_it_comes() {
        let mut keyframes = keyframes();
        let mut asked = Vec::new();
        for millis in (100..3_000).step_by(100) {
            keyframes.needed();
            asked.extend(keyframes.poll(ms(millis)).map(|reason| (millis, reason)));
        }
        assert_eq!(asked, [100, 1_100, 2_100].map(|at| (at, Reason::Needed)));
        keyframes.sent(ms(3_000), 100_000, true);
        assert_eq!(keyframes.next_timeout(), ms(7_000));
    }
}
