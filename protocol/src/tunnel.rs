//! The lesson through TLS, for a machine that no UDP reaches.
//!
//! A second connection to the agent port, with the machine's own certificate: a WebSocket at
//! [`path`], on which the box alone speaks, in messages of [`kept`](crate::kept). They carry the
//! plain packets with their full indices, the ones kept since the newest keyframe first. A message
//! without packets says that the box is there, while nothing else does.
//!
//! A machine that does not keep up goes on at the newest keyframe that is kept.

/// Where tunnels live on the agent port; see [`path`].
pub const PATH: &str = "/agent/v1/tunnel/{serial}";

/// The box says something so often at least. A tunnel that is silent for three times as long is
/// gone.
pub const SIGN_EVERY_MS: u64 = 1_000;

/// Where the tunnel of this grant is. `from`: the first index of the video that the machine lacks;
/// `None` where it has nothing to go on from.
pub fn path(serial: u32, from: Option<u64>) -> String {
    let path = PATH.replace("{serial}", &serial.to_string());
    match from {
        Some(from) => format!("{path}?from={from}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_names_its_grant_and_where_it_goes_on() {
        assert_eq!(path(7, None), "/agent/v1/tunnel/7");
        assert_eq!(path(7, Some(1 << 40)), "/agent/v1/tunnel/7?from=1099511627776");
    }
}
