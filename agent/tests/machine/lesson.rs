//! A lesson from the wire to the screen: real packets by multicast on the loopback interface, the
//! real service, the real player.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
};

use alfarid_agent::clock;
use alfarid_protocol::{
    control::{FromBox, FromMachine, Report, Ticks},
    grant::{Codec, Grant, Track},
    kept,
    rung::{Rung, RungCause},
    time::Timestamp,
};
use tokio::time::{Duration, interval};

use crate::{
    air::{self, Air},
    enrolled::Enrolled,
    media::{self, PLACES, Shown, read_trace},
    player::stage,
    process::{PLAYER, Process},
    the_box::Connection,
};

const BOX: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SSRC: u32 = 0xa1fa;
/// Near the wrap of the sequence number, which must go unnoticed.
const FIRST_INDEX: u64 = 0x7_ffd0;
const STREAM: (u32, u64) = (SSRC, FIRST_INDEX);

/// The stream of tests that have a second one.
const SECOND: (u32, u64) = (SSRC + 1, 0x1_0000 + 100);

/// A machine in a lesson: granted, and its player attached.
struct Lesson {
    machine: Enrolled,
    connection: Connection,
    air: Air,
    /// The packets of each picture.
    frames: Vec<Vec<Vec<u8>>>,
    grant: Grant,
    _agent: Process,
    _player: Process,
}

impl Lesson {
    async fn begin(codec: Codec, group: SocketAddrV4, pictures: usize) -> Self {
        let mut machine = Enrolled::machine().await;
        let agent = machine.agent();
        let mut connection = machine.the_box.welcome(0).await;
        let player = Process::start(
            tokio::process::Command::new(PLAYER)
                .args(["--sink", "null", "--runtime"])
                .arg(machine.runtime())
                .arg("--trace")
                .arg(machine.dir.path().join("trace")),
        );
        connection
            .receive_if("presence", |m| matches!(m, FromMachine::Marks { .. }).then_some(()))
            .await;
        let track = Track {
            codec,
            ssrc: SSRC,
            payload_type: 96,
            clock_rate: 90_000,
            next_index: FIRST_INDEX,
        };
        let air = Air::new(BOX, group, &[STREAM, SECOND]);
        let grant = Grant {
            serial: 3,
            lesson: stage().lesson,
            group: *group.ip(),
            port: group.port(),
            source: BOX,
            video: Some(track),
            audio: None,
            protection: air.protection(3),
            wifi_multicast: false,
        };
        connection.send(&FromBox::Stage(stage())).await;
        let first = u16::try_from(FIRST_INDEX & 0xffff).unwrap();
        let frames = media::rtp(codec, pictures, SSRC, first);
        Self { machine, connection, air, frames, grant, _agent: agent, _player: player }
    }

    /// Grants the lesson as if the first `sent` pictures had been sent before.
    async fn grant(&mut self, sent: usize) {
        let next_index = FIRST_INDEX + self.frames[..sent].concat().len() as u64;
        let video = self.grant.video.as_mut().unwrap();
        video.next_index = next_index;
        let grant = FromBox::Grant(self.grant.clone());
        self.connection.send(&grant).await;
    }

    async fn want_kept(&mut self) -> Option<u64> {
        self.connection
            .receive_if("the wish for kept pictures", |message| match message {
                FromMachine::WantKept { serial: 3, video_from, .. } => Some(video_from),
                _ => None,
            })
            .await
    }

    /// The next rung that the machine comes to, and why.
    async fn rung(&mut self) -> (Rung, Option<RungCause>) {
        self.connection
            .receive_if("word of a rung", |message| match message {
                FromMachine::Rung { serial: 3, rung, cause } => Some((rung, cause)),
                _ => None,
            })
            .await
    }

    async fn has_epoch(&mut self) -> u32 {
        let granted = self.grant.lesson;
        self.connection
            .receive_if("word that a key is there", |message| match message {
                FromMachine::HasEpoch { lesson, number } if lesson == granted => Some(number),
                _ => None,
            })
            .await
    }

