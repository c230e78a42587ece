//! The box's web side: TLS, defences against other people's pages, errors, the pages themselves.
//!
//! Capabilities bring their own routes ([`crate::app`] composes them); what is common to all of
//! them lives here.

pub mod assets;
pub mod extract;
pub mod guard;
mod pace;
pub mod peer;
mod places;
mod problem;
mod redirect;
mod serve;
pub mod trace;

pub use self::{
    extract::{Body, Json, List, Path, Query},
    peer::{Peer, network},
    problem::{FieldCode, Problem},
    redirect::redirect,
    serve::serve,
};
