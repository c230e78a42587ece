//! Wrong passwords and wrong codes slow down, and never lock anybody out.
//!
//! ```text
//!   a browser that has logged in to this account before     counted by itself alone
//!
//!   any other browser ──┬── its address: some tries are free, then 1 s, 2 s, 4 s .. 30 s between
//!                       └── the account: some are free, then one try a second for all strangers
//!                           together, each address in its turn
//!
//!   a student's code ──┬── a browser that one has let in before: counted by that student alone
//!                      └── any other: its address; tries for a whole class are free, then one a
//!                          second
//! ```
//!
//! So whoever guesses at a teacher's password slows down themselves and other strangers; the
//! teacher's own browser does not notice, and even on a strange one their turn comes, after as
//! many seconds as addresses are guessing.
//!
//! A code names no account: whoever guesses, guesses at all of a school's together. A thousand
//! codes of 40 bits last for some 35 years at one try a second, and so nobody need wait for longer,
//! whoever else tries behind their address. Who takes every try there keeps new browsers waiting
//! for one, and nobody whose browser is known: not the class that has signed in yesterday.
//!
//! A known browser is counted by its student and not by itself: else whoever has one code could
//! make new browsers known with it, and guess at the others' by each.
//!
//! Every try is counted when it begins, not when it has failed: a hundred at once are a hundred.
//! What is counted is forgotten after a quarter of an hour of peace. All time here is monotonic,
//! and all of it lives in memory: a restart forgives.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use alfarid_protocol::id::StudentId;

use crate::http::network;

/// What tries from one place are measured by.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Tries before it has to wait.
    free: u32,
    /// Doubling from a second.
    longest_wait: Duration,
}

/// People mistype, and a staff room may share one address.
const PASSWORDS: Measure = Measure { free: 10, longest_wait: Duration::from_secs(30) };

/// A student mistypes, and whose browser is known has no reason to guess.
const KNOWN_CODES: Measure = Measure { free: 10, longest_wait: Duration::from_secs(5) };

/// A class may share one address, and each of it mistypes once.
const FREE_CODES: u32 = 30;

/// Between tries of codes from one address beyond the free ones.
const CODE_TURN: Duration = Duration::from_secs(1);

/// Tries of all strangers at one account before they queue.
const FREE_STRANGERS: u32 = 20;

/// Between tries of strangers at one account: 86 400 guesses a day, against 8 characters.
const TURN: Duration = Duration::from_secs(1);

const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);

/// A turn that was given and not taken falls to the next.
const TURN_LAPSES_AFTER: Duration = Duration::from_secs(30);

/// Entries of each kind that are remembered. Beyond it the half that is untouched for longest is
/// forgotten: a school has fewer browsers, and each entry costs a try to make.
const REMEMBERED: usize = 4096;

/// Addresses that may queue for one account; more are told to wait without a place.
const QUEUE: usize = 256;

/// Who tries, at which account.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) account: String,
    pub(super) from: IpAddr,
    /// A browser that has logged in to this account before.
    pub(super) known_device: Option<[u8; 32]>,
}

/// Who tries a student's code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guest {
    /// A browser that a code of this student's has let in before.
    Known(StudentId),
    Stranger(IpAddr),
}

#[derive(Debug, Default)]
pub(super) struct Slowdown {
    devices: Table<[u8; 32], Tries>,
    addresses: Table<IpAddr, Tries>,
    accounts: Table<String, Strangers>,
    known_codes: Table<StudentId, Tries>,
    codes: Table<IpAddr, Bucket>,
}

impl Slowdown {
    /// Counts a try and lets it go on, or says how long to wait: then nothing is counted.
    pub(super) fn admit(&mut self, attempt: &Attempt, now: Duration) -> Result<(), Duration> {
        if let Some(device) = attempt.known_device {
            return self.devices.entry(device, now).admit(PASSWORDS, now);
        }
        let network = network(attempt.from);
        let tries = self.addresses.entry(network, now);
        tries.wait(PASSWORDS, now).map_or(Ok(()), Err)?;
        self.accounts.entry(attempt.account.clone(), now).take_turn(network, now)?;
        tries.count(now);
        Ok(())
    }

    /// As [`Slowdown::admit`], of a student's code.
    pub(super) fn admit_code(&mut self, guest: Guest, now: Duration) -> Result<(), Duration> {
        match guest {
            Guest::Known(student) => self.known_codes.entry(student, now).admit(KNOWN_CODES, now),
            Guest::Stranger(from) => self.codes.entry(network(from), now).take(now),
        }
    }

    /// The code was right. Only this try is forgiven, as in [`Slowdown::forgive`].
    pub(super) fn forgive_code(&mut self, guest: Guest, now: Duration) {
        match guest {
            Guest::Known(student) => self.known_codes.entry(student, now).give_back(),
            Guest::Stranger(from) => self.codes.entry(network(from), now).give_back(),
        }
    }

