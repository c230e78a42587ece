//! The one-line site token: how a machine that knows nothing yet comes to trust one site.
//!
//! `alfarid1.<hash of the site root's key>.<secret>.<addresses>`, the first three parts base64url
//! without padding, the addresses `host:port` joined by commas. It is a secret: it is read from
//! standard input or a file that only its owner can read, and its `Debug` does not show it.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

const PREFIX: &str = "alfarid1";

/// A longer line is not a token; nothing of it is read.
pub const MAX_LENGTH: usize = 1024;
const MAX_ADDRESSES: usize = 16;

#[derive(Clone, PartialEq, Eq)]
pub struct SiteToken {
    /// SHA-256 of the site root's `SubjectPublicKeyInfo` in DER.
    pub root_spki_sha256: [u8; 32],
    /// 128 random bits; the box keeps only their hash.
    pub secret: [u8; 16],
    /// Where the box's agent port was when the token was made: `host:port`. Hints, never trust.
    pub addresses: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("this is not a site token: it should be one line that starts with \"alfarid1.\"")]
    NotAToken,
    #[error("the site token is damaged: copy the whole line from the box's page again")]
    Damaged,
}

impl FromStr for SiteToken {
    type Err = TokenError;

    fn from_str(line: &str) -> Result<Self, TokenError> {
        let line = line.trim();
        if line.len() > MAX_LENGTH {
            return Err(TokenError::NotAToken);
        }
        let mut parts = line.splitn(4, '.');
        if parts.next() != Some(PREFIX) {
            return Err(TokenError::NotAToken);
        }
        let root_spki_sha256 = bytes(parts.next())?;
        let secret = bytes(parts.next())?;
        let addresses: Vec<String> = parts
            .next()
            .ok_or(TokenError::Damaged)?
            .split(',')
            .filter(|address| !address.is_empty())
            .map(str::to_owned)
            .collect();
        // They are logged and looked up: no space, no control character, nothing invisible.
        let is_plain = |address: &String| address.bytes().all(|byte| byte.is_ascii_graphic());
        if addresses.len() > MAX_ADDRESSES || !addresses.iter().all(is_plain) {
            return Err(TokenError::Damaged);
        }
        Ok(Self { root_spki_sha256, secret, addresses })
    }
}

fn bytes<const N: usize>(part: Option<&str>) -> Result<[u8; N], TokenError> {
    URL_SAFE_NO_PAD
        .decode(part.unwrap_or_default())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(TokenError::Damaged)
}

impl fmt::Display for SiteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = URL_SAFE_NO_PAD.encode(self.root_spki_sha256);
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        write!(f, "{PREFIX}.{root}.{secret}.{}", self.addresses.join(","))
    }
}

impl fmt::Debug for SiteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteToken").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> SiteToken {
        SiteToken {
            root_spki_sha256: [7; 32],
            secret: [9; 16],
            addresses: vec!["10.0.0.1:8444".into(), "box.local:8444".into()],
        }
    }

    #[test]
    fn a_token_reads_back_with_space_around_it() {
        assert_eq!(format!("  {}\n", token()).parse(), Ok(token()));
    }

    #[test]
    fn half_a_line_is_damaged_and_another_line_is_no_token() {
        let line = token().to_string();
        assert_eq!(line[..40].parse::<SiteToken>(), Err(TokenError::Damaged));
        assert_eq!("hello".parse::<SiteToken>(), Err(TokenError::NotAToken));
    }

    #[test]
    fn an_address_that_cannot_be_seen_is_damaged() {
        for address in ["\u{c}", "box local:8444", "10.0.0.1:8444\u{3000}", "box\u{202e}:8444"] {
            let line = format!("{},{address},box:1", token());
            assert_eq!(line.parse::<SiteToken>(), Err(TokenError::Damaged), "{address:?}");
        }
    }

    #[test]
    fn its_secret_is_not_printed() {
        assert_eq!(
            format!("{:?}", token()),
            "SiteToken { addresses: [\"10.0.0.1:8444\", \"box.local:8444\"], .. }"
        );
    }
}
