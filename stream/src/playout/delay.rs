//! D, the one playout delay of a lesson, from what each machine needs.
//!
//! A machine measures how late whole frames come over their base ([`Need`]) and says so once a
//! second. The box takes the largest of all machines' ([`Delay`]): all show the same frame
//! together, so the slowest decides, within limits.
//!
//! ```text
//!   D  250 ┤        ╭╮        rises at once, so that no second frame is late for the same reason
//!          │        │╰──╮
//!          │        │   ╰──╮  falls by 1 % a second, so that sound can follow by resampling
//!       60 ┼────────╯      ╰─────
//! ```
//!
//! What the limits mean: a machine that would need more than [`MAX_DELAY`] shows late frames when
//! they come, alone. A hostile one can claim [`MAX_DELAY`] and make a class wait for a quarter of a
//! second, not longer.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use super::{AFTERMATH, sliding::Sliding};

/// The least D, on a good wire: a frame time for pacing, one for decoding.
pub const MIN_DELAY: Duration = Duration::from_millis(60);

/// The most that a class waits for its slowest machine.
pub const MAX_DELAY: Duration = Duration::from_millis(250);

/// A frame that was just in time for the agent still has to be decoded: a 1080p picture in software
/// takes this long.
const HEADROOM: Duration = Duration::from_millis(15);

/// What D keeps of itself in a second.
const KEPT: f64 = 0.99;

/// Seconds over which a machine looks for its latest frame. Three keyframes are in them.
const WINDOW: u64 = 10;

/// Frames that are looked at in that time: of 60 a second, all.
const FRAMES: usize = 600;

/// One in so many frames may be later than a machine needs.
const LATER: usize = 10;

/// A machine that has said nothing for so long is gone.
const SILENT: Duration = Duration::from_secs(10);

/// Most machines whose need is kept: far more than a room holds. Full: a further one waits for D as
/// it is.
const MAX_MACHINES: usize = 1_024;

/// What one machine needs of one stream, measured there.
///
/// Of frames that were repaired the largest lateness counts: at one late frame in a hundred, people
/// see a stumble every three seconds. Of frames that came as they were sent, one in ten may be
/// later: a browser paces its keyframes over more than a tenth of a second, which is late for all
/// machines alike. They show it together as it comes; to wait for it always would cost every frame
/// that time. Frames later than [`MAX_DELAY`] do not count, for no delay would have saved them, nor
/// do those that waited for them.
#[derive(Clone, Debug)]
pub struct Need {
    /// Of repaired frames. Least so is greatest.
    repaired: Sliding<std::cmp::Reverse<Duration>>,
    /// When others came, and how late. At most [`FRAMES`]; full: the oldest goes.
    others: VecDeque<(Duration, Duration)>,
    hopeless: u64,
    hopeless_at: Option<Duration>,
}

impl Default for Need {
    fn default() -> Self {
        let repaired = Sliding::over(WINDOW);
        Self { repaired, others: VecDeque::with_capacity(FRAMES), hopeless: 0, hopeless_at: None }
    }
}

impl Need {
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole frame came `late` after its base, repaired or as it was sent.
    pub fn came(&mut self, now: Duration, late: Duration, is_repaired: bool) {
        if late > MAX_DELAY {
            self.hopeless += 1;
            self.hopeless_at = Some(now);
        } else if self.hopeless_at.is_some_and(|at| now <= at + AFTERMATH) {
            // It was whole long before.
        } else if is_repaired {
            self.repaired.push(now, std::cmp::Reverse(late));
        } else {
            if self.others.len() == FRAMES {
                self.others.pop_front();
            }
            self.others.push_back((now, late));
        }
    }

    /// How late frames of the last 10 s came, but for what need not be waited for. `None` if none
    /// came.
    pub fn measured(&mut self, now: Duration) -> Option<Duration> {
        self.repaired.expire(now);
        self.others.retain(|(came, _)| now.saturating_sub(*came) <= Duration::from_secs(WINDOW));
        let mut others: Vec<_> = self.others.iter().map(|(_, late)| *late).collect();
        others.sort_unstable();
        // Of less than ten, the latest.
        let most = others.len().saturating_sub(1 + others.len() / LATER);
        let repaired = self.repaired.least().map(|latest| latest.0);
        repaired.max(others.get(most).copied())
    }

    /// Frames so late that no delay would have saved them.
    pub fn hopeless(&self) -> u64 {
        self.hopeless
    }
}

/// The delay of one lesson, kept on the box. `K` names a machine.
#[derive(Clone, Debug)]
pub struct Delay<K> {
    /// When each machine said what. At most [`MAX_MACHINES`].
    needs: HashMap<K, (Duration, Duration)>,
    /// D at a moment; it falls from then on.
    last: (Duration, Duration),
}

impl<K: Eq + Hash> Delay<K> {
    pub fn new(now: Duration) -> Self {
        Self { needs: HashMap::new(), last: (now, MIN_DELAY) }
    }

    /// A machine says what it needs ([`Need::measured`]).
    pub fn needs(&mut self, now: Duration, machine: K, need: Duration) {
        self.current(now);
        if self.needs.len() < MAX_MACHINES || self.needs.contains_key(&machine) {
            self.needs.insert(machine, (now, need));
        }
    }

