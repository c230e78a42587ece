//! An open room: a computer that has nothing of the box, no certificate and no account, watches the
//! lesson with ordinary players while an admin has the room open, and nothing reaches it otherwise.
//!
//! What would make this fail: players that cannot read the description or the stream, a picture
//! other than the class's, a shut room that sends anything beside what is sealed, a switch that
//! does not work in mid-lesson, a teacher who is not told.
//!
//! Limitations: VLC is not asked; it reads the same description as ffmpeg and hears the same
//! announcement. One machine carries all hosts, so that a player may miss pictures.

use std::{collections::BTreeSet, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, Host,
    air::{OnAir, VIDEO_PORT},
    browser::{Browser, By, Page},
    client::{self, Client},
    eventually, marker,
    school::{Options, School},
    trace::{HEIGHT, Trace, WIDTH},
    traffic::Counts,
};
use http::StatusCode;
use serde_json::{Value, json};

/// Pictures that each player is to show right.
const FRAMES: usize = 60;
/// What is decoded until there are so many: before its first keyframe a player shows nonsense.
const DECODED: usize = 240;
const PICTURE: usize = WIDTH * HEIGHT;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

const OPEN: &str = "This room is open: anybody on the network can watch and listen";

#[tokio::test]
async fn an_open_room_is_watched_with_any_player_and_a_shut_one_with_none() -> Result<()> {
    let (school, desk, guest) = begin().await?;
    let traffic = school.classroom.the_box().count_traffic()?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    let page = desk.page();
    let moving = desk.show_moving_picture().await?;
    page.click(By::Role("button", "Share the screen")).await?;
    moving.raise().await?;
    let trace = Trace::at(school.seats[0].trace_path());
    trace.wait_for_more(60, SECONDS(20)).await.context("the class sees it")?;
    let sdp = format!("/api/v1/rooms/{}/broadcast.sdp", school.room_id);
    let stranger = Client::new(
        &guest,
        (school.classroom.the_box().address(), 443).into(),
        &client::Trust::Anyone,
    )?;
    let refused = stranger.get(&sdp).await?;
    ensure!(refused.status == StatusCode::NOT_FOUND, "a shut room: {}", refused.status);
    let before = in_the_clear(&traffic.so_far());
    ensure!(before == 0, "a shut room sends {before} packets in the clear");

    set_open(&school, true).await?;
    let described = described(&stranger, &sdp).await?;
    page.wait_for(By::Text(OPEN)).await.context("the teacher is told")?;
    let gstreamer = play_by_gstreamer(&guest, &described).await?;
    let ffmpeg = play_by_ffmpeg(&guest, &format!("{}{sdp}", school.url())).await?;
    let shown = trace.read()?.into_iter().filter_map(|shown| shown.counter).collect();
    judge("GStreamer", &gstreamer, &shown)?;
    judge("ffmpeg", &ffmpeg, &shown)?;

    set_open(&school, false).await?;
    let (shut, sealed) = (traffic.so_far(), on_air.frames().len());
    goes_on(&on_air, sealed + 60).await?;
    let (open, after) = (in_the_clear(&shut), in_the_clear(&(traffic.so_far() - &shut)));
    println!("{open} packets in the clear while it was open, {after} after");
    ensure!(open > 0 && after == 0, "a shut room sends {after} packets in the clear");
    let refused = stranger.get(&sdp).await?;
    ensure!(refused.status == StatusCode::NOT_FOUND, "a shut room: {}", refused.status);
    eventually("the teacher is told that it is shut", SECONDS(5), async || {
        let said = page.text(By::Css("body")).await?;
        ensure!(!said.contains(OPEN), "the page says it still");
        Ok(())
    })
    .await?;
    desk.close().await?;
    school.classroom.close()
}

/// Packets to groups beside what is sealed.
fn in_the_clear(counts: &Counts) -> u64 {
    let is_sealed = |to: &SocketAddr| (VIDEO_PORT..=VIDEO_PORT + 4).contains(&to.port());
    let others = counts.sent_to_groups.iter().filter(|(to, _)| !is_sealed(to));
    others.map(|(_, tally)| tally.packets).sum()
}

/// A lesson that is on, its teacher's page, and a computer of somebody who has nothing of the box.
async fn begin() -> Result<(School, Browser, Host)> {
    let school = School::open(Classroom::new().students(2).teacher(), &Options::default()).await?;
    let seat = school.seats.get(1).context("a second seat")?;
    if let Some(player) = &seat.player {
        player.terminate().await?;
    }
    seat.agent.terminate().await?;
    std::fs::remove_dir_all(seat.agent_state())?;
    let guest = seat.host.clone();

    let host = school.classroom.teacher()?;
    let desk = Browser::with(school.trust(host).await?).without_microphone().start(host).await?;
    let page: Page<'_> = desk.page();
    page.goto(&school.url()).await?;
    school.start_lesson_on(&page).await?;
    Ok((school, desk, guest))
}

