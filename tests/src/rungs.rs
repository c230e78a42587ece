//! A machine that receives in another way now: what the teacher's page says of it, and what became of
//! the picture meanwhile.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    school::{School, Seat},
    trace::Shown,
    until::eventually,
};

/// Climbing waits its real 30 s, and falling again doubles that.
const STANDS: Duration = Duration::from_secs(75);

/// Waits until the page's own source of truth says that the machine receives so, and why.
pub async fn stands(
    school: &School,
    lesson: &str,
    seat: &Seat,
    rung: &str,
    cause: Option<&str>,
) -> Result<()> {
    let path = format!("/api/v1/lessons/{lesson}/stream");
    eventually(&format!("{} on {rung}", seat.host.name()), STANDS, async || {
        let stream = school.object(&path).await?;
        let machines = stream["machines"].as_array().context("machines")?;
        let machine = machines.iter().find(|machine| machine["machine_id"] == seat.machine_id);
        let machine = machine.context("the machine")?;
        let is_it = machine["rung"] == rung && machine["rung_cause"] == json!(cause);
        ensure!(is_it && machine["state"] == "receiving", "{machine}");
        Ok(())
    })
    .await
}

/// The pictures that were shown, by their RTP times.
#[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
pub fn times(shown: &[Shown]) -> BTreeSet<u32> {
    shown.iter().map(|frame| frame.rtp_time as u32).collect()
}

/// The longest time between two pictures.
pub fn longest_pause(shown: &[Shown]) -> Result<Duration> {
    let pauses = shown.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    pauses.max().context("two pictures")
}
