//! How one machine receives: by multicast, by unicast, or through the tunnel. Each climbs and falls
//! alone, and never without saying why.
//!
//! ```text
//!               multicast          the group, for all at once                  best
//!                ▲      │ nothing heard for 500 ms · over 2 % lost for good for 5 s
//!     group heard│      │ alone short for 5 s (the box says so) · no longer allowed
//!     whole, 5 s │      ▼
//!               unicast            a UDP flow of its own, kept alive
//!                ▲      │ keep-alives unanswered, nothing heard for 500 ms
//!     flow heard │      │ over 2 % lost for good for 5 s
//!     for 1 s    │      ▼
//!               tunnel             TLS, whatever the network does to UDP        always works
//! ```
//!
//! # Who decides what
//!
//! | what is to be known | who knows it | who decides |
//! |---|---|---|
//! | nothing arrives | the machine, at once; the box never, for multicast tells it nothing | machine |
//! | what repair could not mend | the machine, before it reports it | machine |
//! | whether its UDP comes back | the machine, by the box's answers to its keep-alives | machine |
//! | who alone makes the group pay for its losses | the box, which hears all requests | box: [`Ladder::ordered`] |
//! | whether a Wi-Fi carries multicast well | an admin | box: [`Ladder::allowed`], by the grant |
//! | what all unicast together may cost | the box | box, by lowering the stream for all ([`egress`](crate::egress)); never by refusing a machine |
//!
//! So the ladder runs **on the machine**, which notices silence first and needs nobody's leave to
//! fall; the box serves whoever asks. What the box knows better comes as an order. Each change goes
//! to the box over the control connection, for the teacher and for the log; the unicast flow starts
//! before that, with the keep-alive that wants it.
//!
//! # Rules
//! - **A machine falls only onto a rung that carries.** From half of the silence on the flow is
//!   asked every 100 ms, so that at 500 ms it is known whether it answers. If it does not, the
//!   tunnel is opened, and whichever is there first is the new rung; the group, if it was only a
//!   pause. So a switch that starts over makes nobody fall, although nothing was heard for a
//!   minute.
//! - At the same half of the silence the membership is said again: a switch that had forgotten it
//!   sends again at once.
//! - A climb is tried beside the present rung, which goes on: no frame is lost by trying. Waits
//!   before a try are 30 s, doubling to 10 min; a climb that did not hold for 10 min counts as a
//!   failed try.
//! - While it is tried, the group is listened to without repair, so there more loss is let pass:
//!   what repair makes of it is only seen on the rung.
//!
//! How it fails: with nothing carrying at all, everything is tried at once, for ever, once a
//! second.

mod ladder;
mod loss;
mod wait;

use std::time::Duration;

pub use self::ladder::Ladder;

/// Five heartbeats in a row are missing: that is no chance at any loss that could be repaired.
pub const SILENCE: Duration = Duration::from_millis(500);

/// The unicast flow is kept alive so often: more often than any firewall forgets it.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A way to receive; a later one is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    Tunnel,
    Unicast,
    Multicast,
}

/// Why a machine is on its rung. Words for people are in the catalogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing by multicast for 0.5 s.
    GroupSilent,
    /// Over 2 % of what came by multicast was lost for good.
    GroupLossy,
    /// It alone needed the most repair, for 5 s; said by the box.
    AloneShort,
    /// Multicast is not allowed to it any more.
    NotAllowed,
    /// Nothing by UDP, neither multicast nor unicast.
    UdpSilent,
    /// Over 2 % of what came by unicast was lost for good.
    UdpLossy,
    /// The higher rung carries: a climb.
    Carries,
}

/// A step on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub from: Rung,
    pub to: Rung,
    pub cause: Cause,
}

/// What the machine has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a keep-alive on the flow, saying whether the stream is wanted there ([`Wants::flow`]).
    KeepAlive,
    /// Say the membership of the group anew: leave and join.
    Rejoin,
    /// The rung is another now: tell the box.
    Changed(Change),
}

/// What must be open now, whatever the rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Be in the group.
    pub group: bool,
    /// Have the stream on the unicast flow.
    pub flow: bool,
    /// Have the tunnel open, or be opening it.
    pub tunnel: bool,
}

/// How a machine is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Wired,
    /// Starts on unicast: multicast goes out unacknowledged there, at the lowest rate.
    Wireless,
}

#[cfg(test)]
mod tests;
