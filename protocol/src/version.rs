//! Which versions of this protocol understand each other.
//!
//! Box and machines of the last two releases serve each other in full. Whoever is older is told
//! what to update; nobody guesses.

/// The version this build speaks, the first thing either side says.
pub const CURRENT: u16 = 1;

/// The oldest version this build still serves in full.
pub const OLDEST: u16 = 1;

/// Why two builds cannot talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The other side is older than [`OLDEST`].
    PeerTooOld,
    /// The other side is newer than [`CURRENT`]; it decides whether it still serves us.
    PeerNewer,
}

/// The version to speak with a peer that offers `peer`.
pub const fn agree(peer: u16) -> Result<u16, Mismatch> {
    if peer < OLDEST {
        Err(Mismatch::PeerTooOld)
    } else if peer > CURRENT {
        Err(Mismatch::PeerNewer)
    } else {
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_peer_is_named_as_the_one_to_update() {
        assert_eq!(agree(OLDEST - 1), Err(Mismatch::PeerTooOld));
        assert_eq!(agree(CURRENT + 1), Err(Mismatch::PeerNewer));
        assert_eq!(agree(CURRENT), Ok(CURRENT));
    }
}