    /// The try was no guess.
    pub(super) fn forgive(&mut self, attempt: &Attempt, now: Duration) {
        if let Some(device) = attempt.known_device {
            self.devices.forget(&device);
            return;
        }
        // Only this try: else whoever has one account could guess at another for ever.
        self.addresses.entry(network(attempt.from), now).give_back();
        let strangers = self.accounts.entry(attempt.account.clone(), now);
        strangers.count = strangers.count.saturating_sub(1);
    }
}

/// Tries from one place.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last: Duration,
}

impl Tries {
    /// As if it had not been tried.
    fn give_back(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    fn admit(&mut self, by: Measure, now: Duration) -> Result<(), Duration> {
        self.wait(by, now).map_or(Ok(()), Err)?;
        self.count(now);
        Ok(())
    }

    fn wait(&self, by: Measure, now: Duration) -> Option<Duration> {
        let over = self.count.checked_sub(by.free)?;
        let wait = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(u64::MAX));
        let until = self.last + wait.min(by.longest_wait);
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn count(&mut self, now: Duration) {
        self.count = self.count.saturating_add(1);
        self.last = now;
    }
}

/// Tries of codes from one address: a bucket that holds [`FREE_CODES`], and gets one back each
/// [`CODE_TURN`].
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: Duration,
    last: Duration,
}

impl Bucket {
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + CODE_TURN;
        let wait = full_at.saturating_sub(now + CODE_TURN * FREE_CODES);
        if !wait.is_zero() {
            return Err(wait);
        }
        *self = Self { full_at, last: now };
        Ok(())
    }

    fn give_back(&mut self) {
        self.full_at = self.full_at.saturating_sub(CODE_TURN);
    }
}

/// Tries of strangers at one account.
#[derive(Clone, Debug, Default)]
struct Strangers {
    count: u32,
    last: Duration,
    next_turn: Duration,
    /// Whose turn is when.
    turns: HashMap<IpAddr, Duration>,
}

