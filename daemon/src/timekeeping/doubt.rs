//! Says on the health page that nobody vouches for the time: lessons are written down by it.

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    health::{FaultCode, Health, Severity},
};

const WHAT_TO_DO: &str = "Nobody vouches for the box's time. Log in from a computer whose clock is \
                          right: what was written down since the box started is put right with it.";

pub async fn doubt(clock: Clock, health: Health, stopping: CancellationToken) {
    let mut surety = clock.surety();
    loop {
        if *surety.borrow_and_update() {
            health.clear(FaultCode::ClockUnsure);
        } else {
            health.raise(FaultCode::ClockUnsure, Severity::Warning, WHAT_TO_DO);
        }
        tokio::select! {
            // The other end is in the clock at hand.
            Ok(()) = surety.changed() => {}
            () = stopping.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Authority, Evidence},
        events::Events,
    };

    #[tokio::test]
    async fn doubt_stands_on_the_health_page_until_somebody_vouches() {
        let evidence = Evidence::default();
        let (clock, events) = (Clock::start(evidence), Events::default());
        let health = Health::new(clock.clone(), events.clone());
        let stopping = CancellationToken::new();
        let mut news = events.listen();
        let doubting = tokio::spawn(doubt(clock.clone(), health.clone(), stopping.clone()));
        news.next().await.unwrap();
        assert_eq!(health.faults()[0].code, FaultCode::ClockUnsure);
        assert!(clock.correct(clock.now().plus_millis(86_400_000), Authority::Browser).is_some());
        news.next().await.unwrap();
        assert!(health.faults().is_empty());
        stopping.cancel();
        doubting.await.unwrap();
    }
}
