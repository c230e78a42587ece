//! Publishing by WHIP, and what reaches machines, taps and pages: a real publisher, a real UDP
//! port, real multicast on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

#[expect(dead_code, reason = "shared by several test files")]
mod publisher;
mod reception;
mod rungs;
mod stage;

use std::time::Duration;

use alfarid_daemon::{
    broadcast::{
        Airing, Limits,
        tap::{Tap, Tapped, TappedTrack, TrackId, TrackKind},
    },
    enrolment::MachineChange,
    events::Event,
    machines,
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, Report},
    grant::{Codec, Picture},
    id::{LessonId, MachineId},
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

use publisher::{ALL, Codecs, Offer, Publisher, encoder::Spec};
use reception::{Reception, join, own};
use stage::{Answer, PATIENCE, Stage, machine::Machine};

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
async fn a_reload_takes_over_without_a_gap_and_the_old_page_is_told() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let mut old = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut reception = Reception::begin(&mut machine, &grant).await;
    reception.frames(10).await;

    let _new = share(&stage, "teacher", Spec::H264).await;
    old.until("goodbye", |seen| seen.over).await;
    reception.frames(60).await;
    let gaps = reception.indices.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(gaps, 0, "one codec is one unbroken stream");
    stage
        .until_stream("one publication", |stream| {
            stream["publications"].as_array().unwrap().len() == 1 && stream["on_air"] == true
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_in_until_the_lesson_is_handed_over() {
    let stage = Stage::new().await;
    let offer = Offer::new(ALL, true).await.sdp;
    let refused = stage.offer("colleague", "screen", &offer).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");

    let mut teacher = share(&stage, "teacher", Spec::H264).await;
    let refused = stage.offer("colleague", "screen", &offer).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "publication_taken");

    stage.broadcast.hand_over(stage.lesson, stage.colleague).await.unwrap();
    let _colleague = share(&stage, "colleague", Spec::H264).await;
    teacher.until("goodbye", |seen| seen.over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_taken_is_told_why() {
    let stage = Stage::new().await;
    let good = Offer::new(ALL, true).await.sdp;
    for bad in ["", "v=0", "hello", &good.replace("a=fingerprint", "a=nothing"), &good[..300]] {
        let refused = stage.offer("teacher", "screen", bad).await;
        assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "sdp_malformed", "{bad}");
    }
    let data = good.clone() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n";
    let refused = stage.offer("teacher", "screen", &data).await;
    assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "sdp_malformed");
    let refused = stage.offer("teacher", "person", &good).await;
    assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "sdp_malformed");

    let codecs = Codecs { h264: false, vp8: false, vp9: true, opus: true };
    let refused = stage.offer("teacher", "screen", &Offer::new(codecs, true).await.sdp).await;
    assert_eq!(refused.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE), "codec_unsupported");
    for name in ["H264", "VP8", "Opus"] {
        assert!(refused.text().contains(name), "{}", refused.text());
    }

    let cookie = (header::COOKIE, "__Host-alfarid=teacher");
    let path = format!("/lessons/{}/whip/screen", stage.lesson);
    let text = [cookie.clone(), (header::CONTENT_TYPE, "text/plain")];
    let refused = stage.call(Method::POST, &path, &text, good.clone()).await;
    assert_eq!(refused.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE), "sdp_expected");
    let sdp = [cookie, (header::CONTENT_TYPE, "application/sdp")];
    let refused = stage.call(Method::POST, &path, &sdp, vec![b'a'; 70_000]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);

    stage.broadcast.close(stage.lesson).await.unwrap();
    let refused = stage.offer("teacher", "screen", &good).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "lesson_not_active");
}

