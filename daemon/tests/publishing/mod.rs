//! Who may publish, what is answered, and what becomes of a publication.

use alfarid_daemon::broadcast::{Airing, Limits};
use alfarid_protocol::id::LessonId;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::json;

use crate::{
    publisher::{ALL, Codecs, Offer, encoder::Spec},
    reception::Reception,
    scene, share,
    stage::{PATIENCE, Stage},
};

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

    let path = format!("/lessons/{}/whip/screen", stage.lesson);
    stage.takes_only_sdp(&path, &good).await;

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
async fn a_publisher_is_told_how_much_it_may_send() {
    let stage = Stage::new().await;
    let mut teacher = share(&stage, "teacher", Spec::H264).await;
    teacher.until("the limit", |seen| seen.limit_bps == Some(4_000_000)).await;
    let limits = Limits {
        max_fps: 15,
        max_height: 720,
        max_bitrate_bps: 2_000_000,
        max_audio_bitrate_bps: 64_000,
    };
    stage.broadcast.set_limits(stage.lesson, limits).await.unwrap();
    let told = json!({
        "max_fps": 15,
        "max_height": 720,
        "max_bitrate_bps": 2_000_000,
        "max_audio_bitrate_bps": 64_000,
    });
    stage.until_stream("the limits of its page", |stream| stream["limits"] == told).await;
    teacher.until("the new limit", |seen| seen.limit_bps == Some(2_000_000)).await;
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
