//! A lesson, end to end: a real browser shares its real screen through the real page, real
//! machines show it, the box records it and writes the attendance.
//!
//! What would make these fail: any break between the teacher's screen and a machine's picture, a
//! frame that a machine does not show, a picture that was not sent, a recording that does not
//! play, a voice that is not in it or is heard while muted, a student who was there and is not in
//! the attendance, a second stream on the wire.
//!
//! Limitations: one machine carries all hosts, so nothing here is a measurement of speed; the
//! machines show their pictures to a sink without a window.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, Switch,
    air::{self, OnAir, Rate},
    browser::{Browser, By, Page, Trust},
    playback,
    school::{EMAIL, Options, PASSWORD, School, files_under},
    sound::Heard,
    trace::{Shown, Trace},
    until::eventually,
};
use serde_json::json;

const LESSON: Duration = Duration::from_secs(20);
/// What the last second of a recording may hold that a kill takes with it, in the counter's
/// thirtieths of a second, and half as much for the moment of the look itself.
const TICKS: u32 = 45;
/// For so long the teacher holds their tongue.
const SILENCE: Duration = Duration::from_secs(4);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

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

#[derive(Clone, Copy, PartialEq, Eq)]
enum TrustedBy {
    Root,
    Nobody,
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
        judge_screen(seat.host.name(), &Trace::at(seat.trace_path()).read()?, &wanted)?;
    }
    let lesson = lesson_of(&page).await?;
    end(&page).await?;
    judge_attendance(&school, &lesson).await?;
    judge_recording(&school, &lesson, sent.len()).await?;
    judge_voice(&school)?;
    browser.close().await?;
    school.classroom.close()
}

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

async fn three_machines(switch: Switch) -> Result<School> {
    let classroom = Classroom::new().students(3).teacher().switch(switch);
    School::open(classroom, &Options::default()).await
}

async fn open_browser(school: &School, trust: TrustedBy) -> Result<Browser> {
    let desk = school.classroom.teacher()?;
    let trust = match trust {
        TrustedBy::Nobody => Trust::ClickThrough,
        TrustedBy::Root => {
            let root = desk.dir().join("root.pem");
            std::fs::write(&root, school.teacher.get("/api/v1/site/root.pem").await?.body)?;
            Trust::Root(root)
        }
    };
    Browser::launch(desk, trust).await
}

/// From the address bar to a running lesson.
async fn begin(school: &School, page: &Page<'_>, codec: &str, trust: TrustedBy) -> Result<()> {
    let url = format!("{}/?codec={codec}", school.url());
    match trust {
        TrustedBy::Root => page.goto(&url).await?,
        TrustedBy::Nobody => page.click_through(&url).await?,
    }
    page.fill(By::Label("Email"), EMAIL).await?;
    page.fill(By::Label("Password"), PASSWORD).await?;
    page.click(By::Role("button", "Log in")).await?;
    page.click(By::Role("button", "Start the lesson")).await
}

async fn share(school: &School, page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "Share the screen")).await?;
    for seat in &school.seats {
        let trace = Trace::at(seat.trace_path());
        if let Err(error) = trace.wait_for_more(1, SECONDS(20)).await {
            let path = format!("/api/v1/lessons/{}/stream", lesson_of(page).await?);
            let stream = school.object(&path).await?;
            let screen = school.classroom.dir().join("no-picture.png");
            page.screenshot(&screen).await?;
            return Err(error.context(format!("no picture on a machine: {stream}")));
        }
    }
    Ok(())
}

async fn end(page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "End the lesson")).await?;
    page.click(By::Role("button", "Yes, end it")).await
}

async fn lesson_of(page: &Page<'_>) -> Result<String> {
    let url = page.url().await?;
    let path = url.split('?').next().unwrap_or_default();
    Ok(path.rsplit('/').next().context("the lesson's page names it")?.to_owned())
}

/// The frames of the last 20 s, but for the newest few, which are on their way to the screens.
fn judge_air(on_air: &OnAir) -> Result<BTreeSet<u32>> {
    let frames = on_air.frames();
    let length = air::length_of(&frames).context("pictures on the air")?;
    let rate = Rate::of(&frames).context("pictures on the air")?;
    println!("on the air for {length:.1?}: {} frames, {rate}", frames.len());
    ensure!(rate.fps >= 15.0 && rate.mbps >= 1.0, "only {rate} left the box");
    let newest = frames.values().map(|frame| frame.last_at).max().unwrap_or_default();
    let settled = newest.saturating_sub(Duration::from_millis(500));
    Ok(frames.iter().filter(|(_, f)| f.last_at <= settled).map(|(time, _)| *time).collect())
}

fn judge_screen(name: &str, shown: &[Shown], sent: &BTreeSet<u32>) -> Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
    let times: BTreeSet<u32> = shown.iter().map(|frame| frame.rtp_time as u32).collect();
    let there = sent.intersection(&times).count();
    let share = f64::from(u32::try_from(there)?) / f64::from(u32::try_from(sent.len())?);
    let counters: Vec<u32> = shown.iter().filter_map(|frame| frame.counter).collect();
    println!("{name}: {there} of {} frames ({share:.4}), {} counters", sent.len(), counters.len());
    ensure!(share >= 0.95, "{name} showed {share:.3} of the frames");
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

/// Each student was there from the lesson's start to its end: a lost span, be it the first or the
/// last, would show in one of the three times.
async fn judge_attendance(school: &School, lesson: &str) -> Result<()> {
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

fn time(of: &serde_json::Value, field: &str) -> Result<i64> {
    of[field].as_i64().with_context(|| format!("{field} in {of}"))
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

/// Waits until the lesson has so many recordings, and each can be played.
async fn ready(school: &School, lesson: &str, stretches: usize) -> Result<()> {
    eventually("the recording is ready", SECONDS(20), async || {
        let all = school.items(&format!("/api/v1/recordings?lesson_id={lesson}")).await?;
        let is_ready = all.iter().all(|recording| recording["status"] == "ready");
        ensure!(all.len() == stretches && is_ready, "{all:?}");
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

/// The largest file of the pictures: the segment that the lesson is in.
fn recorded_video(school: &School) -> Result<std::path::PathBuf> {
    let files = files_under(&school.recordings_dir())?;
    let video = files.into_iter().filter(|file| in_folder(file, "screen"));
    video.max_by_key(|file| std::fs::metadata(file).map_or(0, |meta| meta.len())).context("a video")
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

fn in_folder(file: &Path, folder: &str) -> bool {
    file.parent().is_some_and(|parent| parent.ends_with(folder))
}