async fn set_open(school: &School, is_open: bool) -> Result<()> {
    let path = format!("/api/v1/rooms/{}/open_air", school.room_id);
    let set: Value = school.teacher.put(&path, &json!({ "is_open": is_open })).await?.json()?;
    ensure!(set["is_open"] == is_open, "{set}");
    Ok(())
}

/// The description, as soon as there is something to describe.
async fn described(stranger: &Client, sdp: &str) -> Result<String> {
    eventually("what is on air is described", SECONDS(10), async || {
        let reply = stranger.get(sdp).await?;
        ensure!(reply.status == StatusCode::OK, "{}", reply.status);
        Ok(String::from_utf8(reply.body.to_vec())?)
    })
    .await
}

/// Returns when so many pictures have gone out, sealed.
async fn goes_on(on_air: &OnAir, frames: usize) -> Result<()> {
    eventually("the lesson goes on", SECONDS(20), async || {
        let so_far = on_air.frames().len();
        ensure!(so_far >= frames, "{so_far} of {frames} pictures");
        Ok(())
    })
    .await
}

/// From a description that was fetched before. Returns the pictures, small and grey.
async fn play_by_gstreamer(guest: &Host, described: &str) -> Result<Vec<u8>> {
    let (session, seen) = (guest.dir().join("lesson.sdp"), guest.dir().join("by-gstreamer.grey"));
    std::fs::write(&session, described)?;
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "filesrc"]).arg(format!("location={}", session.display()));
    let small = format!("video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT}");
    command.args(["!", "sdpdemux", "name=lesson", "lesson.", "!"]);
    command.args(["application/x-rtp,media=video", "!", "decodebin", "!", "videoconvert", "!"]);
    command.args(["videoscale", "!", &small, "!", "filesink", "buffer-mode=unbuffered"]);
    command.arg(format!("location={}", seen.display()));
    let player = guest.spawn("gst-launch", command)?;
    let enough = eventually("GStreamer plays", SECONDS(90), async || {
        let so_far = std::fs::metadata(&seen).map_or(0, |file| file.len());
        ensure!(so_far >= u64::try_from(DECODED * PICTURE)?, "{so_far} bytes of pictures");
        Ok(())
    });
    player.while_up(enough).await?;
    player.kill().await?;
    Ok(std::fs::read(&seen)?)
}

/// From the description's address. ffplay has the same reader.
async fn play_by_ffmpeg(guest: &Host, url: &str) -> Result<Vec<u8>> {
    let seen = guest.dir().join("by-ffmpeg.grey");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]);
    command.args(["-protocol_whitelist", "https,tls,tcp,http,udp,rtp", "-i", url, "-an"]);
    command.args(["-vf", &format!("scale={WIDTH}:{HEIGHT},format=gray")]);
    command.args(["-fps_mode", "passthrough", "-frames:v", &DECODED.to_string(), "-f", "rawvideo"]);
    command.arg(&seen);
    guest.run_well(command, "", SECONDS(90)).await?;
    Ok(std::fs::read(&seen)?)
}

/// What a player showed is what the class saw, picture by picture.
fn judge(player: &str, pictures: &[u8], shown: &BTreeSet<u32>) -> Result<()> {
    let read = |picture| marker::read(picture, WIDTH, HEIGHT);
    let pictures = pictures.chunks_exact(PICTURE).map(read).skip_while(Option::is_none);
    let pictures: Vec<_> = pictures.collect();
    let counters: Vec<u32> = pictures.iter().copied().flatten().collect();
    let known = counters.iter().filter(|counter| shown.contains(counter)).count();
    println!(
        "{player}: {} pictures, {} read, {known} of them the class's",
        pictures.len(),
        counters.len()
    );
    let different = counters.iter().collect::<BTreeSet<_>>().len();
    ensure!(different >= FRAMES, "{player}: only {different} different ones can be read");
    ensure!(counters.len() * 10 >= pictures.len() * 9, "{player} shows nonsense");
    ensure!(known * 10 >= counters.len() * 9, "{player}: only {known} are the class's");
    ensure!(counters.is_sorted(), "{player} goes back: {counters:?}");
    Ok(())
}
