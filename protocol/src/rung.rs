//! How one machine receives, and why so: words that both sides and the pages share.

use serde::{Deserialize, Serialize};

/// A way to receive a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The group, for all at once.
    Multicast,
    /// A UDP flow of its own.
    Unicast,
    /// TLS, whatever the network does to UDP.
    Tunnel,
    /// Of a newer machine.
    #[serde(other)]
    Other,
}

/// Why a machine went to its rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RungCause {
    /// Nothing by multicast for half a second.
    GroupSilent,
    /// Too much of what came by multicast was lost for good.
    GroupLossy,
    /// It alone lost what all others paid for; said by the box.
    AloneShort,
    /// Multicast is not allowed to it: a Wi-Fi that no admin has marked.
    NotAllowed,
    /// Nothing by UDP, neither multicast nor unicast.
    UdpSilent,
    /// Too much of what came by unicast was lost for good.
    UdpLossy,
    /// Its UDP comes from another address than its control connection; said by the box.
    OtherAddress,
    /// What is better carries again.
    Carries,
    /// Of a newer machine.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_build_says_is_read_and_not_refused() {
        let words = (r#""multicast""#, r#""by_carrier_pigeon""#, r#""moon_too_high""#);
        assert_eq!(serde_json::from_str::<Rung>(words.0).unwrap(), Rung::Multicast);
        assert_eq!(serde_json::from_str::<Rung>(words.1).unwrap(), Rung::Other);
        assert_eq!(serde_json::from_str::<RungCause>(words.2).unwrap(), RungCause::Other);
    }
}