    /// Answers with the packets of the first `sent` pictures that are before `until`.
    async fn send_kept(&mut self, sent: usize, until: Option<u64>) {
        let packets = self.frames[..sent].concat();
        let indexed = (FIRST_INDEX..).zip(packets.iter().map(Vec::as_slice));
        let before = indexed.filter(|(index, _)| until.is_none_or(|until| *index < until));
        for message in kept::encode(3, before) {
            self.connection.send_kept(message).await;
        }
    }

    async fn report_when(&mut self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        self.connection
            .receive_if(what, |message| match message {
                FromMachine::Report(report) if wanted(&report) => Some(report),
                _ => None,
            })
            .await
    }

    /// Which picture the packet belongs to.
    fn picture_of(&self, index: u64) -> usize {
        let ends = self.frames.iter().scan(FIRST_INDEX, |end, frame| {
            *end += frame.len() as u64;
            Some(*end)
        });
        ends.take_while(|end| *end <= index).count()
    }

    /// The places of the bar in the pictures that were on show.
    fn on_show(&self) -> Vec<usize> {
        read_trace(&self.trace()).iter().map(|shown| shown.place).collect()
    }

    fn trace(&self) -> PathBuf {
        self.machine.dir.path().join("trace")
    }
}

fn group(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, n), 25_000 + u16::from(n) * 5)
}

fn pictures(range: std::ops::Range<usize>) -> Vec<usize> {
    range.map(|n| n % PLACES).collect()
}

/// A machine joins while the teacher's screen is still: nothing is on the wire, and yet the
/// present picture comes at once, only it, and the live ones after it follow.
#[tokio::test]
async fn who_joins_on_a_still_screen_sees_it_and_then_what_moves() {
    for (n, codec) in [(1, Codec::H264), (2, Codec::Vp8)] {
        let mut lesson = Lesson::begin(codec, group(n), 30).await;
        lesson.grant(8).await;
        assert_eq!(lesson.want_kept().await, None);
        lesson.send_kept(8, None).await;
        lesson.report_when("the still picture", |report| report.frames_shown == 1).await;

        // Somebody else sends to the group what looks like the lesson.
        let forged = air::forged(lesson.frames[8..12].iter().flatten(), STREAM);
        air::send_as(Ipv4Addr::new(127, 0, 0, 2), group(n), forged).await;
        lesson.air.send(lesson.frames[8..].iter().flatten());
        let report = lesson.report_when("all pictures", |report| report.frames_shown == 23).await;
        assert_eq!(lesson.on_show(), pictures(7..30), "{codec:?}");
        assert_eq!((report.frames_whole, report.frames_dropped, report.packets_lost), (30, 0, 0));
        assert!(report.player && !report.wants_keyframe);
    }
}

/// A machine joins while pictures come: it asks for what was before its first live packet, and
/// shows nothing older than that.
#[tokio::test]
async fn who_joins_a_moving_screen_catches_up_unseen() {
    let mut lesson = Lesson::begin(Codec::H264, group(3), 60).await;
    lesson.grant(12).await;
    let mut pace = interval(Duration::from_millis(20));
    let mut sent = 12;
    let from = loop {
        tokio::select! {
            from = lesson.want_kept() => break from.expect("live packets were there"),
            _ = pace.tick() => {
                assert!(sent < 50, "the machine never asked");
                lesson.air.send(&lesson.frames[sent]);
                sent += 1;
            }
        }
    };
    lesson.send_kept(sent, Some(from)).await;
    for frame in &lesson.frames[sent..] {
        pace.tick().await;
        lesson.air.send(frame);
    }
    let trace = lesson.trace();
    let all = |report: &Report| {
        let shown = read_trace(&trace);
        let is_last = shown.last().is_some_and(|shown| shown.picture() == 59);
        is_last && report.frames_shown == shown.len() as u64
    };
    let report = lesson.report_when("the last picture", all).await;
    assert_eq!((report.frames_whole, report.packets_lost), (60, 0));
    let numbers: Vec<_> = read_trace(&trace).iter().map(Shown::picture).collect();
    let live = lesson.picture_of(from)..60;
    assert_eq!(numbers, live.clone().collect::<Vec<_>>(), "no gap and nothing twice");
    assert_eq!(lesson.on_show(), pictures(live));
}