impl Strangers {
    fn take_turn(&mut self, from: IpAddr, now: Duration) -> Result<(), Duration> {
        self.turns.retain(|_, turn| now < *turn + TURN_LAPSES_AFTER);
        if self.count >= FREE_STRANGERS {
            let turn = match self.turns.get(&from) {
                Some(turn) => *turn,
                None => self.queue(from, now),
            };
            let wait = turn.saturating_sub(now);
            if !wait.is_zero() {
                return Err(wait);
            }
            self.turns.remove(&from);
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        Ok(())
    }

    fn queue(&mut self, from: IpAddr, now: Duration) -> Duration {
        let turn = self.next_turn.max(now);
        if self.turns.len() < QUEUE {
            self.turns.insert(from, turn);
            self.next_turn = turn + TURN;
        }
        turn
    }
}

trait Remembered: Default {
    fn last(&self) -> Duration;
}

impl Remembered for Tries {
    fn last(&self) -> Duration {
        self.last
    }
}

impl Remembered for Bucket {
    fn last(&self) -> Duration {
        self.last
    }
}

impl Remembered for Strangers {
    fn last(&self) -> Duration {
        self.last
    }
}

#[derive(Debug)]
struct Table<K, V>(HashMap<K, V>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Remembered> Table<K, V> {
    fn entry(&mut self, key: K, now: Duration) -> &mut V {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let value = self.0.entry(key).or_default();
        if now.saturating_sub(value.last()) >= FORGOTTEN_AFTER {
            *value = V::default();
        }
        value
    }

    fn make_room(&mut self, now: Duration) {
        self.0.retain(|_, value| now.saturating_sub(value.last()) < FORGOTTEN_AFTER);
        if self.0.len() >= REMEMBERED {
            let mut lasts: Vec<_> = self.0.values().map(Remembered::last).collect();
            let (_, median, _) = lasts.select_nth_unstable(REMEMBERED / 2);
            let median = *median;
            self.0.retain(|_, value| value.last() > median);
        }
    }

    fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_hours(1);

    fn stranger(last: u8) -> Attempt {
        let from = IpAddr::from([10, 0, 0, last]);
        Attempt { account: "anna@school".to_owned(), from, known_device: None }
    }

    fn own_browser() -> Attempt {
        Attempt { known_device: Some([7; 32]), ..stranger(200) }
    }

    #[test]
    fn one_address_waits_longer_and_longer_but_never_for_ever() {
        let mut slowdown = Slowdown::default();
        for _ in 0..PASSWORDS.free {
            slowdown.admit(&stranger(1), START).unwrap();
        }
        let mut now = START;
        for wait in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(slowdown.admit(&stranger(1), now), Err(SECOND * wait));
            now += SECOND * wait;
            slowdown.admit(&stranger(1), now).unwrap();
        }
        assert_eq!(slowdown.admit(&stranger(1), now + FORGOTTEN_AFTER), Ok(()));
        assert_eq!(slowdown.admit(&stranger(1), now + FORGOTTEN_AFTER), Ok(()));
    }

    #[test]
    fn guessing_at_an_account_does_not_slow_its_owners_browser() {
        let mut slowdown = Slowdown::default();
        for n in 0..200 {
            let _ = slowdown.admit(&stranger(n), START);
        }
        assert_eq!(slowdown.admit(&own_browser(), START), Ok(()));
    }

    #[test]
    fn a_teacher_on_a_strange_machine_gets_a_turn_among_those_who_guess() {
        let mut slowdown = Slowdown::default();
        for n in 0..20 {
            slowdown.admit(&stranger(n), START).unwrap();
        }
        // Thirty machines ask ten times a second each; the teacher asks when told to.
        let teacher = stranger(100);
        let mut ask_at = START;
        let mut now = START;
        for _ in 0..600 {
            for n in 20..50 {
                let _ = slowdown.admit(&stranger(n), now);
            }
            if now >= ask_at {
                match slowdown.admit(&teacher, now) {
                    Ok(()) => return,
                    Err(wait) => ask_at = now + wait,
                }
            }
            now += SECOND / 10;
        }
        panic!("the teacher was locked out for a minute");
    }

    #[test]
    fn strangers_together_get_one_try_a_second() {
        let mut slowdown = Slowdown::default();
        let mut let_in = 0;
        for tenth in 0..600_u32 {
            for n in 0..100 {
                let now = START + SECOND * tenth / 10;
                let_in += u32::from(slowdown.admit(&stranger(n), now).is_ok());
            }
        }
        assert!(let_in <= FREE_STRANGERS + 61, "{let_in} tries in a minute");
    }

    #[test]
    fn a_right_password_forgives_that_try_and_no_other() {
        let mut slowdown = Slowdown::default();
        for _ in 0..PASSWORDS.free - 1 {
            slowdown.admit(&stranger(1), START).unwrap();
        }
        for _ in 0..50 {
            let own = Attempt { account: "mallory@school".to_owned(), ..stranger(1) };
            slowdown.admit(&own, START).unwrap();
            slowdown.forgive(&own, START);
        }
        slowdown.admit(&stranger(1), START).unwrap();
        assert!(slowdown.admit(&stranger(1), START).is_err());
    }

    #[test]
    fn a_class_that_mistypes_waits_for_a_second_and_a_right_code_costs_it_nothing() {
        let mut slowdown = Slowdown::default();
        let class = Guest::Stranger(stranger(1).from);
        for _ in 0..FREE_CODES {
            slowdown.admit_code(class, START).unwrap();
        }
        let mut now = START;
        for _ in 0..5 {
            assert_eq!(slowdown.admit_code(class, now), Err(SECOND));
            now += SECOND;
            slowdown.admit_code(class, now).unwrap();
        }
        // Others do not wait for it, nor does a teacher who has a password to type there.
        let others = Guest::Stranger(stranger(2).from);
        assert_eq!(slowdown.admit_code(others, now), Ok(()));
        assert_eq!(slowdown.admit(&stranger(1), now), Ok(()));
        for _ in 0..100 {
            slowdown.admit_code(others, now).unwrap();
            slowdown.forgive_code(others, now);
        }
    }

    /// A script behind the school's one address takes every try that there is.
    #[test]
    fn whoever_polls_with_codes_keeps_no_known_browser_out_and_gets_one_try_a_second() {
        let mut slowdown = Slowdown::default();
        let poller = Guest::Stranger(stranger(1).from);
        let known = Guest::Known(StudentId(uuid::Uuid::from_u128(7)));
        let mut tries = 0;
        for tenth in 0..600_u32 {
            let now = START + SECOND * tenth / 10;
            tries += u32::from(slowdown.admit_code(poller, now).is_ok());
            if tenth % 50 == 0 {
                assert_eq!(slowdown.admit_code(known, now), Ok(()));
                slowdown.forgive_code(known, now);
            }
        }
        assert!(tries <= FREE_CODES + 60, "{tries} tries in a minute");
    }

    #[test]
    fn whose_browser_is_known_gains_nothing_by_guessing_from_it() {
        let mut slowdown = Slowdown::default();
        let known = Guest::Known(StudentId(uuid::Uuid::from_u128(7)));
        for _ in 0..KNOWN_CODES.free {
            slowdown.admit_code(known, START).unwrap();
        }
        let mut now = START;
        for wait in [1, 2, 4, 5, 5] {
            assert_eq!(slowdown.admit_code(known, now), Err(SECOND * wait));
            now += SECOND * wait;
            slowdown.admit_code(known, now).unwrap();
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut slowdown = Slowdown::default();
        for n in 0..10_000_u32 {
            let from = IpAddr::from(n.to_be_bytes());
            let account = format!("{n}@school");
            let attempt = Attempt { account, from, known_device: None };
            slowdown.admit(&attempt, START + SECOND * n / 100).unwrap();
        }
        assert!(slowdown.addresses.0.len() <= REMEMBERED);
        assert!(slowdown.accounts.0.len() <= REMEMBERED);
    }

    #[test]
    fn an_ipv6_network_is_one_place() {
        let mut slowdown = Slowdown::default();
        let at = |n: u16| {
            let from = IpAddr::from([0xfd00, 0, 0, 1, 0, 0, 0, n]);
            Attempt { account: format!("{n}@school"), from, known_device: None }
        };
        for n in 0..10 {
            slowdown.admit(&at(n), START).unwrap();
        }
        assert!(slowdown.admit(&at(11), START).is_err());
    }
}
