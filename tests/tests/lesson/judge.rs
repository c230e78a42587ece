//! What must have come of a lesson.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use classroom::{
    air::{self, OnAir, Rate},
    school::{School, files_under},
    trace::Shown,
    until::eventually,
};

use crate::SECONDS;

/// The whole frames, but for the newest few, which are on their way to the screens.
pub(crate) fn judge_air(on_air: &OnAir) -> Result<BTreeSet<u32>> {
    let frames = on_air.frames();
    let length = air::length_of(&frames).context("pictures on the air")?;
    let rate = Rate::of(&frames).context("pictures on the air")?;
    println!("on the air for {length:.1?}: {} frames, {rate}", frames.len());
    // What a browser makes without a graphics card, beside three players on two slow cores.
    ensure!(rate.fps >= 10.0 && rate.mbps >= 0.7, "only {rate} left the box");
    let newest = frames.values().map(|frame| frame.last_at).max().unwrap_or_default();
    let settled = newest.saturating_sub(Duration::from_millis(500));
    let whole = frames.iter().filter(|(_, frame)| frame.has_end && frame.last_at <= settled);
    Ok(whole.map(|(time, _)| *time).collect())
}

pub(crate) fn judge_screen(
    name: &str,
    shown: &[Shown],
    sent: &BTreeSet<u32>,
    at_least: f64,
) -> Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
    let times: BTreeSet<u32> = shown.iter().map(|frame| frame.rtp_time as u32).collect();
    let there = sent.intersection(&times).count();
    let share = f64::from(u32::try_from(there)?) / f64::from(u32::try_from(sent.len())?);
    let counters: Vec<u32> = shown.iter().filter_map(|frame| frame.counter).collect();
    println!("{name}: {there} of {} frames ({share:.4}), {} counters", sent.len(), counters.len());
    ensure!(share >= at_least, "{name} showed {share:.4} of the frames: {}", gaps(sent, &times));
    ensure!(counters.len() * 10 >= sent.len() * 9, "{name}'s pictures show the counter");
    ensure!(counters.windows(2).all(|pair| pair[0] <= pair[1]), "{name} never goes back in time");
    let last = shown.last().context("a last picture")?;
    ensure!(
        (last.width, last.height) == (1280, 720),
        "{name} shows {}x{}",
        last.width,
        last.height
    );
    Ok(())
}

/// Where frames are missing: how many in a row, and how long after the first.
fn gaps(sent: &BTreeSet<u32>, shown: &BTreeSet<u32>) -> String {
    let frames: Vec<u32> = sent.iter().copied().collect();
    let rows = frames.chunk_by(|one, next| shown.contains(one) == shown.contains(next));
    let missing = rows.filter(|row| !shown.contains(&row[0]));
    let first = frames.first().copied().unwrap_or_default();
    let told = missing.map(|row| {
        let at = f64::from(row[0].wrapping_sub(first)) / 90_000.0;
        format!("{} missing at {at:.2} s", row.len())
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Each student was there from the lesson's start to its end: a lost span, be it the first or the
/// last, would show in one of the three times.
pub(crate) async fn judge_attendance(school: &School, lesson: &str) -> Result<()> {
    const NEAR_MS: i64 = 2_000;
    let path = format!("/api/v1/lessons/{lesson}/attendance");
    eventually("three students present", SECONDS(10), async || {
        let held = school.object(&format!("/api/v1/lessons/{lesson}")).await?;
        let (start, end) = (time(&held, "start_at")?, time(&held, "end_at")?);
        let attendance = school.object(&path).await?;
        let items = attendance["items"].as_array().context("records")?;
        let present = items.iter().filter(|record| record["status"] == "present").count();
        ensure!(present == 3 && items.len() == 3, "{attendance}");
        for record in items {
            let late = time(record, "joined_at")? - start;
            let early = end - time(record, "left_at")?;
            let missing = end - start - time(record, "duration_seconds")? * 1_000;
            let whole = [late, early, missing].into_iter().all(|off| off.abs() <= NEAR_MS);
            ensure!(whole, "a span is lost of {start}..{end}: {record}");
        }
        Ok(())
    })
    .await
}

pub(crate) fn time(of: &serde_json::Value, field: &str) -> Result<i64> {
    of[field].as_i64().with_context(|| format!("{field} in {of}"))
}

/// Waits until the lesson has so many recordings, and each can be played.
pub(crate) async fn ready(school: &School, lesson: &str, stretches: usize) -> Result<()> {
    eventually("the recording is ready", SECONDS(20), async || {
        let all = school.items(&format!("/api/v1/recordings?lesson_id={lesson}")).await?;
        let is_ready = all.iter().all(|recording| recording["status"] == "ready");
        ensure!(all.len() == stretches && is_ready, "{all:?}");
        Ok(())
    })
    .await
}

/// The largest file of the pictures: the segment that the lesson is in.
pub(crate) fn recorded_video(school: &School) -> Result<PathBuf> {
    let files = files_under(&school.recordings_dir())?;
    let video = files.into_iter().filter(|file| in_folder(file, "screen"));
    video.max_by_key(|file| std::fs::metadata(file).map_or(0, |meta| meta.len())).context("a video")
}

pub(crate) fn in_folder(file: &Path, folder: &str) -> bool {
    file.parent().is_some_and(|parent| parent.ends_with(folder))
}
