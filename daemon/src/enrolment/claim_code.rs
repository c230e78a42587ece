//! The claim code: who reads it at the box is let in first.
//!
//! ```text
//!   first start ── made, logged, in STATE/claim-code ──▶ open ── right ──▶ used, file removed
//!                                                         │ ▲
//!                                 5 wrong tries by address│ │10 minutes
//!                                           50 by network ▼ │
//!                                          closed to that address, or to that network
//! ```
//!
//! Ten characters of 32 are 50 bits: at fifty tries in ten minutes nobody guesses them. Wrong tries
//! are counted by address, so that a student who plays with the page does not shut out whoever
//! stands at the box: on IPv6 a whole LAN is one network ([`network`]). As one machine can take any
//! address of that, they are counted by network too, up to a larger number.

use std::{
    collections::HashMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use subtle::ConstantTimeEq;

use crate::{
    code::{self, grouped, normalized},
    files,
    http::network,
    logging,
};

const LENGTH: usize = 10;

const WRONG_TRIES: usize = 5;
/// Of all addresses of a network: ten who play with the page.
const NETWORK_WRONG_TRIES: usize = 50;
const WITHIN: Duration = Duration::from_mins(10);

/// Networks whose wrong tries are remembered. When so many have tried within ten minutes, it is
/// an attack, and everybody waits.
const NETWORKS: usize = 512;

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Nothing was compared.
    Wait(Duration),
}

#[derive(Debug)]
pub(super) struct ClaimCode {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Without the hyphen. `None`: the box is claimed.
    code: Option<String>,
    /// The wrong tries of each network, oldest first.
    wrong: HashMap<IpAddr, Vec<WrongTry>>,
}

struct WrongTry {
    from: IpAddr,
    at: Duration,
}

impl ClaimCode {
    /// On a box that is to be claimed: the code from the last start, or a fresh one. Blocking.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join("claim-code");
        let kept = fs::read_to_string(&path).ok().map(|text| normalized(&text));
        let code = if let Some(code) = kept.filter(|code| code::is_code(code, LENGTH)) {
            code
        } else {
            let code = code::fresh(LENGTH).map_err(io::Error::from)?;
            files::replace(&path, format!("{}\n", grouped(&code)).as_bytes())?;
            code
        };
        let code = Self::with(path, Some(code));
        code.announce();
        Ok(code)
    }

    /// On a box that is claimed: nothing to give away. Removes what a power cut left; where the
    /// disk keeps it, it is of no use to anybody. Blocking.
    pub(super) fn used(state_dir: &Path) -> Self {
        let path = state_dir.join("claim-code");
        if let Err(error) = files::remove(&path) {
            tracing::warn!(error = %error, "a used claim code is still on the disk: {error}");
        }
        Self::with(path, None)
    }

    fn with(path: PathBuf, code: Option<String>) -> Self {
        Self { path, state: Mutex::new(State { code, wrong: HashMap::new() }) }
    }

    /// The box's own console and log are where the code is meant to be, and nowhere else.
    fn announce(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = &state.code {
            let grouped = grouped(code);
            tracing::info!("this box is not claimed; the claim code is {grouped}");
            logging::tell_console(&format!("Alfarid: the claim code of this box is {grouped}"));
        }
    }

    pub(super) fn check(&self, tried: &str, from: IpAddr, now: Duration) -> Verdict {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wrong.retain(|_, tries| {
            tries.retain(|wrong| now.saturating_sub(wrong.at) < WITHIN);
            !tries.is_empty()
        });
        if let Some(wait) = state.wait(from, now) {
            return Verdict::Wait(wait);
        }
        let tried = normalized(tried);
        let is_right = state
            .code
            .as_ref()
            .is_some_and(|code| bool::from(code.as_bytes().ct_eq(tried.as_bytes())));
        if is_right {
            return Verdict::Right;
        }
        state.wrong.entry(network(from)).or_default().push(WrongTry { from, at: now });
        Verdict::Wrong
    }

    /// The code is of no use from now on. Blocking.
    pub(super) fn use_up(&self) -> io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).code = None;
        files::remove(&self.path)
    }
}

