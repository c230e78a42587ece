//! The box's web side: TLS, defences against other people's pages, errors, the live channel, the
//! pages themselves.
//!
//! Capabilities bring their own routes ([`crate::app`] composes them); what is common to all of
//! them lives here.

pub mod extract;
pub mod peer;
pub mod problem;

pub use self::{
    extract::{Json, List, Path},
    peer::Peer,
    problem::Problem,
};
