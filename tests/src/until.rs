//! The one place that asks again and again. Everything that can announce itself (a line, an exit,
//! a packet, a live event) is awaited where it is announced; what cannot (a file that grows, an
//! address that starts to answer) is polled here.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Short enough not to be seen in a figure that counts tenths of a second, long enough not to load
/// a machine of two cores.
const EVERY: Duration = Duration::from_millis(20);

/// Attempts until one succeeds, and returns what it returned. `what` completes the sentence
/// "waited ... for"; the last attempt's error is the cause of the failure.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut last = anyhow!("no attempt ended in time");
    let attempts = async {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match attempt().await {
                Ok(value) => break value,
                Err(error) => last = error,
            }
        }
    };
    match timeout(limit, attempts).await {
        Ok(value) => Ok(value),
        Err(_) => Err(last.context(format!("waited {limit:?} for {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn a_failure_names_what_was_waited_for_and_why_it_did_not_come() {
        let limit = Duration::from_millis(50);
        let error = eventually("the moon", limit, async || -> Result<()> { bail!("it is day") })
            .await
            .unwrap_err();

        assert_eq!(format!("{error:#}"), "waited 50ms for the moon: it is day");
    }

    #[tokio::test]
    async fn the_first_success_is_returned() {
        let mut attempts = 0;
        let found = eventually("the third attempt", Duration::from_secs(5), async || {
            attempts += 1;
            if attempts < 3 {
                bail!("not yet")
            }
            Ok(attempts)
        })
        .await
        .unwrap();

        assert_eq!(found, 3);
    }
}
