//! The student machine, tested by its real binaries.
//!
//! The box's end is made here: a site with real certificates, and a server that speaks the real
//! protocol over real TLS. Everything else is the thing itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod air;
mod display;
mod enrol;
mod enrolled;
mod lesson;
mod media;
mod player;
mod presence;
mod process;
mod service;
mod site;
mod sound;
mod the_box;
mod window;

use std::time::Duration;

/// Every wait in these tests ends by then, one way or the other. Only a failure reaches it, however
/// busy the machine and its disk are.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `event`, or fails with what was waited for.
async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    let event = tokio::time::timeout(PATIENCE, event).await;
    event.unwrap_or_else(|_| panic!("waited too long for {what}"))
}
