//! The box. One process, one `SQLite` file; each folder here is a capability.
//!
//! The way through is straight: `routes -> actor -> state -> store`. Capabilities depend on each
//! other downwards only, with `lesson` on top; upwards they speak through [`events`].
//!
//! Reading order: [`floor`] and what it bundles ([`config`], [`clock`], [`db`], [`events`],
//! [`health`]), [`http`], then the capabilities, then [`app`], which puts them together.

pub mod bucket;
pub mod clock;
pub mod code;
pub mod config;
pub mod db;
pub mod events;
pub mod field;
pub mod files;
pub mod floor;
pub mod health;
pub mod http;
pub mod lifecycle;
pub mod logging;
mod socket;
pub mod timekeeping;

pub mod attendance;
pub mod broadcast;
pub mod discovery;
pub mod enrolment;
pub mod identity;
pub mod lesson;
pub mod live;
pub mod machines;
pub mod open_air;
pub mod recording;
pub mod roster;
pub mod settings;
pub mod system;
pub mod viewing;

pub mod app;
