//! The lesson as it should be.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    Switch,
    air::{self, OnAir},
    browser::{By, Page},
    playback,
    school::{School, files_under},
    sound::Heard,
    trace::Trace,
    until::eventually,
};
use serde_json::json;

use crate::{
    LESSON, SECONDS,
    judge::{in_folder, judge_air, judge_attendance, judge_screen, ready, recorded_video},
    steps::{TrustedBy, begin, end, lesson_of, open_browser, share, three_machines},
};

/// For so long the teacher holds their tongue.
const SILENCE: Duration = Duration::from_secs(4);
/// Of the frames that left the box, on a wire that loses nothing.
const SHOWN: f64 = 0.99;

#[tokio::test]
async fn a_teacher_shares_a_screen_and_three_machines_show_it() -> Result<()> {
    whole_lesson("h264", TrustedBy::Root, Switch::Snooping).await
}

/// On a switch that floods, as the cheapest do.
#[tokio::test]
async fn a_teacher_shares_a_screen_in_vp8_and_three_machines_show_it() -> Result<()> {
    whole_lesson("vp8", TrustedBy::Root, Switch::Flooding).await
}

#[tokio::test]
async fn a_browser_that_does_not_trust_the_box_carries_a_lesson_after_one_click() -> Result<()> {
    whole_lesson("h264", TrustedBy::Nobody, Switch::Snooping).await
}

async fn whole_lesson(codec: &str, trust: TrustedBy, switch: Switch) -> Result<()> {
    let school = three_machines(switch).await?;
    let browser = open_browser(&school, trust).await?;
    let page = browser.page();
    begin(&school, &page, codec, trust).await?;
    speak(&page).await?;
    let traffic = school.classroom.the_box().count_traffic()?;
    let moving = browser.show_moving_picture().await?;
    share(&school, &page).await?;
    moving.raise().await?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    hold_ones_tongue(&page, &on_air).await?;
    on_air.wait_for(LESSON + SECONDS(1), SECONDS(60)).await?;

    let sent = on_air.frames();
    let groups = traffic.so_far().sent_to_groups;
    let video: Vec<_> = groups.keys().filter(|to| to.port() == air::VIDEO_PORT).collect();
    ensure!(video.len() == 1, "one multicast stream left the box: {groups:?}");
    let has_sound = groups.keys().any(|to| to.port() == air::SOUND_PORT);
    ensure!(!has_sound, "the voice is sent back into its own room: {groups:?}");
    let wanted = judge_air(&on_air)?;
    for seat in &school.seats {
        judge_screen(seat.host.name(), &Trace::at(seat.trace_path()).read()?, &wanted, SHOWN)?;
    }
    let lesson = lesson_of(&page).await?;
    end(&page).await?;
    judge_attendance(&school, &lesson).await?;
    judge_recording(&school, &lesson, sent.len()).await?;
    judge_voice(&school)?;
    browser.close().await?;
    school.classroom.close()
}

/// Presses "Speak", and sees the level go up and down as the microphone beeps.
async fn speak(page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "Speak")).await?;
    level(page, "a beep", |percent| percent >= 30).await?;
    level(page, "the silence after it", |percent| percent <= 10).await
}

/// Mutes the microphone for some seconds of the lesson: by its key, since a press with the mouse
/// would put the page in front of what is shown.
async fn hold_ones_tongue(page: &Page<'_>, on_air: &OnAir) -> Result<()> {
    on_air.wait_for(SECONDS(5), SECONDS(30)).await?;
    page.press("KeyM").await?;
    page.wait_for(By::Role("button", "Unmute")).await?;
    on_air.wait_for(SECONDS(5) + SILENCE, SECONDS(30)).await?;
    page.press("KeyM").await
}

/// Waits for something on the page's own meter, in per cent of it.
async fn level(page: &Page<'_>, what: &str, is_it: fn(u32) -> bool) -> Result<()> {
    const LEVEL: &str = "document.querySelector('[role=meter]')?.ariaValueNow";
    eventually(&format!("{what} on the meter"), SECONDS(10), async || {
        let level: Option<String> = page.eval(LEVEL, json!(null)).await?;
        let percent = level.context("there is no meter")?.parse()?;
        ensure!(is_it(percent), "it stands at {percent}");
        Ok(())
    })
    .await
}

async fn judge_recording(school: &School, lesson: &str, sent: usize) -> Result<()> {
    ready(school, lesson, 1).await?;
    let video = recorded_video(school)?;
    let played = playback::play(&video)?;
    let counters = played.iter().filter(|picture| picture.counter.is_some()).count();
    println!("recorded: {} frames of {sent}, {counters} counters", played.len());
    ensure!(played.len() * 100 >= sent * 95, "{} of {sent} frames are recorded", played.len());
    ensure!(counters * 100 >= sent * 90, "the counter is in {counters} recorded pictures");
    Ok(())
}

/// What the microphone heard is there from "Speak" to the end, but for what it was muted for.
fn judge_voice(school: &School) -> Result<()> {
    let files = files_under(&school.recordings_dir())?;
    let mut voices = files.iter().filter(|file| in_folder(file, "audio") && is_of(file, "person"));
    let voice = voices.next().context("a recorded voice")?;
    ensure!(voices.next().is_none(), "one voice in one piece: {files:?}");
    let heard = Heard::of(&playback::listen(voice)?);
    let (length, pause) = (heard.length(), heard.longest_pause());
    println!("heard: {length:.1?}, silence for {pause:.1?}");
    heard.judge_beeps()?;
    ensure!(length >= LESSON, "the voice is recorded for {length:?}");
    ensure!(pause + SECONDS(1) >= SILENCE, "muted for {SILENCE:?}, and silent for {pause:?}");
    Ok(())
}

fn is_of(file: &Path, publication: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with(publication)
}