/// A machine goes by what the box says is due, and by what it learns of the box's clock, which is
/// the tests' own here.
#[tokio::test]
async fn pictures_are_shown_when_the_box_says() {
    const DELAY: Duration = Duration::from_millis(250);
    let mut lesson = Lesson::begin(Codec::H264, group(14), 30).await;
    let asked = |message| match message {
        FromMachine::Ping { now, sent_ns: Some(sent_ns) } => Some((now, sent_ns)),
        _ => None,
    };
    let (moment, sent_ns) = lesson.connection.receive_if("a clock exchange", asked).await;
    let now = u64::try_from(clock::monotonic().as_nanos()).unwrap();
    let ticks = Ticks { sent_ns, heard_ns: now, answered_ns: now, boot: moment.boot };
    let pong = FromBox::Pong { machine: moment, box_time: Timestamp(0), ticks: Some(ticks) };
    lesson.connection.send(&pong).await;
    lesson.grant(0).await;
    lesson.want_kept().await;
    lesson.send_kept(0, None).await;
    let mut pace = interval(Duration::from_micros(33_333));
    let mut sent = Vec::new();
    for frame in &lesson.frames {
        pace.tick().await;
        sent.push(clock::monotonic());
        lesson.air.send(frame);
    }
    let report = lesson.report_when("all pictures", |report| report.frames_shown == 30).await;
    let shown = read_trace(&lesson.trace());
    for (shown, sent) in shown.iter().zip(&sent).skip(3) {
        let wait = Duration::from_nanos(shown.at_ns).saturating_sub(*sent);
        assert!((DELAY / 2..DELAY * 2).contains(&wait), "{wait:?}");
    }
    assert!(report.late_ms.is_none_or(|late| late < 250), "{report:?}");
}

/// On a network that loses packets every picture still comes, each once and in its place.
#[tokio::test]
async fn what_the_network_loses_is_repaired() {
    for (n, codec) in [(8, Codec::H264), (9, Codec::Vp8)] {
        let mut lesson = Lesson::begin(codec, group(n), 60).await;
        lesson.grant(0).await;
        assert_eq!(lesson.want_kept().await, None);
        lesson.send_kept(0, None).await;
        lesson.air.lose_every(7);
        let mut pace = interval(Duration::from_millis(30));
        for frame in &lesson.frames {
            pace.tick().await;
            lesson.air.send(frame);
        }
        let all = |report: &Report| report.frames_shown == 60;
        let report = lesson.report_when("every picture", all).await;
        assert_eq!((report.frames_whole, report.packets_lost), (60, 0), "{codec:?}");
        assert_eq!(lesson.on_show(), pictures(0..60), "{codec:?}");
    }
}

