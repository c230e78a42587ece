//! The player, by its real binary, fed through the agent's real socket with real media.

use std::path::PathBuf;

use alfarid_agent::{
    clock,
    feed::{Frame, Idle, ToPlayer},
    players::Players,
    presence::Seat,
};
use alfarid_protocol::{
    grant::{Codec, Picture, Stage},
    id::LessonId,
};
use nix::unistd::getuid;
use tempfile::TempDir;
use tokio::{process::Command, sync::watch};

use crate::{
    media::{self, HD, PLACES, Shown, TICKS},
    process::{PLAYER, Process},
    within,
};

pub(crate) fn stage() -> Stage {
    Stage {
        lesson: LessonId(uuid::Uuid::from_u128(1)),
        title: "Algebra".into(),
        picture: Picture::Live,
        recording: false,
        on_air: true,
        ends_by_itself_at: None,
    }
}

/// The agent's end: the socket, and whose session is in front.
pub(crate) struct Feed {
    pub(crate) dir: TempDir,
    pub(crate) players: Players,
    pub(crate) seat: watch::Sender<Seat>,
}

impl Feed {
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mine = Seat { user: Some(getuid().as_raw()), ..Seat::default() };
        let (seat, follow) = watch::channel(mine);
        let (players, _task) = Players::listen(dir.path(), follow).unwrap();
        Self { dir, players, seat }
    }

    pub(crate) fn player(&self) -> Command {
        let mut command = Command::new(PLAYER);
        command.arg("--runtime").arg(self.dir.path()).env("LANG", "ru_RU.UTF-8");
        command
    }

    pub(crate) fn trace(&self) -> PathBuf {
        self.dir.path().join("trace")
    }

    fn null_player(&self) -> Process {
        Process::start(self.player().args(["--sink", "null", "--trace"]).arg(self.trace()))
    }

    pub(crate) async fn attached(&self) {
        let mut attached = self.players.attached();
        within("a player to attach", attached.wait_for(|now| now.user.is_some())).await.unwrap();
    }

    async fn send(&self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.players.send(ToPlayer::Video(frame)).await;
        }
    }

    /// Waits until players have said that so many pictures were on show.
    pub(crate) async fn shown(&self, count: u64) {
        let mut attached = self.players.attached();
        let what = format!("{count} pictures on show");
        within(&what, attached.wait_for(|now| now.shown >= count)).await.unwrap();
        assert_eq!(attached.borrow().shown, count);
    }
}

fn places(shown: &[Shown]) -> Vec<usize> {
    shown.iter().map(|shown| shown.place).collect()
}

/// Every picture of a real stream comes out, none of it late for lack of a next one, and the trace
/// says which and when.
#[tokio::test]
async fn every_picture_of_a_stream_is_shown() {
    for codec in [Codec::H264, Codec::Vp8] {
        let feed = Feed::open();
        let mut player = feed.null_player();
        feed.attached().await;
        let before = clock::monotonic();
        feed.players.send(ToPlayer::Stage(stage())).await;
        feed.send(media::video(codec, HD, 40)).await;
        feed.shown(40).await;
        player.line_if("the count", |line| (line == "shown 40").then_some(())).await;

        let shown = media::read_trace(&feed.trace());
        assert_eq!(places(&shown), (0..40).map(|n| n % PLACES).collect::<Vec<_>>(), "{codec:?}");
        for (n, shown) in (0..).zip(&shown) {
            assert_eq!((shown.timestamp, shown.size), (n * TICKS, HD));
        }
        assert!(shown.is_sorted_by_key(|shown| shown.at_ns));
        assert!(u128::from(shown[0].at_ns) > before.as_nanos());
    }
}

#[tokio::test]
async fn a_change_of_codec_or_size_goes_on_and_loses_nothing() {
    let feed = Feed::open();
    let _player = feed.null_player();
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    let parts = [
        (Codec::H264, (640, 360)),
        (Codec::Vp8, (640, 360)),
        (Codec::Vp8, (1280, 720)),
        (Codec::H264, (1280, 720)),
        (Codec::H264, (322, 182)),
    ];
    for (codec, size) in parts {
        feed.send(media::video(codec, size, 12)).await;
    }
    feed.shown(60).await;
    let shown = media::read_trace(&feed.trace());
    let sizes: Vec<_> = shown.iter().map(|shown| shown.size).collect();
    assert_eq!(sizes, parts.iter().flat_map(|(_, size)| [*size; 12]).collect::<Vec<_>>());
}