/// Who would be one too many is told so, and not left with an answer that nobody keeps.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_publishers_are_refused_until_one_is_gone() {
    const AT_ONCE: usize = 32;
    let stage = Stage::without_lesson().await;
    let offer = Offer::new(ALL, true).await;
    let cookie = (header::COOKIE, "__Host-alfarid=teacher");
    let headers = [cookie, (header::CONTENT_TYPE, "application/sdp")];
    let publish = async |lesson: LessonId| {
        let path = format!("/lessons/{lesson}/whip/screen");
        stage.call(Method::POST, &path, &headers, offer.sdp.clone()).await
    };
    let mut lessons = Vec::new();
    for _ in 0..=AT_ONCE {
        let (lesson, room) = (stage.floor.clock.id(), stage.floor.clock.id());
        stage.broadcast.open(Airing { lesson, room, ..stage.airing() }).await.unwrap();
        lessons.push(lesson);
    }
    let (last, first) = lessons.split_last().unwrap();
    for lesson in first {
        publish(*lesson).await.expect(StatusCode::CREATED);
    }
    let refused = publish(*last).await;
    assert_eq!(refused.problem(StatusCode::SERVICE_UNAVAILABLE), "too_many_publishers");

    let mut events = stage.floor.events.listen();
    stage.broadcast.close(first[0]).await.unwrap();
    let taken = async {
        while publish(*last).await.status != StatusCode::CREATED {
            events.next().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, taken).await;
    assert!(in_time.is_ok(), "a place that is free is nobody's");
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
async fn obs_publishes_by_its_stream_key_into_its_teachers_lesson_only() {
    let stage = Stage::new().await;
    let offer = Offer::new(ALL, true).await;
    let post = async |key: &str| {
        let key = format!("Bearer {key}");
        let headers = [(header::AUTHORIZATION, &*key), (header::CONTENT_TYPE, "application/sdp")];
        stage.call(Method::POST, "/whip", &headers, offer.sdp.clone()).await
    };
    assert_eq!(post("nobody").await.problem(StatusCode::UNAUTHORIZED), "stream_key_wrong");
    assert_eq!(post("colleague").await.problem(StatusCode::CONFLICT), "no_active_lesson");
    let answer = post("teacher").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    // Its teacher's pages must know: no browser says what such a program shows.
    let by_key = |stream: &serde_json::Value| stream["publications"][0]["by_stream_key"] == true;
    stage.until_stream("a publication by stream key", by_key).await;
    let location = answer.header(header::LOCATION).strip_prefix("/api/v1").unwrap().to_owned();
    let delete = async |key: &str| {
        let key = format!("Bearer {key}");
        let headers = [(header::AUTHORIZATION, &*key)];
        stage.call(Method::DELETE, &location, &headers, Body::empty()).await
    };
    assert_eq!(delete("colleague").await.problem(StatusCode::NOT_FOUND), "publication_unknown");
    assert_eq!(delete("teacher").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_is_a_resource_that_can_be_ended_and_not_trickled_to() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let offer = Offer::new(ALL, true).await;
    let answer = stage.offer("teacher", "screen", &offer.sdp).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/sdp");
    assert!(!answer.header(header::ETAG).is_empty());
    let location = answer.header(header::LOCATION).strip_prefix("/api/v1").unwrap().to_owned();
    let mut teacher = offer.answered(&answer.text(), Some(Spec::H264));
    machine.grant().await;

    let cookie = [(header::COOKIE, "__Host-alfarid=teacher")];
    let patched = stage.call(Method::PATCH, &location, &cookie, Body::empty()).await;
    assert_eq!(patched.header(header::ALLOW), "DELETE");
    assert_eq!(patched.problem(StatusCode::METHOD_NOT_ALLOWED), "trickle_unsupported");
    let ended = stage.call(Method::DELETE, &location, &cookie, Body::empty()).await;
    assert_eq!(ended.status, StatusCode::OK);
    teacher.until("goodbye", |seen| seen.over).await;
    machine.until("the end", |message| scene(message).filter(|scene| !scene.on_air)).await;
    let again = stage.call(Method::DELETE, &location, &cookie, Body::empty()).await;
    assert_eq!(again.problem(StatusCode::NOT_FOUND), "publication_unknown");
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
async fn the_page_has_a_small_picture_while_something_is_on_air() {
    let stage = Stage::new().await;
    let path = format!("/lessons/{}/preview.jpg", stage.lesson);
    let cookie = [(header::COOKIE, "__Host-alfarid=teacher")];
    let none = stage.call(Method::GET, &path, &cookie, Body::empty()).await;
    assert_eq!(none.problem(StatusCode::NOT_FOUND), "no_preview");
    for spec in [Spec::H264, Spec::VP8] {
        let mut events = stage.floor.events.listen();
        let _teacher = share(&stage, "teacher", spec).await;
        let told =
            async { while !matches!(events.next().await, Some(Event::PreviewChanged { .. })) {} };
        tokio::time::timeout(PATIENCE, told).await.expect("no preview came");
        let picture = stage.call(Method::GET, &path, &cookie, Body::empty()).await;
        assert_eq!(picture.status, StatusCode::OK);
        assert_eq!(picture.header(header::CONTENT_TYPE), "image/jpeg");
        assert_eq!(jpeg_size(picture.bytes()), (320, 240));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_told_how_much_it_may_send() {
    let stage = Stage::new().await;
    let mut teacher = share(&stage, "teacher", Spec::H264).await;
    teacher.until("the limit", |seen| seen.limit_bps == Some(4_000_000)).await;
    let limits = Limits { max_fps: 15, max_bitrate_bps: 2_000_000, max_audio_bitrate_bps: 64_000 };
    stage.broadcast.set_limits(stage.lesson, limits).await.unwrap();
    let told = json!(
        {"max_fps": 15, "max_bitrate_bps": 2_000_000, "max_audio_bitrate_bps": 64_000}
    );
    stage.until_stream("the limits of its page", |stream| stream["limits"] == told).await;
    teacher.until("the new limit", |seen| seen.limit_bps == Some(2_000_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_box_plays_a_test_picture_and_a_video_of_its_own() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let videos = stage.floor.state_dir().join("videos");
    std::fs::create_dir(&videos).unwrap();
    make_video(&videos.join("film.mkv")).await;
    std::fs::write(videos.join("broken.mkv"), "this is no video").unwrap();

    assert_eq!(source(&stage, json!({"kind": "test"})).await.status, StatusCode::NO_CONTENT);
    let grant = machine.grant().await;
    assert!(grant.audio.is_some());
    let mut reception = Reception::begin(&mut machine, &grant).await;
    reception.frames(15).await;

    let film = source(&stage, json!({"kind": "file", "path": "film.mkv"})).await;
    assert_eq!(film.status, StatusCode::NO_CONTENT, "{}", film.text());
    reception.frames(30).await;
    let small = |stream: &serde_json::Value| {
        let publications = &stream["publications"];
        publications[0]["width"] == json!(320) && publications[0]["source"] == "file"
    };
    stage.until_stream("the film", small).await;
    reception.assert_no_gap();

    assert_eq!(source(&stage, json!({"kind": "none"})).await.status, StatusCode::NO_CONTENT);
    stage.until_stream("the end", |stream| stream["publications"] == json!([])).await;
    for (path, code) in [
        ("absent.mkv", "video_unknown"),
        ("../alfarid.db", "video_unknown"),
        ("/etc/passwd", "video_unknown"),
        ("broken.mkv", "video_unreadable"),
    ] {
        let refused = source(&stage, json!({"kind": "file", "path": path})).await;
        assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), code, "{path}");
    }
}

/// What was refused must not go on air behind its teacher's back, however late it begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_the_box_that_gives_nothing_is_ended_and_said_to_be_silent() {
    let stage = Stage::new().await;
    let videos = stage.floor.state_dir().join("videos");
    std::fs::create_dir(&videos).unwrap();
    make_late_video(&videos.join("late.mkv")).await;
    let refused = source(&stage, json!({"kind": "file", "path": "late.mkv"})).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "source_silent");
    let nothing = |stream: &serde_json::Value| stream["publications"] == json!([]);
    stage.until_stream("without what was refused", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_vanishes_is_noticed() {
    let stage = Stage::new().await;
    let teacher = share(&stage, "teacher", Spec::H264).await;
    stage.until_stream("on air", |stream| stream["on_air"] == true).await;
    drop(teacher);
    stage.until_stream("nothing on air", |stream| stream["on_air"] == false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_falls_silent_is_said_to_be_gone_and_comes_back_by_itself() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let teacher = share(&stage, "teacher", Spec::H264).await;
    let on_air = |is| move |message| scene(message).filter(|scene| scene.on_air == is);
    machine.until("a screen", on_air(true)).await;
    let path = format!("/lessons/{}/stream", stage.lesson);
    let publication = stage.get(&path).await["publications"][0]["id"].clone();

    teacher.hush(true);
    machine.until("word that the screen is gone", on_air(false)).await;
    let silent = stage.get(&path).await;
    assert_eq!(silent["on_air"], false);
    assert_eq!(silent["publications"][0]["id"], publication, "it may come back");
    teacher.hush(false);
    machine.until("the screen again", on_air(true)).await;
    assert_eq!(stage.get(&path).await["publications"][0]["id"], publication);
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

async fn source(stage: &Stage, form: serde_json::Value) -> Answer {
    let path = format!("/lessons/{}/source", stage.lesson);
    let headers =
        [(header::COOKIE, "__Host-alfarid=teacher"), (header::CONTENT_TYPE, "application/json")];
    stage.call(Method::POST, &path, &headers, form.to_string()).await
}

/// Ten seconds of picture, without sound.
async fn make_video(path: &std::path::Path) {
    make_file(path, "videotestsrc num-buffers=150", "").await;
}

/// Its words begin at once, its picture after an hour.
async fn make_late_video(path: &std::path::Path) {
    let words = path.with_extension("srt");
    std::fs::write(&words, "1\n00:00:00,000 --> 00:00:01,000\nSoon\n\n").unwrap();
    let words = format!("filesrc location={} ! subparse ! queue ! mux.", words.display());
    make_file(path, "videotestsrc num-buffers=15 timestamp-offset=3600000000000", &words).await;
}

async fn make_file(path: &std::path::Path, picture: &str, beside: &str) {
    let pipeline = format!(
        "{picture} ! video/x-raw,width=320,height=240,framerate=15/1 ! vp8enc deadline=1 ! queue \
         ! matroskamux name=mux ! filesink location={} {beside}",
        path.display(),
    );
    let mut gst = tokio::process::Command::new("gst-launch-1.0");
    let made = gst.arg("-q").args(pipeline.split(' ')).status().await;
    assert!(made.unwrap().success());
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

/// Width and height by the start-of-frame segment (ITU-T T.81 B.2.2).
fn jpeg_size(jpeg: &[u8]) -> (u16, u16) {
    let start = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a JPEG");
    let word = |at: usize| u16::from_be_bytes([jpeg[start + at], jpeg[start + at + 1]]);
    (word(7), word(5))
}
