//! Twenty machines whose clocks are up to an hour apart: how far apart they show one frame.
//!
//! All of them decode, at the sink of the real player, on the cores of one machine: so the picture
//! is small. What is measured is when the player takes a picture to show it, and so the waiting for
//! one of two cores is in it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use classroom::{air::OnAir, school::Options, together::Showings, trace::Trace};

use crate::{
    lesson::{now, school, small_lesson, source},
    report::{Report, Worst, percentile},
};

const MACHINES: u8 = 20;
/// Twenty decoders and an encoder fit into two cores with this.
const SIZE: (u32, u32) = (320, 180);
const KBPS: u32 = 500;
const SETTLED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_mins(2);
/// Frames that all showed, of the 30 a second in the window.
const ENOUGH: usize = 600;

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    // From none to an hour, no two alike.
    let clocks_ahead = (0..u64::from(MACHINES)).map(|n| Duration::from_secs(n * 189)).collect();
    let options = Options { clocks_ahead, ..Options::default() };
    let school = school(MACHINES, &options).await?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::of(&school, &lesson, SIZE, KBPS).await?;
    for seat in &school.seats {
        Trace::at(seat.trace_path()).wait_for_more(30, LIMIT).await?;
    }
    OnAir::watch(school.classroom.the_box())?.wait_for(SETTLED, LIMIT).await?;
    let begun = now();
    OnAir::watch(school.classroom.the_box())?.wait_for(WINDOW, LIMIT).await?;
    let showings = Showings::of(&school.seats)?.since(begun);
    let mut spreads: Vec<_> = showings.spreads().map(|spread| spread.as_secs_f64() * 1e3).collect();
    ensure!(spreads.len() >= ENOUGH, "{} frames were shown by all", spreads.len());
    let median = percentile(&mut spreads, 0.5);
    let p95 = percentile(&mut spreads, 0.95);
    let most = spreads.last().copied().context("a frame")?;
    let (width, height) = SIZE;
    let about = format!(
        "first to last of {MACHINES} machines whose clocks are up to an hour apart, at the players' \
         sink, {} frames of {width}x{height}; median {median:.1}, at most {most:.1}; publisher, box \
         and all decoders share two cores",
        spreads.len()
    );
    report.figure("playout_spread_p95_ms", p95, Worst::AtMost(10.0), about);
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}
