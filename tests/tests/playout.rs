//! Every machine of a lesson shows a frame at the same moment, whatever its own clock says.
//!
//! What would make this fail: a machine that shows frames as they come, one that goes by its own
//! clock, a playout delay that machines do not agree upon, a player that does not wait.
//!
//! Limitations: one machine of two cores carries all hosts, so the bounds are those of a lab under
//! load; `make bench BENCH=stream` measures.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, Switch,
    air::OnAir,
    school::{Options, School},
    together::Showings,
    trace::Trace,
    traffic,
};
use serde_json::json;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
/// Of 10 in the product's own figure: the lab's two cores decode everybody's pictures.
const TOGETHER: Duration = Duration::from_millis(50);
/// From a frame's leaving the box to its showing: the least delay but for what the box itself
/// took, and the largest with what a busy lab adds.
const WAITS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(40)..=Duration::from_millis(400);

#[tokio::test]
async fn machines_whose_clocks_are_hours_apart_show_each_frame_together() -> Result<()> {
    let clocks_ahead = vec![SECONDS(0), SECONDS(3_600), SECONDS(1_234)];
    let options = Options { clocks_ahead, ..Options::default() };
    let classroom = Classroom::new().students(3).switch(Switch::Snooping);
    let school = School::open(classroom, &options).await?;
    let lesson = school.start_lesson().await?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    let path = format!("/api/v1/lessons/{lesson}/source");
    let reply = school.teacher.post(&path, &json!({ "kind": "test" })).await?;
    ensure!(reply.status.is_success(), "{path}: {} {:?}", reply.status, reply.body);
    for seat in &school.seats {
        Trace::at(seat.trace_path()).wait_for_more(30, SECONDS(30)).await?;
    }
    on_air.wait_for(SECONDS(15), SECONDS(60)).await?;

    let sent = on_air.frames();
    let begun = sent.values().map(|frame| frame.first_at).min().context("a frame on air")?;
    let begun = traffic::monotonic(begun);
    let showings = Showings::of(&school.seats)?.since(begun + SECONDS(5));
    let mut spreads: Vec<_> = showings.spreads().collect();
    spreads.sort();
    ensure!(spreads.len() >= 200, "{} frames were shown by all", spreads.len());
    let (p50, p95) = (spreads[spreads.len() / 2], spreads[spreads.len() * 95 / 100]);
    println!("{} frames, spread {p50:.1?}, p95 {p95:.1?}", spreads.len());
    for (n, seat) in school.seats.iter().enumerate() {
        let name = seat.host.name();
        #[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
        let waits = showings.at(n).filter_map(|(rtp_time, shown)| {
            let left = sent.get(&(rtp_time as u32))?.first_at;
            Some(shown.saturating_sub(traffic::monotonic(left)))
        });
        let mut waits: Vec<_> = waits.collect();
        waits.sort();
        let wait = waits.get(waits.len() / 2).with_context(|| format!("{name} showed frames"))?;
        println!("{name}: shown {wait:.1?} after it left the box");
        ensure!(WAITS.contains(wait), "{name} shows a frame {wait:?} after it left the box");
    }
    ensure!(p95 <= TOGETHER, "machines show a frame {p95:?} apart");
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}