/// Multicast ends from one moment to the next: the machine falls to a flow of its own, says why,
/// and not one picture is missing.
#[tokio::test]
async fn a_machine_that_no_multicast_reaches_goes_on_alone_and_loses_nothing() {
    for (n, codec) in [(12, Codec::H264), (13, Codec::Vp8)] {
        let mut lesson = Lesson::begin(codec, group(n), 90).await;
        lesson.grant(0).await;
        let rung = lesson.rung().await;
        assert_eq!(rung, (Rung::Multicast, None));
        assert_eq!(lesson.want_kept().await, None);
        lesson.send_kept(0, None).await;
        let mut pace = interval(Duration::from_millis(30));
        for (n, frame) in lesson.frames.iter().enumerate() {
            pace.tick().await;
            lesson.air.cut_group(n >= 30);
            lesson.air.send(frame);
        }
        assert_eq!(lesson.rung().await, (Rung::Unicast, Some(RungCause::GroupSilent)));
        let all = |report: &Report| report.frames_shown == 90;
        let report = lesson.report_when("every picture", all).await;
        assert_eq!((report.frames_whole, report.packets_lost), (90, 0), "{codec:?}");
        assert_eq!(report.rung, Some(Rung::Unicast));
        assert_eq!(lesson.on_show(), pictures(0..90), "{codec:?}");
    }
}

/// Another machine of the lesson has the group's key, and can send from the box's address. What it
/// makes opens like the box's own; but the box did not sign it.
#[tokio::test]
async fn what_another_machine_forged_with_the_groups_key_is_not_shown() {
    let mut lesson = Lesson::begin(Codec::H264, group(10), 30).await;
    lesson.grant(0).await;
    assert_eq!(lesson.want_kept().await, None);
    lesson.send_kept(0, None).await;
    lesson.air.send(lesson.frames[..10].iter().flatten());
    lesson.report_when("the first pictures", |report| report.frames_shown == 10).await;
    let forged = air::forged(lesson.frames[10..20].iter().flatten(), STREAM);
    air::send_as(BOX, group(10), forged).await;
    lesson.air.send(lesson.frames[10..].iter().flatten());
    let report = lesson.report_when("the true ones", |report| report.frames_shown == 30).await;
    assert_eq!((report.frames_whole, report.frames_dropped, report.packets_lost), (30, 0, 0));
    assert_eq!(lesson.on_show(), pictures(0..30));
}

/// The box goes on to another key: the machine says that it has it, and nothing is seen of it.
#[tokio::test]
async fn a_lesson_goes_on_under_its_next_key() {
    let mut lesson = Lesson::begin(Codec::H264, group(11), 20).await;
    lesson.grant(0).await;
    assert_eq!(lesson.has_epoch().await, 0);
    lesson.want_kept().await;
    lesson.send_kept(0, None).await;
    lesson.air.send(lesson.frames[..8].iter().flatten());
    let next = FromBox::Epoch { lesson: lesson.grant.lesson, epoch: air::epoch_key(1) };
    lesson.connection.send(&next).await;
    assert_eq!(lesson.has_epoch().await, 1);
    lesson.air.switch(1);
    lesson.air.send(lesson.frames[8..].iter().flatten());
    let report = lesson.report_when("all pictures", |report| report.frames_shown == 20).await;
    assert_eq!(report.packets_lost, 0);
    assert_eq!(lesson.on_show(), pictures(0..20));
}

/// A packet that nothing brings back costs the pictures up to the next keyframe and no more; the
/// box is told.
#[tokio::test]
async fn a_lost_packet_costs_the_pictures_up_to_the_next_keyframe() {
    let mut lesson = Lesson::begin(Codec::H264, group(4), 40).await;
    lesson.grant(0).await;
    assert_eq!(lesson.want_kept().await, None);
    lesson.send_kept(0, None).await;
    let lost: usize = 13;
    lesson.air.send(lesson.frames[..lost].iter().flatten());
    lesson.air.send(lesson.frames[lost].iter().skip(1));
    lesson.air.send(lesson.frames[lost + 1..18].iter().flatten());
    let wish = |report: &Report| report.wants_keyframe && report.frames_shown == 13;
    let report = lesson.report_when("the wish for a keyframe", wish).await;
    assert_eq!(report.packets_lost, 1);
    lesson.air.send(lesson.frames[18..].iter().flatten());
    let report = lesson.report_when("the rest", |report| report.frames_shown == 33).await;
    assert!(!report.wants_keyframe);
    assert_eq!(lesson.on_show(), [pictures(0..13), pictures(20..40)].concat());
}

