//! What the box and a student machine say to each other: ids, control messages, tokens.
//!
//! Neither side's behaviour lives here, and nothing here does I/O: this crate is the part of the
//! contract that both binaries must agree on byte for byte. A change to a message is a change of
//! [`version`], and the golden tests beside each message say so.
//!
//! Reading order: [`id`], [`time`], [`control`] (the messages), [`grant`] (how a machine is told
//! to receive a lesson), [`rung`] (by which way), [`secret`] (the keys in it), [`kept`] (the
//! pictures a late joiner gets), [`tunnel`] (the lesson where no UDP gets through), [`span`]
//! (presence), [`token`] (how a machine first trusts a site).

pub mod control;
pub mod grant;
pub mod id;
pub mod kept;
pub mod rung;
pub mod secret;
pub mod span;
pub mod time;
pub mod token;
pub mod tunnel;
pub mod version;