impl State {
    fn wait(&self, from: IpAddr, now: Duration) -> Option<Duration> {
        let oldest = match self.wrong.get(&network(from)) {
            Some(tries) if tries.len() >= NETWORK_WRONG_TRIES => {
                tries.first().map(|wrong| wrong.at)
            }
            Some(tries) => {
                let mut own = tries.iter().filter(|wrong| wrong.from == from);
                let oldest = own.next()?.at;
                (own.count() + 1 >= WRONG_TRIES).then_some(oldest)
            }
            None if self.wrong.len() < NETWORKS => None,
            None => self.wrong.values().filter_map(|tries| Some(tries.last()?.at)).min(),
        };
        Some((oldest? + WITHIN).saturating_sub(now))
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("is_open", &self.code.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    const MINUTE: Duration = Duration::from_mins(1);

    fn local(host: u16) -> IpAddr {
        IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host])
    }

    fn kept(dir: &Path) -> String {
        fs::read_to_string(dir.join("claim-code")).unwrap()
    }

    #[test]
    fn the_code_outlives_a_restart_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        ClaimCode::open(dir.path()).unwrap();
        let code = kept(dir.path());
        ClaimCode::open(dir.path()).unwrap();
        assert_eq!(kept(dir.path()), code);
        let mode = fs::metadata(dir.path().join("claim-code")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(code.trim().len(), 11);
    }

    #[test]
    fn it_opens_once_however_it_is_typed() {
        let dir = tempfile::tempdir().unwrap();
        let claim = ClaimCode::open(dir.path()).unwrap();
        let typed = kept(dir.path()).to_lowercase().replace('-', " ");
        assert_eq!(claim.check(&typed, HERE, MINUTE), Verdict::Right);
        claim.use_up().unwrap();
        assert_eq!(claim.check(&typed, HERE, MINUTE), Verdict::Wrong);
        assert!(!dir.path().join("claim-code").exists());
    }

    #[test]
    fn five_wrong_tries_close_it_to_that_address_for_ten_minutes() {
        let dir = tempfile::tempdir().unwrap();
        let claim = ClaimCode::open(dir.path()).unwrap();
        for _ in 0..WRONG_TRIES {
            assert_eq!(claim.check("WRONG-WRONG", HERE, MINUTE), Verdict::Wrong);
        }
        let code = kept(dir.path());
        assert_eq!(claim.check(&code, HERE, MINUTE * 2), Verdict::Wait(MINUTE * 9));
        assert_eq!(claim.check(&code, THERE, MINUTE * 2), Verdict::Right);
        assert_eq!(claim.check(&code, HERE, MINUTE * 11), Verdict::Right);
    }

    /// On IPv6 all of a LAN has one network, `fe80::/64`.
    #[test]
    fn a_student_who_plays_with_the_page_does_not_shut_out_the_next_desk() {
        let dir = tempfile::tempdir().unwrap();
        let claim = ClaimCode::open(dir.path()).unwrap();
        for _ in 0..WRONG_TRIES {
            assert_eq!(claim.check("WRONG-WRONG", local(1), MINUTE), Verdict::Wrong);
        }
        let code = kept(dir.path());
        assert_eq!(claim.check(&code, local(1), MINUTE), Verdict::Wait(MINUTE * 10));
        assert_eq!(claim.check(&code, local(2), MINUTE), Verdict::Right);
    }

    #[test]
    fn whoever_takes_ever_new_addresses_of_an_ipv6_network_closes_it_to_that_network() {
        let dir = tempfile::tempdir().unwrap();
        let claim = ClaimCode::open(dir.path()).unwrap();
        for host in 0..u16::try_from(NETWORK_WRONG_TRIES).unwrap() {
            assert_eq!(claim.check("WRONG-WRONG", local(host), MINUTE), Verdict::Wrong);
        }
        let code = kept(dir.path());
        assert_eq!(claim.check(&code, local(999), MINUTE), Verdict::Wait(MINUTE * 10));
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        assert_eq!(claim.check(&code, elsewhere, MINUTE), Verdict::Right);
        assert_eq!(claim.check(&code, local(999), MINUTE * 11), Verdict::Right);
    }

    #[test]
    fn a_crowd_of_wrong_addresses_makes_new_ones_wait() {
        let dir = tempfile::tempdir().unwrap();
        let claim = ClaimCode::open(dir.path()).unwrap();
        for n in 0..u32::try_from(NETWORKS).unwrap() {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(n + 1));
            assert_eq!(claim.check("WRONG-WRONG", address, MINUTE), Verdict::Wrong);
        }
        let code = kept(dir.path());
        assert_eq!(claim.check(&code, THERE, MINUTE), Verdict::Wait(MINUTE * 10));
        assert_eq!(claim.check(&code, THERE, MINUTE * 11), Verdict::Right);
    }
}