/// The wish for a keyframe does not wait for the next regular report.
#[tokio::test]
async fn a_lost_picture_is_told_at_once() {
    let mut lesson = Lesson::begin(Codec::H264, group(7), 12).await;
    lesson.grant(0).await;
    lesson.want_kept().await;
    lesson.send_kept(0, None).await;
    lesson.air.send(lesson.frames[..3].iter().flatten());
    lesson.report_when("a regular report", |report| report.frames_shown == 3).await;
    lesson.air.send(lesson.frames[3].iter().skip(1));
    lesson.air.send(lesson.frames[4..6].iter().flatten());
    // Regular ones are a second apart, and one has just come.
    let told = lesson.report_when("the wish", |report| report.wants_keyframe);
    assert!(tokio::time::timeout(Duration::from_millis(700), told).await.is_ok());
}

/// The box lost the control connection, and grants the lesson anew on the next: what comes from the
/// group goes on, nothing is fetched twice, and reports speak of the newer grant.
#[tokio::test]
async fn a_lesson_that_is_granted_again_goes_on_without_a_gap() {
    let mut lesson = Lesson::begin(Codec::H264, group(6), 20).await;
    lesson.grant(0).await;
    lesson.want_kept().await;
    lesson.send_kept(0, None).await;
    lesson.air.send(lesson.frames[..7].iter().flatten());
    lesson.report_when("the first pictures", |report| report.frames_shown == 7).await;
    let protection = lesson.air.protection(9);
    lesson.grant = Grant { serial: 9, protection, ..lesson.grant.clone() };
    lesson.grant(7).await;
    lesson.air.send(lesson.frames[7..].iter().flatten());
    let all = |report: &Report| report.serial == 9 && report.frames_shown == 20;
    lesson.report_when("the rest", all).await;
    assert_eq!(lesson.on_show(), pictures(0..20));
}

/// A new grant takes the place of the old one: another codec, another stream, the same lesson.
#[tokio::test]
async fn a_new_grant_replaces_the_old_and_a_withdrawn_lesson_is_left() {
    let mut lesson = Lesson::begin(Codec::H264, group(5), 10).await;
    lesson.grant(0).await;
    lesson.want_kept().await;
    lesson.send_kept(0, None).await;
    lesson.air.send(lesson.frames.iter().flatten());
    lesson.report_when("the first stream", |report| report.frames_shown == 10).await;

    let vp8 = media::rtp(Codec::Vp8, 10, SECOND.0, 100);
    let track = Track {
        codec: Codec::Vp8,
        ssrc: SECOND.0,
        payload_type: 96,
        clock_rate: 90_000,
        next_index: SECOND.1,
    };
    let protection = lesson.air.protection(4);
    lesson.grant = Grant { serial: 4, video: Some(track), protection, ..lesson.grant.clone() };
    let grant = FromBox::Grant(lesson.grant.clone());
    lesson.connection.send(&grant).await;
    lesson
        .connection
        .receive_if("a wish", |m| {
            matches!(m, FromMachine::WantKept { serial: 4, .. }).then_some(())
        })
        .await;
    for message in kept::encode(4, []) {
        lesson.connection.send_kept(message).await;
    }
    lesson.air.send(vp8.iter().flatten());
    lesson
        .report_when("the second", |report| report.serial == 4 && report.frames_shown == 10)
        .await;
    assert_eq!(lesson.on_show(), [pictures(0..10), pictures(0..10)].concat());

    let withdraw = FromBox::Withdraw { lesson: lesson.grant.lesson };
    lesson.connection.send(&withdraw).await;
    crate::within("the group to be left", async {
        let address = u32::from_le_bytes(lesson.grant.group.octets().map(|octet| octet));
        let listed = format!("{address:08X}");
        while std::fs::read_to_string("/proc/net/igmp").unwrap().contains(&listed) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
