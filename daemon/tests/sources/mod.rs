//! What the box puts on air itself, and the small picture of whatever is.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use alfarid_daemon::events::Event;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::json;

use crate::{
    publisher::encoder::Spec,
    reception::Reception,
    share,
    stage::{Answer, PATIENCE, Stage},
};

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

/// Width and height by the start-of-frame segment (ITU-T T.81 B.2.2).
fn jpeg_size(jpeg: &[u8]) -> (u16, u16) {
    let start = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a JPEG");
    let word = |at: usize| u16::from_be_bytes([jpeg[start + at], jpeg[start + at + 1]]);
    (word(7), word(5))
}
