//! The student machine, tested by its real binaries.
//!
//! The box's end is made here: a site with real certificates, and a server that speaks the real
//! protocol over real TLS. Everything else is the thing itself.

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

/// Every wait in these tests ends by then, one way or the other.
const PATIENCE: Duration = Duration::from_secs(8);

/// Waits for `event`, or fails with what was waited for.
async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}
