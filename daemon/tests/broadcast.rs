//! What a publisher shares, as it reaches machines, taps and pages: a real publisher, a real UDP
//! port, real multicast on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

#[expect(dead_code, reason = "shared by several test files")]
mod publisher;
mod publishing;
mod reception;
mod refused;
mod rungs;
mod sources;
mod stage;

use std::time::Duration;

use alfarid_daemon::{
    broadcast::tap::{Tap, Tapped, TappedTrack, TrackId, TrackKind},
    enrolment::MachineChange,
    machines,
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, Report},
    grant::{Codec, Picture},
    id::MachineId,
};
use alfarid_stream::{
    feedback::Sealer,
    rtcp::SenderReport,
    rtp::Header,
    srtp::{Keyring, Reports},
};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use bytes::Bytes;
use serde_json::json;

use publisher::{ALL, Offer, Publisher, encoder::Spec};
use reception::{Reception, join, own};
use stage::{PATIENCE, Stage, machine::Machine};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_teacher_shares_reaches_the_group_without_a_gap() {
    for (spec, codec) in [(Spec::H264, Codec::H264), (Spec::VP8, Codec::Vp8)] {
        let stage = Stage::new().await;
        let mut machine = stage.machine().await;
        let _teacher = share(&stage, "teacher", spec).await;
        let grant = machine.grant().await;
        assert_eq!(grant.video.as_ref().unwrap().codec, codec);
        let mut reception = Reception::begin(&mut machine, &grant).await;
        let frames = reception.frames(60).await;
        assert!(frames[0].is_keyframe);
        reception.assert_unbroken();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_joins_late_sees_the_picture_at_once() {
    let stage = Stage::new().await;
    let mut first = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = first.grant().await;
    Reception::begin(&mut first, &grant).await.frames(45).await;

    let mut late = stage.machine().await;
    let grant = late.grant().await;
    let mut reception = Reception::begin(&mut late, &grant).await;
    let first = reception.frames(1).await.remove(0);
    assert!(first.is_keyframe && first.catch_up, "it begins with kept pictures");
    while reception.frames(1).await[0].catch_up {}
    reception.frames(30).await;
    reception.assert_unbroken();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_changes_its_size_goes_on() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut reception = Reception::begin(&mut machine, &grant).await;
    reception.frames(10).await;
    let size = |width: u32| {
        move |stream: &serde_json::Value| stream["publications"][0]["width"] == json!(width)
    };
    stage.until_stream("320 wide", size(320)).await;
    teacher.show(Spec { width: 640, height: 480, ..Spec::H264 });
    stage.until_stream("640 wide", size(640)).await;
    reception.frames(30).await;
    reception.assert_unbroken();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_changes_its_codec_goes_on_as_a_new_track() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let mut tap = stage.broadcast.tap(stage.lesson).await.unwrap();
    let teacher = share(&stage, "teacher", Spec::H264).await;
    let before = machine.grant().await;
    let h264 = started(&mut tap, TrackKind::ScreenVideo).await;
    teacher.show(Spec::VP8);
    let after = machine.grant().await;
    let (old, new) = (before.video.unwrap(), after.video.as_ref().unwrap().clone());
    assert_eq!((old.codec, new.codec), (Codec::H264, Codec::Vp8));
    assert_ne!(old.ssrc, new.ssrc);
    assert!(after.serial > before.serial);
    assert_eq!(before.audio.unwrap().ssrc, after.audio.as_ref().unwrap().ssrc, "sound goes on");
    let mut reception = Reception::begin(&mut machine, &after).await;
    reception.frames(30).await;
    reception.assert_unbroken();
    let vp8 = started(&mut tap, TrackKind::ScreenVideo).await;
    assert_ne!(h264.id, vp8.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_publisher_loses_leaves_no_gap_in_the_numbers() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let mut teacher = share(&stage, "teacher", Spec { kbps: 800, ..Spec::H264 }).await;
    let grant = machine.grant().await;
    let mut reception = Reception::bare(&grant);
    // Of some 120 packets a second: no two keyframes, which are asked for at the second, meet a
    // loss at the same place.
    teacher.lose(37);
    // Over in less than the time after which a machine that says nothing is given up.
    reception.frames(15).await;
    reception.assert_no_gap();
    teacher.until("a second request for a keyframe", |seen| seen.keyframes_asked >= 2).await;
    let lost = |stream: &serde_json::Value| stream["publications"][0]["packets_lost"] != json!(0);
    stage.until_stream("lost packets", lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_and_sound_leave_with_reports_that_tie_them_together() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let keyring = Reception::video(&grant).keyring;
    let (video, audio) = (grant.video.unwrap(), grant.audio.unwrap());
    assert_eq!((audio.codec, audio.clock_rate), (Codec::Opus, 48_000));
    for (lane, track) in [(0, video), (2, audio)] {
        let media = receive(&join(grant.group, grant.port + lane)).await;
        // What any player can read, and nothing else.
        assert_eq!(Header::parse(&media).unwrap().ssrc, track.ssrc);
        let control = receive(&join(grant.group, grant.port + lane + 1)).await;
        let control = Reports::new(track.ssrc).open(&keyring, &control).unwrap();
        let report = SenderReport::parse(&control).unwrap().unwrap();
        assert_eq!(report.ssrc, track.ssrc);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_loses_comes_back() {
    for spec in [Spec::H264, Spec::VP8] {
        let stage = Stage::new().await;
        let mut machine = stage.machine().await;
        let _teacher = share(&stage, "teacher", spec).await;
        let grant = machine.grant().await;
        let mut reception = Reception::begin(&mut machine, &grant).await;
        reception.lose_every = 8;
        reception.frames(60).await;
        reception.assert_unbroken();
        assert!(reception.restored() > 5, "{}", reception.restored());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_granted_the_lesson_is_not_answered() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut reception = Reception::begin(&mut machine, &grant).await;
    reception.frames(5).await;
    let stranger = own(&grant);
    let key = grant.protection.feedback_key.bytes();
    for (serial, key) in [(grant.serial, &[0; 16]), (grant.serial + 1, key)] {
        let mut sealer = Sealer::new(serial, key).unwrap();
        reception.ask_as(&mut sealer, &stranger).await;
    }
    // Who was is, and whatever was asked for before has been answered by then.
    reception.ask().await;
    assert!(stranger.try_recv(&mut [0; 2048]).is_err(), "a stranger was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_revoked_cannot_open_what_follows_and_the_others_miss_nothing() {
    let stage = Stage::new().await;
    let robbed = stage.machine().await;
    shut_out(&stage, robbed, async |id| stage.machines.revoke(stage.teacher, id).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_moved_to_another_room_cannot_open_what_follows() {
    let stage = Stage::new().await;
    let moved = stage.machine().await;
    let change = MachineChange { room: Some(stage.other_room().await), ..MachineChange::default() };
    shut_out(&stage, moved, async |id| {
        stage.machines.change(stage.teacher, id, change).await.map(drop)
    })
    .await;
}

/// What is on air when `act` is done to this machine is soon closed to it; another one that is
/// there misses nothing.
async fn shut_out(
    stage: &Stage,
    mut machine: Machine,
    act: impl AsyncFnOnce(MachineId) -> Result<(), machines::Error>,
) {
    let mut other = stage.machine().await;
    let _teacher = share(stage, "teacher", Spec::H264).await;
    let old = Reception::video(&machine.grant().await).keyring;
    let grant = other.grant().await;
    let mut reception = Reception::begin(&mut other, &grant).await;
    reception.frames(5).await;
    act(machine.id).await.unwrap();
    let next = |message| match message {
        FromBox::Epoch { lesson, epoch } => (lesson == stage.lesson).then_some(epoch),
        _ => None,
    };
    let epoch = other.until("the next key", next).await;
    reception.take_epoch(&epoch);
    other.say(&FromMachine::HasEpoch { lesson: stage.lesson, number: epoch.number }).await;
    let opens = |keyring: &Keyring, reception: &Reception| {
        let heard = reception.heard.as_ref().unwrap();
        keyring.open(&heard.datagram, heard.index).is_ok()
    };
    while opens(&old, &reception) {
        reception.hear().await;
    }
    reception.frames(30).await;
    assert!(!opens(&old, &reception));
    reception.assert_unbroken();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teachers_voice_is_tapped_and_never_sent_to_machines() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let mut tap = stage.broadcast.tap(stage.lesson).await.unwrap();
    let _voice = publish(&stage, "teacher", "person", None).await;
    let voice = started(&mut tap, TrackKind::PersonAudio).await;
    let packet = tapped(&mut tap).await;
    assert_eq!(packet.0, voice.id);
    let stream = stage
        .until_stream("a voice", |stream| stream["publications"][0]["codec_audio"] == "opus")
        .await;
    assert_eq!((&stream["on_air"], &stream["multicast"]), (&json!(false), &json!(null)));
    // The next thing that the machine hears is the screen, not the voice.
    let _screen = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    assert_eq!(grant.serial, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_begins_with_a_keyframe_and_misses_nothing() {
    let stage = Stage::new().await;
    let mut teacher = share(&stage, "teacher", Spec::H264).await;
    teacher.until("packets sent", |seen| seen.packets_sent > 30).await;
    let mut tap = stage.broadcast.tap(stage.lesson).await.unwrap();
    let video = started(&mut tap, TrackKind::ScreenVideo).await;
    let mut indices = Vec::new();
    while indices.len() < 50 {
        let (track, index) = tapped(&mut tap).await;
        if track == video.id {
            indices.push(index);
        }
    }
    assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 1), "{indices:?}");
    stage.broadcast.close(stage.lesson).await.unwrap();
    while tap.recv().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_told_what_it_shows() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let first = machine.until("a scene", scene).await;
    assert_eq!((first.title.as_str(), first.on_air), ("Fractions", false));
    let lesson = stage.lesson;
    stage.broadcast.set_picture(lesson, Picture::Blank).await.unwrap();
    let blank = |message| scene(message).filter(|scene| scene.picture == Picture::Blank);
    machine.until("a blank screen", blank).await;
    stage.broadcast.set_recording(lesson, true).await.unwrap();
    machine.until("the mark", |message| scene(message).filter(|scene| scene.recording)).await;
    let ends_at = Some(stage.floor.clock.now());
    stage.broadcast.set_ends_by_itself_at(lesson, ends_at).await.unwrap();
    let ending = |message| scene(message).filter(|scene| scene.ends_by_itself_at == ends_at);
    machine.until("when it ends", ending).await;
    stage.broadcast.close(lesson).await.unwrap();
    let over = |message| matches!(message, FromBox::Withdraw { .. }).then_some(());
    machine.until("the end", over).await;
}

/// For longer than machines are judged by. None of them shows what arrives meanwhile, as told.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_frozen_or_blank_makes_no_machine_look_stuck() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut reception = Reception::begin(&mut machine, &grant).await;
    let mut report = Report { serial: grant.serial, player: true, ..Report::default() };
    let pictures =
        [Picture::Live, Picture::Blank, Picture::Blank, Picture::Frozen, Picture::Frozen];
    for picture in pictures {
        stage.broadcast.set_picture(stage.lesson, picture).await.unwrap();
        reception.frames(30).await;
        report.packets_received = reception.indices.len() as u64;
        report.frames_whole += 30;
        report.frames_shown += if picture == Picture::Live { 30 } else { 0 };
        machine.say(&FromMachine::Report(report.clone())).await;
    }
    // The box hears one after the other: it has heard the reports.
    machine.kept(grant.serial, None).await;
    let path = format!("/lessons/{}/stream", stage.lesson);
    let stream = stage.get(&path).await;
    let seen = &stream["machines"][0];
    assert_eq!((&seen["state"], &seen["cause"]), (&json!("receiving"), &json!(null)));
    stage.broadcast.set_picture(stage.lesson, Picture::Live).await.unwrap();
    let stream = stage.get(&path).await;
    assert_eq!(stream["machines"][0]["state"], "receiving", "it has its time to be shown");
}

/// And no longer than a quarter of a second, whatever a machine says.
#[tokio::test(flavor = "multi_thread")]
async fn a_class_waits_for_its_slowest_machine() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut reception = Reception::begin(&mut machine, &grant).await;
    let mut report = Report { serial: grant.serial, player: true, ..Report::default() };
    for (late_ms, delay_ms) in [(None, 60), (Some(20), 60), (Some(105), 120), (Some(u16::MAX), 250)]
    {
        report.late_ms = late_ms;
        machine.say(&FromMachine::Report(report.clone())).await;
        let wanted = Some(Duration::from_millis(delay_ms));
        let said = async {
            while reception.delay() != wanted {
                reception.frames(1).await;
            }
        };
        let what = format!("{delay_ms} ms for {late_ms:?}");
        tokio::time::timeout(PATIENCE, said).await.expect(&what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_lesson_sees_its_screen_and_no_other_teacher_does() {
    let stage = Stage::new().await;
    let look = async |who: &str, what: &str| {
        let cookie = format!("__Host-alfarid={who}");
        let path = format!("/lessons/{}/{what}", stage.lesson);
        stage.call(Method::GET, &path, &[(header::COOKIE, &cookie)], Body::empty()).await
    };
    for what in ["stream", "preview.jpg"] {
        let refused = look("colleague", what).await;
        assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson", "{what}");
    }
    for who in ["teacher", "admin"] {
        look(who, "stream").await.expect(StatusCode::OK);
        assert_eq!(look(who, "preview.jpg").await.problem(StatusCode::NOT_FOUND), "no_preview");
    }
    stage.broadcast.hand_over(stage.lesson, stage.colleague).await.unwrap();
    look("colleague", "stream").await.expect(StatusCode::OK);
    let refused = look("teacher", "stream").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
}

/// Publishes a screen, and waits until it is connected.
async fn share(stage: &Stage, who: &str, show: Spec) -> Publisher {
    publish(stage, who, "screen", Some(show)).await
}

async fn publish(stage: &Stage, who: &str, kind: &str, show: Option<Spec>) -> Publisher {
    let offer = Offer::new(ALL, show.is_some()).await;
    let answer = stage.offer(who, kind, &offer.sdp).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let mut publisher = offer.answered(&answer.text(), show);
    publisher.until("a connection", |seen| seen.connected).await;
    publisher
}

fn scene(message: FromBox) -> Option<alfarid_protocol::grant::Stage> {
    match message {
        FromBox::Stage(scene) => Some(scene),
        _ => None,
    }
}

async fn next(tap: &mut Tap) -> Tapped {
    let next = tokio::time::timeout(PATIENCE, tap.recv()).await;
    next.expect("nothing comes out of the tap").expect("the tap is closed")
}

/// The next track of this kind.
async fn started(tap: &mut Tap, kind: TrackKind) -> TappedTrack {
    loop {
        match next(tap).await {
            Tapped::Started(track) if track.kind == kind => return track,
            _ => {}
        }
    }
}

async fn tapped(tap: &mut Tap) -> (TrackId, u64) {
    loop {
        if let Tapped::Packet(packet) = next(tap).await {
            return (packet.track, packet.index);
        }
    }
}

async fn receive(socket: &tokio::net::UdpSocket) -> Bytes {
    let mut buffer = vec![0; 2000];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await;
    buffer.truncate(received.expect("nothing is heard").unwrap());
    buffer.into()
}
