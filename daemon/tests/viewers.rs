//! Watching by WHEP: a real publisher, real viewers, the real UDP port, on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

#[expect(dead_code, reason = "shared by several test files")]
mod publisher;
mod stage;
mod viewer;

use std::net::Ipv4Addr;

use alfarid_daemon::broadcast::{
    Coming,
    tap::{Tap, Tapped, TrackKind},
};
use alfarid_protocol::grant::Picture;
use alfarid_stream::{playout::MIN_DELAY, rtp};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use str0m::format::Codec;

use publisher::{Publisher, encoder::Spec};
use stage::{Answer, PATIENCE, Stage};
use viewer::{ALL, Offer, Packet, Viewer, Wish};

const PICTURE: usize = 0;
const SOUND: usize = 1;
const VOICE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_the_very_packets_that_are_on_air() {
    for (spec, codec) in [(Spec::H264, Codec::H264), (Spec::VP8, Codec::Vp8)] {
        let stage = Stage::new().await;
        let mut tap = stage.broadcast.tap(stage.lesson).await.unwrap();
        let _teacher = share(&stage, spec).await;
        let mut viewer = watch(&stage, "teacher", ALL).await;
        let seen = viewer.take(PICTURE, 200).await;
        assert!(seen.iter().all(|packet| packet.codec == codec));
        let payloads: Vec<_> = seen.iter().map(|packet| packet.payload.clone()).collect();
        let aired = on_air(&mut tap, TrackKind::ScreenVideo, &payloads[180..]).await;
        let first = aired.len() - 200;
        let sent: Vec<_> = aired[first..].iter().map(|(payload, _)| payload.clone()).collect();
        assert_eq!(payloads, sent, "{codec:?}");
        assert!(aired[first].1, "it begins with a keyframe");
        assert!(seen.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
        assert!(seen[0].sequence < 1 << 15);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_told_when_machines_show_what_is_live_and_shows_the_rest_at_once() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let mut first = watch(&stage, "teacher", ALL).await;
    first.take(PICTURE, 100).await;

    let seen = watch(&stage, "admin", ALL).await.take(PICTURE, 200).await;
    let told: Vec<_> = seen.iter().map(|packet| packet.playout).collect();
    let kept = told.iter().take_while(|playout| playout.is_none()).count();
    assert!(kept > 0 && kept < told.len(), "{told:?}");
    assert!(told[kept..].iter().all(|playout| *playout == Some(MIN_DELAY)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_has_the_picture_at_once_and_its_time_goes_on() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let mut first = watch(&stage, "teacher", ALL).await;
    first.take(PICTURE, 100).await;

    let mut late = watch(&stage, "admin", ALL).await;
    let steps = steps(&late.take(PICTURE, 200).await);
    assert!(steps.iter().all(|step| *step < 90_000), "time goes on: {steps:?}");
    let kept = steps.iter().take_while(|step| **step == 90).count();
    assert!(steps[kept + 1..].iter().all(|step| *step > 1_000), "live again: {steps:?}");
}

/// The kept pictures, a second and a half of a rich stream, take a third of a second to go out.
#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_that_overtakes_kept_pictures_is_shown_at_once() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec { kbps: 8_000, ..Spec::H264 }).await;
    let mut first = watch(&stage, "teacher", Wish { sounds: 0, ..ALL }).await;
    first.take(PICTURE, 1_200).await;

    let mut late = watch(&stage, "admin", Wish { sounds: 0, ..ALL }).await;
    late.take(PICTURE, 1).await;
    first.ask_keyframe().await;
    let steps = steps(&late.take(PICTURE, 2_000).await);
    assert!(steps.iter().all(|step| *step < 30_000), "no pause: {steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_sound_and_the_teachers_voice_are_lines_of_their_own() {
    let stage = Stage::new().await;
    let _screen = share(&stage, Spec::H264).await;
    let _voice = speak(&stage).await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    assert!(viewer.take(SOUND, 20).await.iter().all(|packet| packet.codec == Codec::Opus));
    viewer.take(VOICE, 20).await;
    let mut quiet = watch(&stage, "teacher", Wish { sounds: 0, ..ALL }).await;
    quiet.take(PICTURE, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_viewer_loses_comes_back() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec { kbps: 1_500, ..Spec::H264 }).await;
    let mut viewer = watch(&stage, "teacher", Wish { sounds: 0, ..ALL }).await;
    viewer.take(PICTURE, 50).await;
    viewer.lose(10);
    let mut sequences: Vec<_> =
        viewer.take(PICTURE, 600).await.iter().map(|packet| packet.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
    // The newest ones may still be on their way.
    let whole = (first..last - 100).filter(|n| sequences.binary_search(n).is_err()).count();
    assert!(whole < 10, "{whole} of {} never came", last - first);
}

/// Whoever asks all the time costs the teacher what the policy allows.
#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_ask_for_keyframes_without_end_cause_one_now_and_then() {
    let stage = Stage::new().await;
    let mut teacher = share(&stage, Spec::H264).await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    viewer.take(PICTURE, 50).await;
    let asked = teacher.seen().keyframes_asked;
    for _ in 0..150 {
        viewer.ask_keyframe().await;
        viewer.take(PICTURE, 2).await;
    }
    teacher.until("what it sent", |seen| seen.packets_sent > 0).await;
    let asked = teacher.seen().keyframes_asked - asked;
    assert!(asked <= 4, "{asked} keyframes for a viewer's asking");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_before_the_teacher_sees_the_screen_when_it_comes() {
    let stage = Stage::new().await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    let _teacher = share(&stage, Spec::H264).await;
    viewer.take(PICTURE, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_codec_ends_the_session_and_the_next_one_has_it() {
    let stage = Stage::new().await;
    let teacher = share(&stage, Spec::H264).await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    viewer.take(PICTURE, 20).await;
    teacher.show(Spec::VP8);
    viewer.until_over().await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    assert_eq!(viewer.take(PICTURE, 20).await[0].codec, Codec::Vp8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_the_teachers_page_goes_on_in_the_same_session() {
    let stage = Stage::new().await;
    let old = share(&stage, Spec::H264).await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    viewer.take(PICTURE, 20).await;
    let _new = share(&stage, Spec::H264).await;
    drop(old);
    let seen = viewer.take(PICTURE, 300).await;
    assert!(seen.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_the_codec_on_air_is_told_so() {
    let stage = Stage::new().await;
    let mut early = watch(&stage, "teacher", Wish { h264: false, ..ALL }).await;
    let _teacher = share(&stage, Spec::H264).await;
    early.until_over().await;
    let refused = offer(&stage, "teacher", Wish { h264: false, ..ALL }).await;
    assert_eq!(refused.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE), "codec_unplayable");
    assert!(refused.text().contains("H264"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_offer_is_told_what_is_wrong() {
    let stage = Stage::new().await;
    let good = Offer::new(ALL).await.sdp;
    let lines = good.matches("a=recvonly").count();
    assert_eq!(lines, 3);
    let sending = good.replace("a=recvonly", "a=sendonly");
    let data = good.clone() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n";
    let four = Offer::new(Wish { sounds: 3, ..ALL }).await.sdp;
    let unnamed = good.replace("a=fingerprint", "a=nothing");
    for bad in ["", "v=0", "hello", &good[..300], &sending, &data, &four, &unnamed] {
        let refused = stage.watch("teacher", bad).await;
        assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "sdp_malformed", "{bad}");
    }
    let path = format!("/lessons/{}/whep", stage.lesson);
    stage.takes_only_sdp(&path, &good).await;

    stage.broadcast.close(stage.lesson).await.unwrap();
    let refused = stage.watch("teacher", &good).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "lesson_not_active");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_teacher_and_an_admin_watch_a_lesson_and_nobody_else() {
    let stage = Stage::new().await;
    for who in ["teacher", "admin"] {
        assert_eq!(offer(&stage, who, ALL).await.status, StatusCode::CREATED);
    }
    let refused = offer(&stage, "colleague", ALL).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
    let refused = offer(&stage, "nobody", ALL).await;
    assert_eq!(refused.problem(StatusCode::UNAUTHORIZED), "not_signed_in");
    let shown = stage.get(&format!("/lessons/{}/showing", stage.lesson)).await;
    assert_eq!(shown["picture"], "live");
    assert_eq!((&shown["on_air"], &shown["codec_video"]), (&false.into(), &().into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_it_ends_it_and_others_do_not_find_it() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let wish = Offer::new(ALL).await;
    let answer = stage.watch("teacher", &wish.sdp).await;
    let location = answer.header(header::LOCATION).to_owned();
    let place = location.strip_prefix("/api/v1").unwrap();
    let mut viewer = wish.answered(&answer.text());
    viewer.take(PICTURE, 20).await;
    let end = async |who: &str| {
        let cookie = format!("__Host-alfarid={who}");
        stage.call(Method::DELETE, place, &[(header::COOKIE, &*cookie)], Body::empty()).await
    };
    assert_eq!(end("admin").await.problem(StatusCode::NOT_FOUND), "viewer_unknown");
    end("teacher").await.expect(StatusCode::OK);
    viewer.until_over().await;
    assert_eq!(end("teacher").await.problem(StatusCode::NOT_FOUND), "viewer_unknown");
    let cookie = [(header::COOKIE, "__Host-alfarid=teacher")];
    let refused = stage.call(Method::PATCH, place, &cookie, Body::empty()).await;
    assert_eq!(refused.problem(StatusCode::METHOD_NOT_ALLOWED), "trickle_unsupported");
    assert_eq!(refused.header(header::ALLOW), "DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_window_of_one_person_ends_their_first() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let wish = Offer::new(ALL).await;
    let answer = stage.watch("teacher", &wish.sdp).await;
    let id = answer.header(header::LOCATION).rsplit('/').next().unwrap().to_owned();
    let mut first = wish.answered(&answer.text());
    let mut others = Vec::new();
    for _ in 0..4 {
        first.take(PICTURE, 1).await;
        others.push(watch(&stage, "teacher", ALL).await);
    }
    first.until_over().await;
    for other in &mut others {
        other.take(PICTURE, 20).await;
    }
    // The page of the first calls again by itself: it would end the second, and so for ever.
    let again = Offer::new(ALL).await;
    let refused = stage.watch_after("teacher", &again.sdp, &id).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "open_on_too_many_pages");
    for other in &mut others {
        other.take(PICTURE, 20).await;
    }
    // Somebody clicks.
    watch(&stage, "teacher", ALL).await.take(PICTURE, 1).await;
    others[0].until_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_to_watch_all_the_time_is_told_to_wait_and_others_are_not() {
    let stage = Stage::new().await;
    let sdp = Offer::new(ALL).await.sdp;
    let mut asked = 0;
    let refused = loop {
        let answer = stage.watch("teacher", &sdp).await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        asked += 1;
        assert!(asked < 1_000, "nobody is told to wait");
    };
    assert!(asked >= 20, "{asked}");
    assert_eq!(refused.problem(StatusCode::TOO_MANY_REQUESTS), "slow_down");
    assert_eq!(offer(&stage, "admin", ALL).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_is_full_says_so_until_somebody_goes() {
    let stage = Stage::with(|media| media.max_viewers = 1).await;
    let _teacher = share(&stage, Spec::H264).await;
    let wish = Offer::new(ALL).await;
    let answer = stage.watch("teacher", &wish.sdp).await;
    let mut viewer = wish.answered(&answer.text());
    viewer.take(PICTURE, 1).await;
    let refused = offer(&stage, "admin", ALL).await;
    assert_eq!(refused.problem(StatusCode::SERVICE_UNAVAILABLE), "too_many_viewers");
    let location = answer.header(header::LOCATION).to_owned();
    let place = location.strip_prefix("/api/v1").unwrap();
    let cookie = [(header::COOKIE, "__Host-alfarid=teacher")];
    stage.call(Method::DELETE, place, &cookie, Body::empty()).await.expect(StatusCode::OK);
    assert_eq!(offer(&stage, "admin", ALL).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_lesson_is_the_end_of_watching_it() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let mut viewer = watch(&stage, "teacher", ALL).await;
    viewer.take(PICTURE, 20).await;
    stage.broadcast.close(stage.lesson).await.unwrap();
    viewer.until_over().await;
}

/// The teacher's own page goes on while the class sees nothing: a page that would hide it could be
/// told not to.
#[tokio::test(flavor = "multi_thread")]
async fn a_blank_screen_is_not_sent_to_the_class_and_its_sound_is() {
    let stage = Stage::new().await;
    let _teacher = share(&stage, Spec::H264).await;
    let mut preview = watch(&stage, "teacher", ALL).await;
    let mut student = watch_as_student(&stage).await;
    student.take(PICTURE, 20).await;
    stage.broadcast.set_picture(stage.lesson, Picture::Blank).await.unwrap();
    let shown = stage.get(&format!("/lessons/{}/showing", stage.lesson)).await;
    assert_eq!((&shown["picture"], &shown["on_air"]), (&"blank".into(), &true.into()));
    // What was on its way.
    preview.take(PICTURE, 60).await;
    student.arrived(PICTURE);
    preview.take(PICTURE, 60).await;
    assert_eq!(student.arrived(PICTURE), 0);
    student.take(SOUND, 5).await;

    stage.broadcast.set_picture(stage.lesson, Picture::Live).await.unwrap();
    student.take(PICTURE, 60).await;
}

/// From each picture to the next, in RTP time at 90 kHz.
fn steps(seen: &[Packet]) -> Vec<u32> {
    let mut times: Vec<_> = seen.iter().map(|packet| packet.timestamp).collect();
    times.dedup();
    times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
}

/// What goes on air of one kind, up to these payloads in a row, each with whether one can begin
/// there.
async fn on_air(tap: &mut Tap, kind: TrackKind, last: &[Vec<u8>]) -> Vec<(Vec<u8>, bool)> {
    let (mut aired, mut track) = (Vec::<(Vec<u8>, bool)>::new(), None);
    let reading = async {
        while let Some(tapped) = tap.recv().await {
            match tapped {
                Tapped::Started(started) if started.kind == kind => track = Some(started.id),
                Tapped::Packet(packet) if Some(packet.track) == track => {
                    let payload = rtp::Packet::parse(&packet.packet).unwrap().payload.to_vec();
                    aired.push((payload, packet.begins));
                    // One alone may have been there before: a keyframe's headers are all the same.
                    let newest = aired.iter().rev().map(|(payload, _)| payload);
                    if aired.len() >= last.len()
                        && newest.zip(last.iter().rev()).all(|(a, b)| a == b)
                    {
                        return;
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it never was on air");
    aired
}

async fn share(stage: &Stage, show: Spec) -> Publisher {
    publish(stage, "screen", Some(show)).await
}

async fn speak(stage: &Stage) -> Publisher {
    publish(stage, "person", None).await
}

async fn publish(stage: &Stage, kind: &str, show: Option<Spec>) -> Publisher {
    let offer = publisher::Offer::new(publisher::ALL, show.is_some()).await;
    let answer = stage.offer("teacher", kind, &offer.sdp).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let mut publisher = offer.answered(&answer.text(), show);
    publisher.until("a connection", |seen| seen.connected).await;
    publisher
}

async fn watch_as_student(stage: &Stage) -> Viewer {
    let (offer, here) = (Offer::new(ALL).await, Ipv4Addr::LOCALHOST.into());
    let student = stage.floor.clock.id();
    let coming = Coming { address: here, came_to: here, former: None };
    let watching =
        stage.broadcast.watch_as_student(stage.lesson, student, &offer.sdp, coming).await;
    offer.answered(&watching.unwrap().answer)
}

async fn offer(stage: &Stage, who: &str, wish: Wish) -> Answer {
    stage.watch(who, &Offer::new(wish).await.sdp).await
}

async fn watch(stage: &Stage, who: &str, wish: Wish) -> Viewer {
    let offer = Offer::new(wish).await;
    let answer = stage.watch(who, &offer.sdp).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    offer.answered(&answer.text())
}
