//! Recording as a lesson sees it: real media goes in at the tap, and what lies on the disk plays.

mod studio;

use std::{fs, path::Path, time::Duration};

use alfarid_daemon::{
    broadcast::tap::TrackKind as Kind,
    recording::{Fault, Recording, Segment, Status, TrackKind},
};
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use self::studio::{
    Studio,
    footage::{self, Picture},
    person, projector,
};

const LESSON: u128 = 0x7b;

/// The path of a lesson's first stretch.
fn stretch() -> String {
    uuid::Uuid::from_u128(LESSON).to_string()
}

fn segments(recording: &Recording, kind: TrackKind) -> &[Segment] {
    let track = recording.tracks.iter().find(|track| track.kind == kind);
    track.map_or(&[], |track| &track.segments)
}

fn metadata(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("metadata.json")).unwrap()).unwrap()
}

/// Fails when a frame is lost, when sound and picture stand apart, or when the folder is not what
/// the guide says.
#[tokio::test]
async fn picture_and_sounds_play_frame_for_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture::default());
    let programme = footage::sound(Kind::ScreenAudio, 6);
    let voice = footage::sound(Kind::PersonAudio, 6);
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture, &programme, &voice]).await;
    let event = json!({ "event_type": "hand_raised" });
    studio.recording.append_event(on_air.lesson, event.clone()).await.unwrap();
    studio.recording.stop(on_air.lesson).await.unwrap();

    let recording = studio.ended(on_air.id).await;
    assert_eq!((recording.status, recording.fault), (Status::Ready, None));
    assert_eq!(recording.frame_count, picture.frames);
    assert_eq!(recording.duration_seconds, 6);
    let folder = studio.folder(&stretch());
    let shown = projector::play(&folder.join("screen/0001.mp4"));
    assert_eq!(shown.count, picture.frames);
    for name in ["audio/screen-0001.m4a", "audio/person-0001.m4a"] {
        let heard = projector::play(&folder.join(name));
        assert!(heard.count >= programme.frames - 1, "{name}: {} of {}", heard.count, programme.frames);
        assert!(heard.last.abs_diff(Duration::from_millis(5_980)) < Duration::from_millis(30));
    }
    for kind in [TrackKind::ScreenVideo, TrackKind::ScreenAudio, TrackKind::PersonAudio] {
        let [segment] = segments(&recording, kind) else { panic!("{kind:?} has not one segment") };
        assert!(segment.offset_ms.abs_diff(8) <= 1, "{kind:?} begins at {}", segment.offset_ms);
        assert!(segment.duration_ms.abs_diff(6_000) < 40, "{kind:?}: {}", segment.duration_ms);
    }
    let line = fs::read_to_string(folder.join("events/events.jsonl")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["event"], event);
    let metadata = metadata(&folder);
    assert_eq!(metadata["status"], "ready");
    assert_eq!(metadata["segments"][0]["path"], "screen/0001.mp4");
    assert_eq!(metadata["title"], "Fractions");
}

#[tokio::test]
async fn vp8_plays_frame_for_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::vp8(Picture::default());
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    let recording = studio.ended(on_air.id).await;
    let shown = projector::play(&studio.folder(&stretch()).join("screen/0001.webm"));
    assert_eq!((shown.count, recording.frame_count), (picture.frames, picture.frames));
    let [segment] = segments(&recording, TrackKind::ScreenVideo) else { panic!("not one segment") };
    assert_eq!(segment.mime, "video/webm; codecs=\"vp8\"");
}
