//! A whole classroom on one machine: a switch, a box, a teacher's computer and student machines,
//! each in a network namespace of its own, with the real binaries running in them.
//!
//! ```text
//!                        switch (bridge: floods, or snoops IGMP and is the querier)
//!        ┌────────────────┬───────────────┴┬────────────────┬─ ...
//!      box .1         teacher .2        machine-1 .11   machine-2 .12      10.77.0.0/24
//!   alfarid-daemon   Xvfb, Chromium     alfarid-agent   alfarid-agent
//!                                       alfarid-player  alfarid-player
//! ```
//!
//! Suggested reading order:
//!
//! - [`classroom`]: the builder and what a test holds.
//! - [`lab`]: the one thread that everything is started from, and why nothing outlives it.
//! - [`host`], [`process`]: a computer in the classroom and what runs on it.
//! - [`network`], [`faults`], [`traffic`]: the wires, how they break, what went over them.
//! - [`client`], [`browser`], [`display`], [`sound`]: the box's API and pages, as people use them.
//! - [`journal`]: what a box under systemd says.
//! - [`marker`], [`trace`]: what a machine showed, read back from its pictures.
//! - [`school`]: the product put to use in a classroom; [`air`], [`playback`]: what it sent and
//!   what it recorded; [`together`], [`rungs`]: how machines show it; [`film`]: a video with the
//!   counter, for it to show.
//! - [`ears`], [`line`]: a machine of a test's own, which is no agent.
//! - [`until`]: the only place that asks again and again.
//!
//! Rules that hold here:
//!
//! - No test sleeps. It waits for a line, an event, an exit or a packet, with a limit on how long.
//! - Nothing outlives the test process, however it dies (see [`lab`]).
//! - A classroom that is dropped without [`Classroom::close`](classroom::Classroom::close) prints
//!   what every process printed last: a test ends well or it explains itself.
//!
//! Needs root, `iproute2`, `nft`, `bash`; for browsers also `Xvfb`, `chromium`, `pulseaudio`,
//! `node`, `certutil`, `import` of `ImageMagick` and `npm ci` in `tests/browser`.

pub mod air;
pub mod binaries;
pub mod browser;
pub mod calendar;
pub mod classroom;
pub mod client;
pub mod display;
pub mod ears;
pub mod faults;
pub mod film;
pub mod host;
pub mod journal;
pub mod lab;
pub mod leg;
pub mod line;
pub mod marker;
pub mod network;
pub mod playback;
pub mod process;
pub mod rungs;
pub mod school;
pub mod scratch;
pub mod sound;
pub mod together;
pub mod trace;
pub mod traffic;
pub mod until;

pub use browser::{Browser, By, Page};
pub use classroom::Classroom;
pub use client::Client;
pub use host::Host;
pub use network::Switch;
pub use process::Process;
pub use until::eventually;
