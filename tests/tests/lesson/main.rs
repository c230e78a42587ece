//! A lesson, end to end: a real browser shares its real screen through the real page, real
//! machines show it, the box records it and writes the attendance.
//!
//! What would make these fail: any break between the teacher's screen and a machine's picture, a
//! frame that a machine does not show, a picture that was not sent, a recording that does not
//! play, a voice that is not in it or is heard while muted, a student who was there and is not in
//! the attendance, a second stream on the wire, a network that loses one packet in twenty.
//!
//! Limitations: one machine carries all hosts, so nothing here is a measurement of speed; the
//! machines show their pictures to a sink without a window.

mod judge;
mod killed;
mod lossy;
mod steps;
mod whole;

use std::time::Duration;

const LESSON: Duration = Duration::from_secs(20);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;