    /// A machine left the lesson.
    pub fn left(&mut self, machine: &K) {
        self.needs.remove(machine);
    }

    /// D now. To be asked for every heartbeat, which carries it to all.
    pub fn current(&mut self, now: Duration) -> Duration {
        self.needs.retain(|_, (said, _)| now.saturating_sub(*said) < SILENT);
        let need = self.needs.values().map(|(_, need)| *need).max().unwrap_or_default();
        let (at, last) = self.last;
        let fallen = last.mul_f64(KEPT.powf(now.saturating_sub(at).as_secs_f64()));
        let delay = need.saturating_add(HEADROOM).max(fallen).clamp(MIN_DELAY, MAX_DELAY);
        self.last = (now, delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_slowest_machine_decides_within_limits() {
        let mut delay = Delay::new(ms(0));
        assert_eq!(delay.current(ms(0)), MIN_DELAY);
        delay.needs(ms(0), 1, ms(20));
        assert_eq!(delay.current(ms(0)), MIN_DELAY);
        delay.needs(ms(0), 2, ms(135));
        assert_eq!(delay.current(ms(0)), ms(150), "it rises at once");
        delay.needs(ms(100), 3, Duration::MAX);
        assert_eq!(delay.current(ms(100)), MAX_DELAY);
    }

    #[test]
    fn it_falls_by_one_percent_a_second() {
        let mut delay = Delay::new(ms(0));
        delay.needs(ms(0), 1, ms(185));
        assert_eq!(delay.current(ms(0)), ms(200));
        delay.needs(ms(0), 1, ms(5));
        // However often it is asked.
        for tenth in 1..=100 {
            delay.current(ms(100 * tenth));
        }
        let after_ten = delay.current(ms(10_000)).as_secs_f64();
        assert!((after_ten - 0.2 * 0.99_f64.powi(10)).abs() < 1e-4, "{after_ten}");
        assert_eq!(delay.current(ms(130_000)), MIN_DELAY);
    }

    #[test]
    fn it_does_not_fall_below_what_is_needed() {
        let mut delay = Delay::new(ms(0));
        for second in 0..300 {
            delay.needs(ms(1_000 * second), 1, ms(85));
        }
        assert_eq!(delay.current(ms(299_000)), ms(100));
    }

    #[test]
    fn who_is_gone_holds_nobody_up() {
        let mut delay = Delay::new(ms(0));
        delay.needs(ms(0), 1, ms(185));
        delay.needs(ms(0), 2, ms(185));
        delay.left(&1);
        assert_eq!(delay.current(ms(9_000)), ms(200), "the other one is still there");
        assert!(delay.current(ms(11_000)) < ms(200), "and silent now");
    }

    #[test]
    fn more_machines_than_can_be_wait_as_well() {
        let mut delay = Delay::new(ms(0));
        for machine in 0..5_000 {
            delay.needs(ms(0), machine, ms(10));
        }
        assert_eq!(delay.needs.len(), MAX_MACHINES);
        delay.needs(ms(1), 7, ms(100));
        assert_eq!(delay.current(ms(1)), ms(115));
    }

    #[test]
    fn what_the_publisher_sends_late_now_and_then_is_not_waited_for() {
        let mut need = Need::new();
        for n in 0..300 {
            // A keyframe in 4 s, and what queued behind it.
            let late = if n % 120 < 7 { 140 } else { n % 10 };
            need.came(ms(33 * n), ms(late), false);
        }
        assert_eq!(need.measured(ms(9_900)), Some(ms(9)));
        need.came(ms(9_900), ms(110), true);
        assert_eq!(need.measured(ms(9_901)), Some(ms(110)));
        for n in 300..600 {
            need.came(ms(33 * n), ms(if n % 5 == 0 { 80 } else { 0 }), false);
        }
        assert_eq!(need.measured(ms(19_899)), Some(ms(110)), "for ten seconds");
        assert_eq!(need.measured(ms(22_000)), Some(ms(80)), "one in five is too many");
    }

    #[test]
    fn what_waited_for_a_hopeless_frame_is_not_waited_for_either() {
        let mut need = Need::new();
        need.came(ms(0), ms(30), true);
        for late in [260, 227, 194] {
            need.came(ms(300), ms(late), true);
        }
        assert_eq!((need.measured(ms(300)), need.hopeless()), (Some(ms(30)), 1));
        need.came(ms(400), ms(194), true);
        assert_eq!(need.measured(ms(400)), Some(ms(194)), "this one needed it itself");
    }

    #[test]
    fn a_machine_needs_what_its_latest_frame_needed() {
        let mut need = Need::new();
        assert_eq!(need.measured(ms(0)), None);
        need.came(ms(100), ms(90), true);
        need.came(ms(200), ms(20), false);
        need.came(ms(300), ms(5_000), true);
        assert_eq!((need.measured(ms(5_000)), need.hopeless()), (Some(ms(90)), 1));
        need.came(ms(5_000), ms(30), true);
        assert_eq!(need.measured(ms(12_000)), Some(ms(30)));
        assert_eq!(need.measured(ms(60_000)), None);
    }
}
