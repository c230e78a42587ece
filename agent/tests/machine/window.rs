//! The player's window, looked at on a real X server.

use alfarid_agent::feed::{Idle, ToPlayer};
use alfarid_protocol::grant::{Codec, Picture, Stage};
use tokio::process::Command;

use crate::{
    display::{Display, Screenshot},
    media::{self, PLACES, TICKS, place_of_bar},
    player::{Feed, stage},
    process::Process,
};

const SIZE: (u32, u32) = (1280, 720);

const ALL: (f64, f64) = (0.0, 1.0);
const MIDDLE: (f64, f64) = (0.4, 0.6);
const TOP: (f64, f64) = (0.0, 0.15);
const RIGHT: (f64, f64) = (0.75, 1.0);
const BOTTOM: (f64, f64) = (0.8, 0.95);

struct Window {
    feed: Feed,
    display: Display,
    _player: Process,
}

impl Window {
    async fn open() -> Self {
        let feed = Feed::open();
        let display = Display::start(SIZE).await;
        let mut command: Command = feed.player();
        display.set(command.arg("--full-screen"));
        let player = Process::start(&mut command);
        feed.attached().await;
        Self { feed, display, _player: player }
    }

    async fn tell(&self, message: ToPlayer) {
        self.feed.players.send(message).await;
    }

    async fn picture(&self, codec: Codec, place: usize) {
        let frames = media::video(codec, (1920, 1080), place + 1);
        self.tell(ToPlayer::Video(frames[0].clone())).await;
        for frame in frames.into_iter().skip(1) {
            self.tell(ToPlayer::Video(frame)).await;
        }
    }

    /// The same, without those on the way there.
    async fn only_picture(&self, codec: Codec, place: usize) {
        for mut frame in media::video(codec, (1920, 1080), place + 1) {
            frame.catch_up = frame.timestamp != place as u64 * TICKS;
            self.tell(ToPlayer::Video(frame)).await;
        }
    }

    async fn shows(&self, name: &str, wanted: impl Fn(&Screenshot) -> bool) {
        self.display.shows(name, wanted).await;
    }
}

fn bar_at(place: usize) -> impl Fn(&Screenshot) -> bool {
    move |shot| {
        let bright = shot.part(MIDDLE, MIDDLE).len();
        bright > 0
            && place_of_bar(&shot.pixels, shot.width) == place
            && shot.pixels.iter().filter(|&&pixel| pixel > 200).count()
                > shot.pixels.len() / PLACES / 2
    }
}

/// Without a lesson a calm line, in a lesson its picture, and everything the teacher says of it.
#[tokio::test]
async fn the_window_shows_what_the_teacher_lets_it_show() {
    let window = Window::open().await;
    window.shows("no-lesson", |shot| shot.letters(ALL, MIDDLE) > 500).await;
    window.tell(ToPlayer::Idle(Idle::NoBox)).await;
    // This line is the longer one.
    window.shows("no-box", |shot| shot.letters((0.30, 0.32), MIDDLE) > 0).await;
    let recorded = Stage { title: "Алгебра, 8 «Б»".into(), recording: true, ..stage() };
    window.tell(ToPlayer::Stage(recorded.clone())).await;
    window
        .shows("expected", |shot| {
            shot.letters(ALL, (0.3, 0.7)) > 1500 && shot.letters(RIGHT, TOP) > 100
        })
        .await;

    window.picture(Codec::H264, 5).await;
    window.shows("picture", bar_at(5)).await;
    window.shows("recorded", |shot| shot.letters(RIGHT, TOP) > 100).await;
    window.tell(ToPlayer::Stage(Stage { on_air: false, ..recorded.clone() })).await;
    window.shows("screen-gone", |shot| shot.letters((0.4, 1.0), BOTTOM) > 300).await;
    window.tell(ToPlayer::Stage(Stage { picture: Picture::Frozen, ..recorded.clone() })).await;
    window.picture(Codec::Vp8, 9).await;
    window.shows("frozen", bar_at(5)).await;
    window.tell(ToPlayer::Stage(Stage { picture: Picture::Blank, ..recorded.clone() })).await;
    window
        .shows("blank", |shot| {
            shot.part(ALL, (0.2, 0.4)).iter().all(|&pixel| pixel < 8)
                && shot.letters(ALL, MIDDLE) > 500
        })
        .await;
    window.tell(ToPlayer::Stage(recorded)).await;
    window.shows("live-again", bar_at(9)).await;
}

/// A student with another window on top has a player that does its work.
#[tokio::test]
async fn pictures_that_another_window_covers_count_as_shown() {
    let window = Window::open().await;
    window.tell(ToPlayer::Stage(stage())).await;
    window.only_picture(Codec::H264, 5).await;
    window.shows("in-front", bar_at(5)).await;
    window.feed.shown(1).await;
    let mut another = Command::new("xlogo");
    window.display.set(another.args(["-bg", "black", "-geometry", "1280x720+0+0"]));
    let another = another.kill_on_drop(true).spawn().unwrap();
    window.shows("covered", |shot| shot.letters(ALL, MIDDLE) == 0).await;
    window.only_picture(Codec::Vp8, 9).await;
    window.feed.shown(2).await;
    drop(another);
    window.shows("in-front-again", bar_at(9)).await;
}

#[tokio::test]
async fn wheel_and_keys_zoom_and_bring_the_whole_picture_back() {
    let window = Window::open().await;
    window.tell(ToPlayer::Stage(stage())).await;
    window.picture(Codec::H264, 8).await;
    window.shows("whole", bar_at(8)).await;
    let bar = |shot: &Screenshot| {
        let row = &shot.pixels[shot.pixels.len() / 2 / shot.width * shot.width..][..shot.width];
        row.iter().filter(|&&pixel| pixel > 128).count()
    };
    // The bar is 80 pixels wide; at the pointer, in its middle, it grows and stays. A wheel that
    // is no device of its own counts twice: when it is pressed and when it is released.
    window
        .display
        .xdotool(&["mousemove", "680", "360", "click", "4", "click", "4", "click", "4"])
        .await;
    window.shows("zoomed", |shot| (230..246).contains(&bar(shot))).await;
    window.display.xdotool(&["mousedown", "1", "mousemove", "480", "360", "mouseup", "1"]).await;
    window.shows("dragged", |shot| shot.pixels[360 * shot.width + 480] > 128).await;
    window.display.xdotool(&["key", "0"]).await;
    window.shows("whole-again", |shot| (78..83).contains(&bar(shot))).await;
}
