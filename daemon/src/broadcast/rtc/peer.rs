//! One [`Rtc`] and how it is kept going, whoever is at its other end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use str0m::{Event, Input, Output, Rtc, net::Transmit};
use tracing::Span;

/// How long ICE and DTLS may take.
pub(in crate::broadcast) const OPENING: Duration = Duration::from_secs(15);

/// One of which nothing was heard for so long is gone: a living one says something every few
/// seconds (reports, RFC 3550 §6.2; consent, RFC 7675 §5.1).
pub(in crate::broadcast) const QUIET: Duration = Duration::from_secs(8);

pub(in crate::broadcast) struct Peer {
    pub(in crate::broadcast) rtc: Box<Rtc>,
    /// When str0m wants to be called again.
    pub(in crate::broadcast) deadline: Instant,
    /// What is logged about it belongs to its lesson.
    pub(in crate::broadcast) span: Span,
}

/// What comes next of a session.
#[expect(clippy::large_enum_variant, reason = "handed on at once, and many a second")]
pub(in crate::broadcast) enum Next {
    Event(Event),
    /// Nothing before its deadline.
    Rest,
    Over,
}

impl Peer {
    pub(in crate::broadcast) fn new(rtc: Box<Rtc>, span: Span, now: Instant) -> Self {
        Self { rtc, deadline: now, span }
    }

    pub(in crate::broadcast) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    /// Takes one input. `false`: the session is over.
    pub(in crate::broadcast) fn take(&mut self, input: Input<'_>) -> bool {
        let taken = self.guarded(|rtc| rtc.handle_input(input));
        taken.is_some()
    }

    /// Sends what is to be sent, up to the next event.
    pub(in crate::broadcast) fn next(&mut self, send: &mut dyn FnMut(Transmit)) -> Next {
        loop {
            match self.guarded(Rtc::poll_output) {
                Some(Output::Transmit(transmit)) => send(transmit),
                Some(Output::Event(event)) => return Next::Event(event),
                Some(Output::Timeout(deadline)) => {
                    self.deadline = deadline;
                    return if self.rtc.is_alive() { Next::Rest } else { Next::Over };
                }
                None => return Next::Over,
            }
        }
    }

    /// str0m panics on its own bugs and says that the instance is to be thrown away then: one
    /// session ends, not the box.
    fn guarded<T, E: std::error::Error>(
        &mut self,
        what: impl FnOnce(&mut Rtc) -> Result<T, E>,
    ) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| what(&mut self.rtc))) {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::debug!(parent: &self.span, error = %error, "session failed");
                None
            }
            Err(_) => {
                tracing::error!(parent: &self.span, "a WebRTC session panicked and is over");
                None
            }
        }
    }
}