/// A player that attaches in mid-lesson has a picture at once: the newest, and no other.
#[tokio::test]
async fn who_attaches_late_sees_the_newest_picture_and_no_older_one() {
    let feed = Feed::open();
    feed.players.send(ToPlayer::Stage(stage())).await;
    feed.send(media::video(Codec::H264, HD, 18)).await;
    let _player = feed.null_player();
    feed.shown(1).await;
    assert_eq!(places(&media::read_trace(&feed.trace())), [17 % PLACES]);
}

#[tokio::test]
async fn damaged_frames_end_nothing_and_the_next_keyframe_heals() {
    for codec in [Codec::H264, Codec::Vp8] {
        let feed = Feed::open();
        let mut player = feed.null_player();
        feed.attached().await;
        feed.players.send(ToPlayer::Stage(stage())).await;
        let mut frames = media::video(codec, HD, 30);
        for (n, frame) in frames.iter_mut().enumerate().take(20).skip(2) {
            let mut data = frame.data.to_vec();
            data.iter_mut().skip(3).step_by(7).for_each(|byte| *byte ^= 0x5a);
            data.truncate(if n % 2 == 0 { 40 } else { data.len() });
            frame.data = data.into();
        }
        feed.send(frames).await;
        player.line_if("the healed stream", |line| (line != "shown 0").then_some(())).await;
        let mut attached = feed.players.attached();
        within("pictures after the damage", attached.wait_for(|now| now.shown >= 12))
            .await
            .unwrap();
        let shown = media::read_trace(&feed.trace());
        let healed: Vec<_> = shown.iter().filter(|shown| shown.timestamp >= 20 * TICKS).collect();
        assert_eq!(healed.len(), 10, "{codec:?}");
        for (n, shown) in (20..).zip(healed) {
            assert_eq!(shown.place, n % PLACES, "{codec:?}");
        }
    }
}

#[tokio::test]
async fn frozen_and_blank_hold_the_picture_back_until_the_teacher_lets_it_go() {
    let feed = Feed::open();
    let mut player = feed.null_player();
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    let mut frames = media::video(Codec::Vp8, HD, 30).into_iter();
    feed.send(frames.by_ref().take(5)).await;
    feed.shown(5).await;
    feed.players.send(ToPlayer::Stage(Stage { picture: Picture::Frozen, ..stage() })).await;
    feed.send(frames.by_ref().take(5)).await;
    assert_eq!(player.new_line().await, "shown 5");
    feed.players.send(ToPlayer::Stage(stage())).await;
    feed.send(frames).await;
    feed.shown(25).await;
}

#[tokio::test]
async fn the_newest_player_has_the_place_and_the_older_one_ends() {
    let feed = Feed::open();
    let mut older = feed.null_player();
    feed.attached().await;
    let _newer = feed.null_player();
    assert!(older.ended().await, "it ends as one that has nothing more to do");
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    feed.send(media::video(Codec::Vp8, HD, 3)).await;
    feed.shown(3).await;
}

/// The kernel says who connects; whoever has no active session gets nothing, not a byte.
#[tokio::test]
async fn only_the_user_of_the_active_session_is_let_in() {
    let feed = Feed::open();
    let mut player = feed.null_player();
    feed.attached().await;
    let another = Seat { user: Some(getuid().as_raw() + 1), ..Seat::default() };
    feed.seat.send_replace(another);
    let mut attached = feed.players.attached();
    within("the player to be closed", attached.wait_for(|now| now.user.is_none())).await.unwrap();
    player.new_line().await;
    assert_eq!(feed.players.attached().borrow().user, None, "it tries again and is turned away");
    feed.seat.send_replace(Seat { user: Some(getuid().as_raw()), ..Seat::default() });
    feed.attached().await;
}

#[tokio::test]
async fn a_player_outlives_the_agent_and_attaches_to_the_next() {
    let mut feed = Feed::open();
    let _player = feed.null_player();
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    feed.send(media::video(Codec::H264, HD, 7)).await;
    feed.shown(7).await;
    let mine = Seat { user: Some(getuid().as_raw()), ..Seat::default() };
    let (seat, follow) = watch::channel(mine);
    // The handles are gone and with them the task, as when the agent is restarted.
    (feed.players, _) = Players::listen(feed.dir.path(), follow).unwrap();
    feed.seat = seat;
    feed.attached().await;
    feed.players.send(ToPlayer::Idle(Idle::NoLesson)).await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    feed.send(media::video(Codec::H264, HD, 5)).await;
    feed.shown(5).await;
}
