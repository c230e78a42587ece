//! The bench `glass`: from a pixel on the teacher's screen to the pixel in the machine's window, with a
//! real Chromium that captures and encodes, and a real player that decodes and shows.
//!
//! Both screens are X servers whose memory is read here, in turns and by one clock. All of it shares
//! the cores of one machine, the encoder and the decoder among them.

mod text;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    binaries,
    browser::{Browser, By, Trust},
    display::{Display, Pixels},
    eventually, marker,
    school::{Options, School},
};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    lesson::{now, school},
    report::{Report, Worst, percentile},
};

const SIZE: (usize, usize) = (1280, 720);
/// How often both screens are looked at.
const LOOK: Duration = Duration::from_millis(2);
const SETTLED: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_mins(1);
/// A small picture is enough for the counter, and of that its upper rows.
const SMALL: (usize, usize) = (160, 90);
const ROWS: usize = 12;
/// Pictures that both screens showed, of the 600 in the window.
const ENOUGH: usize = 100;

/// A lesson whose teacher has a screen, and a machine with one.
struct Room {
    school: School,
    desk: Browser,
    source: Pixels,
    shown: Pixels,
}

/// Measures all of it, or only the part of this name.
pub(crate) async fn measure(report: &mut Report, part: Option<&str>) -> Result<()> {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let known = ["delay", "text"];
    ensure!(part.is_none_or(|part| known.contains(&part)), "one of {}", known.join(", "));
    if wanted("delay") {
        delay(report).await?;
    }
    if wanted("text") {
        text::measure(report).await?;
    }
    Ok(())
}

async fn delay(report: &mut Report) -> Result<()> {
    let room = Room::open(SIZE).await?;
    let moving = room.desk.show_moving_picture().await?;
    room.share().await?;
    moving.raise().await?;
    eventually("the machine shows the counter", LIMIT, async || {
        counter(&room.shown)?.context("no counter").map(drop)
    })
    .await?;
    look(&room, SETTLED).await?;
    let [source, shown] = look(&room, WINDOW).await?;
    let mut delays: Vec<f64> = shown
        .iter()
        // What is there when the look begins has been there for longer.
        .skip(1)
        .filter_map(|(counter, at)| {
            Some(at.checked_sub(*source.get(counter)?)?.as_secs_f64() * 1e3)
        })
        .collect();
    ensure!(delays.len() >= ENOUGH, "only {} pictures were on both screens", delays.len());
    let (median, p95) = (percentile(&mut delays, 0.5), percentile(&mut delays, 0.95));
    let about = format!(
        "screen to screen, {} of {} pictures of the teacher's; median {median:.0}; Chromium, box and \
         player share the cores",
        delays.len(),
        source.len()
    );
    report.figure("glass_to_glass_p95_ms", p95, Worst::AtMost(200.0), about);
    let count = |pictures: usize| u32::try_from(pictures).map(f64::from);
    let share = count(delays.len())? / count(source.len())?;
    let about = "of the pictures that the teacher's screen showed, those that the machine's did";
    report.figure("glass_pictures", share, Worst::AtLeast(0.5), about);
    room.close().await
}

/// When each counter was first seen on either screen.
async fn look(room: &Room, length: Duration) -> Result<[BTreeMap<u32, Duration>; 2]> {
    let mut seen = [BTreeMap::new(), BTreeMap::new()];
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = now() + length;
    while now() < until {
        ticks.tick().await;
        for (pixels, seen) in [&room.source, &room.shown].into_iter().zip(&mut seen) {
            if let Some(counter) = counter(pixels)? {
                seen.entry(counter).or_insert_with(now);
            }
        }
    }
    Ok(seen)
}

fn counter(pixels: &Pixels) -> Result<Option<u32>> {
    Ok(marker::read(&pixels.grey(SMALL, ROWS)?, SMALL.0, SMALL.1))
}

impl Room {
    /// The teacher is logged in and has started a lesson; nothing is on air.
    async fn open(size: (usize, usize)) -> Result<Self> {
        let options = Options { without_players: true, ..Options::default() };
        let school = school(1, &options).await?;
        let seat = school.seats.first().context("a seat")?;
        let window = Display::sized(&seat.host, size).await?;
        let mut player = binaries::player()?;
        player.arg("--full-screen").arg("--runtime").arg(seat.host.dir().join("run"));
        player.env("DISPLAY", window.name());
        seat.host.spawn("player", player)?;
        let teacher = school.classroom.teacher()?;
        let screen = Display::sized(teacher, size).await?;
        let desk = Browser::with(Trust::ClickThrough).on(&screen).start(teacher).await?;
        let page = desk.page();
        page.click_through(&school.url()).await?;
        school.start_lesson_on(&page).await?;
        let lessons = school.items("/api/v1/lessons?status=active").await?;
        let lesson =
            lessons.first().and_then(|lesson| lesson["id"].as_str()).context("a lesson")?;
        // The mark of a recording would stand on what is read here.
        let wish = json!({ "quality_profile": "small", "is_recording": false });
        school.teacher.patch(&format!("/api/v1/lessons/{lesson}"), &wish).await?.ok()?;
        let (source, shown) = (screen.pixels()?, window.pixels()?);
        Ok(Self { school, desk, source, shown })
    }

    async fn share(&self) -> Result<()> {
        self.desk.page().click(By::Role("button", "Share the screen")).await
    }

    async fn close(self) -> Result<()> {
        self.desk.close().await?;
        self.school.classroom.close()
    }
}
