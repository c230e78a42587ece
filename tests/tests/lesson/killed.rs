//! The daemon dies in the middle.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use classroom::{
    Switch,
    air::OnAir,
    playback,
    school::{School, files_under},
    trace::Trace,
    until::eventually,
};

use crate::{
    SECONDS,
    judge::{in_folder, judge_attendance, ready, recorded_video},
    steps::{TrustedBy, begin, end, lesson_of, open_browser, share, three_machines},
};

/// What the last second of a recording may hold that a kill takes with it, in the counter's
/// thirtieths of a second, and half as much for the moment of the look itself.
const TICKS: u32 = 45;

/// SIGKILL in the middle of a lesson: nobody presses anything, and the lesson goes on.
#[tokio::test]
async fn a_lesson_goes_on_after_the_daemon_was_killed() -> Result<()> {
    let school = three_machines(Switch::Snooping).await?;
    let browser = open_browser(&school, TrustedBy::Root).await?;
    let page = browser.page();
    begin(&school, &page, "h264", TrustedBy::Root).await?;
    let moving = browser.show_moving_picture().await?;
    share(&school, &page).await?;
    moving.raise().await?;
    let lesson = lesson_of(&page).await?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(SECONDS(6), SECONDS(30)).await?;
    let recorded = recorded_video(&school)?;
    let seat = school.seats.first().context("a seat")?;
    let trace = Trace::at(seat.trace_path());
    let newest = trace.wait_for(|shown| shown.counter.is_some(), SECONDS(5)).await?;
    let newest = newest.counter.context("a counter")?;

    let pictures = pictures_of(&school)?;
    school.daemon.restart().await?;
    tokio::time::timeout(SECONDS(5), async {
        let machines = tokio::time::timeout(SECONDS(2), school.wait_until_connected());
        machines.await.context("machines are back within 2 s")??;
        pictures.are_back().await
    })
    .await
    .context("the picture is back within 5 s")??;
    let state = school.object(&format!("/api/v1/lessons/{lesson}")).await?;
    ensure!(state["status"] == "active", "the lesson is still on: {state}");
    let last = playback::play(&recorded)?.iter().rev().find_map(|picture| picture.counter);
    let last = last.context("a counter in what was recorded before the kill")?;
    ensure!(last + TICKS >= newest, "the recording ends at {last}, {newest} was on show");
    trace.wait_for_more(90, SECONDS(20)).await.context("three seconds more of the lesson")?;
    end(&page).await?;
    judge_attendance(&school, &lesson).await?;
    judge_goes_on(&school, &lesson, &recorded, newest).await?;
    browser.close().await?;
    school.classroom.close()
}

/// How many pictures each machine had shown at a moment.
struct Pictures(Vec<(Trace, usize)>);

fn pictures_of(school: &School) -> Result<Pictures> {
    let traces = school.seats.iter().map(|seat| Trace::at(seat.trace_path()));
    let counted = traces.map(|trace| Ok((trace.clone(), trace.frames()?)));
    Ok(Pictures(counted.collect::<Result<_>>()?))
}

impl Pictures {
    /// Returns once each machine has shown more than what was on its way at that moment. What
    /// waited in a player's queue is no picture that is back: twelve are.
    async fn are_back(&self) -> Result<()> {
        const MORE: usize = 12;
        for (trace, before) in &self.0 {
            let path = trace.path().display();
            eventually(&format!("new pictures in {path}"), SECONDS(5), async || {
                let more = trace.frames()?.saturating_sub(*before);
                ensure!(more >= MORE, "{more} are new");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// After the kill the recording goes on in a file of its own, which plays.
async fn judge_goes_on(school: &School, lesson: &str, before: &Path, newest: u32) -> Result<()> {
    ready(school, lesson, 2).await?;
    let files = files_under(&school.recordings_dir())?;
    let later = files.iter().filter(|file| in_folder(file, "screen") && *file != before);
    let mut fresh = 0;
    for file in later {
        let played = playback::play(file)?;
        fresh += played.iter().filter(|picture| picture.counter > Some(newest)).count();
    }
    ensure!(fresh >= 60, "{fresh} pictures were recorded after the kill");
    Ok(())
}
