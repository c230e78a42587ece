//! Any line is a site token or is refused, a token survives being written, and is not shown.
#![no_main]

use alfarid_protocol::token::SiteToken;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let Ok(token) = line.parse::<SiteToken>() else { return };
    let written = token.to_string();
    assert_eq!(written.parse(), Ok(token.clone()));
    let secret = written.split('.').nth(2).expect("it was written here");
    assert!(token.addresses.iter().any(|address| address.contains(secret))
        || !format!("{token:?}").contains(secret));
});
