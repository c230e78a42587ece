//! What may change in mid-lesson without anybody seeing it: the group's key, and the teacher's own
//! computer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use classroom::{air::OnAir, school::School};
use serde_json::json;

use super::{
    MACHINES,
    class::Class,
    crowd::{Crowd, Outcome, now},
    judge::Shown,
    weather::Climate,
};
use crate::{
    lesson::{small_lesson, source},
    report::{Report, Worst},
};

/// How long each change is looked at.
const WINDOW: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(30);
const SIZE: (u32, u32) = (1280, 720);

/// One machine more than are judged has the key, and loses the school's trust.
pub(super) async fn measure(report: &mut Report, school: &School, class: &Class) -> Result<()> {
    let the_box = school.classroom.the_box();
    let lesson = small_lesson(school).await?;
    let _first = source::on_air(school, &lesson, SIZE).await?;
    let crowd = Crowd::gather(class, &Climate::CALM.places(MACHINES + 1)).await?;
    OnAir::watch(the_box)?.wait_for(Duration::from_secs(1), LIMIT).await?;

    let rekeyed = now();
    let thief = class.identities.get(MACHINES).context("one machine more")?.enrolled_at.machine;
    let path = format!("/api/v1/machines/{}/revoke", thief.0);
    let reply = school.teacher.post(&path, &json!({})).await?;
    ensure!(reply.status.is_success(), "{path}: {} {:?}", reply.status, reply.body);
    OnAir::watch(the_box)?.wait_for(WINDOW, LIMIT).await?;

    let switched = now();
    let _second = source::on_air(school, &lesson, SIZE).await?;
    OnAir::watch(the_box)?.wait_for(WINDOW, LIMIT).await?;
    let end = now();
    OnAir::watch(the_box)?.wait_for(Duration::from_secs(1), LIMIT).await?;
    let mut outcome = crowd.leave().await?;
    outcome.machines.truncate(MACHINES);
    school.end_lesson(&lesson).await?;

    let keys = outcome.witness.keys_used();
    ensure!(keys >= 2, "the lesson went on with the same key");
    let shown = Shown::of(&outcome, &outcome.witness.pictures(rekeyed, switched));
    let Shown { pictures, broken } = shown;
    let about = format!(
        "of {pictures} pictures by {MACHINES} machines, around the new key when a machine is \
         revoked"
    );
    report.figure("rekey_frames", f64::from(u32::try_from(broken)?), Worst::AtMost(0.0), about);
    let about = format!(
        "the longest time between two whole pictures on any of {MACHINES} machines, while another \
         publisher of the same teacher takes over"
    );
    let gap = longest_gap(&outcome, switched, end).as_secs_f64() * 1e3;
    report.figure("source_switch_ms", gap, Worst::AtMost(500.0), about);
    Ok(())
}

fn longest_gap(outcome: &Outcome, from: Duration, until: Duration) -> Duration {
    let gaps = outcome.machines.iter().flat_map(|machine| {
        let mut times: Vec<_> = machine.pictures.values().copied().collect();
        times.retain(|at| (from..until).contains(at));
        times.extend([from, until]);
        times.sort_unstable();
        let gaps = times.windows(2).filter_map(|pair| pair[1].checked_sub(pair[0]));
        gaps.collect::<Vec<_>>()
    });
    gaps.max().unwrap_or_default()
}
