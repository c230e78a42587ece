//! Whether machines showed each frame at the same moment, by what their players wrote down.
//!
//! Every namespace of the lab has one kernel and so one clock; a machine whose clock was set wrong
//! ([`Host::set_clock_ahead`](crate::Host::set_clock_ahead)) writes down its own time, from which
//! that is taken away here.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};

use crate::{school::Seat, trace};

/// When each frame was shown, by its RTP time: on every machine, in the order of the seats.
#[derive(Clone, Debug)]
pub struct Showings(BTreeMap<u64, Vec<Duration>>);

impl Showings {
    /// Frames that some machine has not shown do not count.
    pub fn of(seats: &[Seat]) -> Result<Self> {
        let mut showings: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
        for (n, seat) in seats.iter().enumerate() {
            let ahead = seat.host.clock_ahead();
            for shown in trace::read(&seat.trace_path())? {
                let at = shown.at.checked_sub(ahead);
                let at = at.with_context(|| format!("{} has a clock", seat.host.name()))?;
                // Once each: who joins is shown the newest kept picture, and may have it again.
                let times = showings.entry(shown.rtp_time).or_default();
                if times.len() == n {
                    times.push(at);
                }
            }
        }
        showings.retain(|_, times| times.len() == seats.len());
        Ok(Self(showings))
    }

    /// Those of frames that the first machine showed from this moment on.
    #[must_use]
    pub fn since(mut self, moment: Duration) -> Self {
        self.0.retain(|_, times| times.first().is_some_and(|first| *first >= moment));
        self
    }

    pub fn frames(&self) -> usize {
        self.0.len()
    }

    /// By RTP time, from the first machine's showing to the last one's.
    pub fn spreads(&self) -> impl Iterator<Item = Duration> {
        self.0
            .values()
            .filter_map(|times| Some(times.iter().max()?.saturating_sub(*times.iter().min()?)))
    }

    /// The RTP time of each frame, and when the machine of this seat showed it.
    pub fn at(&self, seat: usize) -> impl Iterator<Item = (u64, Duration)> {
        self.0.iter().filter_map(move |(rtp_time, times)| Some((*rtp_time, *times.get(seat)?)))
    }
}
