//! Recording as a lesson sees it: real media goes in at the tap, and what lies on the disk plays.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod small_disk;
mod studio;

use std::{fs, path::Path, pin::pin, time::Duration};

use alfarid_daemon::{
    broadcast::tap::{self, TrackKind as Kind},
    clock::{Clock, Evidence},
    events::{Event, Fragment},
    health::FaultCode,
    recording::{Error, Fault, Recording, Segment, Status, TrackKind},
};
use axum::http::{Method, StatusCode, header};
use futures_util::FutureExt;
use serde_json::{Value, json};

use self::studio::{
    Studio,
    footage::{self, Picture},
    projector,
};

const LESSON: u128 = 0x7b;

/// The folder of a lesson's first stretch.
fn stretch() -> String {
    uuid::Uuid::from_u128(LESSON).to_string()
}

fn segments(recording: &Recording, kind: TrackKind) -> &[Segment] {
    let track = recording.tracks.iter().find(|track| track.kind == kind);
    track.map_or(&[], |track| &track.segments)
}

fn the_segment(recording: &Recording, kind: TrackKind) -> &Segment {
    let segments = segments(recording, kind);
    assert_eq!(segments.len(), 1, "{kind:?}: {segments:?}");
    &segments[0]
}

fn metadata(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("metadata.json")).unwrap()).unwrap()
}

/// Fails when a frame is lost, when sound and picture stand apart, or when the folder is not what
/// its description says.
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
    assert_eq!(projector::play(&folder.join("screen/0001.mp4")).count, picture.frames);
    for name in ["audio/screen-0001.m4a", "audio/person-0001.m4a"] {
        let heard = projector::play(&folder.join(name));
        assert!(heard.count + 1 >= programme.frames, "{name}: {} blocks", heard.count);
        assert!(heard.last.abs_diff(Duration::from_millis(5_980)) < Duration::from_millis(30));
    }
    for kind in [TrackKind::ScreenVideo, TrackKind::ScreenAudio, TrackKind::PersonAudio] {
        let segment = the_segment(&recording, kind);
        assert!(segment.offset_ms.abs_diff(8) <= 1, "{kind:?} begins at {}", segment.offset_ms);
        assert!(segment.duration_ms.abs_diff(6_000) < 40, "{kind:?}: {}", segment.duration_ms);
    }
    let line = fs::read_to_string(folder.join("events/events.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["event"], event);
    let metadata = metadata(&folder);
    assert_eq!((&metadata["status"], &metadata["title"]), (&json!("ready"), &json!("Fractions")));
    assert_eq!(metadata["segments"].as_array().unwrap().len(), 3);
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
    let segment = the_segment(&recording, TrackKind::ScreenVideo);
    assert_eq!(segment.mime, "video/webm; codecs=\"vp8\"");
}

/// Two sizes under one head play nowhere.
#[tokio::test]
async fn a_change_of_size_begins_a_file_and_both_play() {
    let small = Picture { frames: 90, ..Picture::default() };
    let large = Picture { width: 640, height: 360, ..small };
    for film in [footage::h264, footage::vp8] {
        let dir = tempfile::tempdir().unwrap();
        let mut studio = Studio::open(dir.path()).await;
        let gap = Duration::from_millis(33);
        let picture = film(small).followed_by(gap, &film(large)).followed_by(gap, &film(small));
        let mut on_air = studio.record(LESSON).await;
        on_air.play(&[&picture]).await;
        studio.recording.stop(on_air.lesson).await.unwrap();
        let recording = studio.ended(on_air.id).await;
        let found = segments(&recording, TrackKind::ScreenVideo);
        let starts: Vec<_> = found.iter().map(|segment| segment.offset_ms).collect();
        assert_eq!(starts.len(), 3, "{found:?}");
        assert!(starts[1].abs_diff(3_008) < 5 && starts[2].abs_diff(6_008) < 5, "{starts:?}");
        for (number, width) in [(1, 320), (2, 640), (3, 320)] {
            let extension =
                if picture.codec == alfarid_stream::Codec::H264 { "mp4" } else { "webm" };
            let name = format!("screen/{number:04}.{extension}");
            let shown = projector::play(&studio.folder(&stretch()).join(name));
            assert_eq!((shown.count, shown.width), (90, width));
        }
    }
}

/// A browser sends nothing while nothing moves, and a source may be gone for a minute: the picture
/// that stood stays for so long, and sound stays in step with it.
#[tokio::test]
async fn a_pause_comes_out_right_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let second = Picture { frames: 30, ..Picture::default() };
    let pause = Duration::from_mins(1);
    let picture = footage::h264(second).followed_by(pause, &footage::h264(second));
    let voice = footage::sound(Kind::PersonAudio, 10);
    let voice = voice.clone().followed_by(Duration::from_secs(45), &voice);
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture, &voice]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    let recording = studio.ended(on_air.id).await;
    let folder = studio.folder(&stretch());
    let starts = |kind| the_segment(&recording, kind).offset_ms;
    assert_eq!(starts(TrackKind::ScreenVideo), starts(TrackKind::PersonAudio));
    let tolerance = Duration::from_millis(2);
    let shown = projector::play(&folder.join("screen/0001.mp4"));
    assert_eq!(shown.count, 60);
    assert!(shown.last.abs_diff(picture.last()) < tolerance, "{shown:?}");
    let heard = projector::play(&folder.join("audio/person-0001.m4a"));
    assert!(heard.last.abs_diff(voice.last()) < Duration::from_millis(10), "{heard:?}");
}

/// What was shown before a still screen lies on the disk although nothing follows it.
#[tokio::test]
async fn a_still_screen_holds_back_one_picture_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 45, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture]).await;
    on_air.pause(Duration::from_millis(1_100));
    let told = studio.grown_to(on_air.id, picture.frames - 1).await;
    let file = studio.folder(&stretch()).join("screen/0001.mp4");
    assert_eq!(fs::metadata(&file).unwrap().len(), told.file_size_bytes);
    assert_eq!(projector::play(&file).count, picture.frames - 1);
}

/// A player is fed the head and then what it needs, from any fragment that begins with a keyframe.
#[tokio::test]
async fn the_head_and_any_run_of_fragments_play() {
    for film in [footage::h264, footage::vp8] {
        let dir = tempfile::tempdir().unwrap();
        let mut studio = Studio::open(dir.path()).await;
        let picture = film(Picture { keyframe_every: 50, ..Picture::default() });
        let mut on_air = studio.record(LESSON).await;
        on_air.play(&[&picture]).await;
        studio.recording.stop(on_air.lesson).await.unwrap();
        let recording = studio.ended(on_air.id).await;
        let segment = the_segment(&recording, TrackKind::ScreenVideo);
        let fragments = &segment.fragments;
        let keys: Vec<_> = (0..fragments.len()).filter(|&n| fragments[n].keyframe).collect();
        assert_eq!(keys.len(), 4, "one for each keyframe: {fragments:?}");
        let path = format!("/api/v1/recordings/{}/segments/{}", recording.id, segment.id);
        let file = studio.get("teacher", &path).await.body;
        for &from in &keys {
            for to in from..fragments.len() {
                let run = run_of(&file, segment, &fragments[from..=to]);
                let path = dir.path().join("run");
                fs::write(&path, run).unwrap();
                let shown = projector::play(&path);
                let span = Duration::from_millis(fragments[from].at_ms.unsigned_abs());
                assert!(shown.count > 0 && shown.first.abs_diff(span) < Duration::from_millis(2));
            }
        }
    }
}

fn run_of(file: &[u8], segment: &Segment, fragments: &[Fragment]) -> Vec<u8> {
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let mut run = file[..at(segment.init_bytes)].to_vec();
    for fragment in fragments {
        run.extend(&file[at(fragment.offset)..at(fragment.offset + fragment.length)]);
    }
    run
}

/// By a real clock and a real disk: a picture is on it, and told of, about a second after it was
/// taken.
#[tokio::test]
async fn a_fragment_is_on_disk_within_a_moment_of_its_second() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::start(Evidence::gather(None));
    let mut studio = Studio::with(dir.path(), clock.clone(), 1).await;
    let picture = footage::h264(Picture { frames: 135, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    let start = clock.monotonic();
    let track = on_air.begin(&picture).await;
    let mut frames = tokio::time::interval(Duration::from_millis(5));
    let mut packets = picture.packets.iter().peekable();
    let mut lags = Vec::new();
    while lags.len() < 4 {
        tokio::select! {
            _ = frames.tick() => {
                while let Some(packet) = packets.next_if(|p| start + p.taken <= clock.monotonic()) {
                    on_air.send(track, start + packet.taken, packet.bytes.clone()).await;
                }
            }
            (_, fragment) = studio.grown() => {
                let taken = start + Duration::from_millis(fragment.at_ms.unsigned_abs());
                lags.push(clock.monotonic().saturating_sub(taken));
            }
        }
    }
    println!("from a picture's taking to the disk, the oldest of its fragment: {lags:?}");
    // The disk may be busy with others' work: what the recorder itself adds is in the quickest.
    let quickest = lags.iter().min().unwrap();
    assert!(*quickest < Duration::from_secs(2), "{lags:?}");
    assert_eq!(fs::read_dir(studio.folder(&stretch()).join("screen")).unwrap().count(), 1);
}

/// Switched on and off, a lesson has two recordings, each with a folder of its own.
#[tokio::test]
async fn each_stretch_is_a_recording_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 30, ..Picture::default() });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut on_air = studio.record(LESSON).await;
        let twice = studio.try_record(LESSON).await;
        assert!(matches!(twice, Err(Error::AlreadyRecording(_))));
        on_air.play(&[&picture]).await;
        studio.recording.stop(on_air.lesson).await.unwrap();
        assert_eq!(studio.recording.running(on_air.lesson), None);
        ids.push(studio.ended(on_air.id).await.id);
    }
    assert_ne!(ids[0], ids[1]);
    for folder in [stretch(), format!("{}-2", stretch())] {
        let shown = projector::play(&studio.folder(&folder).join("screen/0001.mp4"));
        assert_eq!(shown.count, 30);
    }
}

/// When the broadcast goes away, so does the recording, in order; and one that had nothing to
/// record says so.
#[tokio::test]
async fn the_end_of_the_lesson_ends_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 30, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    let silent = studio.record(LESSON + 1).await;
    on_air.play(&[&picture]).await;
    let (id, silent_id) = (on_air.id, silent.id);
    drop((on_air, silent));
    let recording = studio.ended(id).await;
    assert_eq!((recording.status, recording.frame_count), (Status::Ready, 30));
    let silent = studio.ended(silent_id).await;
    assert_eq!((silent.status, silent.fault), (Status::Failed, Some(Fault::NothingRecorded)));
}

/// Stopping the box closes what is being recorded.
#[tokio::test]
async fn a_box_that_stops_closes_its_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 60, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture]).await;
    let folder = studio.folder(&stretch());
    studio.close().await;
    assert_eq!(metadata(&folder)["status"], "ready");
    // Packets that were still on their way to the recorder are not waited for.
    assert!(projector::play(&folder.join("screen/0001.mp4")).count <= 60);
}

/// The power goes at any moment: what was whole plays, and nothing else is left.
#[tokio::test]
async fn a_torn_file_is_cut_back_to_its_last_whole_fragment() {
    for film in [footage::h264, footage::vp8] {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("template");
        fs::create_dir(&template).unwrap();
        let mut studio = Studio::open(&template).await;
        let picture = film(Picture { keyframe_every: 50, frames: 150, ..Picture::default() });
        let mut on_air = studio.record(LESSON).await;
        on_air.play(&[&picture]).await;
        on_air.pause(Duration::from_millis(1_100));
        let whole = studio.grown_to(on_air.id, picture.frames - 1).await;
        studio.kill().await;

        let segment = the_segment(&whole, TrackKind::ScreenVideo);
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..25 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let cut = (random >> 16) % segment.size_bytes;
            let copy = dir.path().join(format!("{round}"));
            copy_tree(&template, &copy);
            let mut studio = Studio::prepare(&copy).await;
            let file = screen(&studio.folder(&stretch()));
            fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();
            studio.start();
            let found = studio.ended(on_air.id).await;
            check_salvaged(&found, segment, cut, &file);
            fs::remove_dir_all(&copy).unwrap();
        }
    }
}

fn check_salvaged(found: &Recording, was: &Segment, cut: u64, file: &Path) {
    let kept: Vec<_> = was.fragments.iter().filter(|f| f.offset + f.length <= cut).collect();
    let Some(last) = kept.last() else {
        assert_eq!(found.status, Status::Failed, "cut at {cut}");
        assert!(!file.exists(), "nothing of it plays");
        return;
    };
    assert_eq!((found.status, found.fault), (Status::Ready, Some(Fault::Interrupted)));
    let segment = the_segment(found, TrackKind::ScreenVideo);
    assert_eq!(segment.fragments.iter().collect::<Vec<_>>(), kept);
    assert_eq!(segment.size_bytes, last.offset + last.length);
    assert_eq!(fs::metadata(file).unwrap().len(), segment.size_bytes);
    assert_eq!(projector::play(file).count, found.frame_count, "cut at {cut}");
}

fn screen(folder: &Path) -> std::path::PathBuf {
    fs::read_dir(folder.join("screen")).unwrap().next().unwrap().unwrap().path()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).unwrap();
        }
    }
}

/// Where the database was lost or is older, a recording comes back from its own folder.
#[tokio::test]
async fn a_recording_is_taken_up_again_without_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 60, ..Picture::default() });
    let voice = footage::sound(Kind::PersonAudio, 2);
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture, &voice]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    let before = studio.ended(on_air.id).await;
    studio.close().await;
    let other = tempfile::tempdir().unwrap();
    copy_tree(&dir.path().join("recordings"), &other.path().join("recordings"));
    let mut studio = Studio::open(other.path()).await;
    let id = before.id;
    studio.event(|event| matches!(event, Event::RecordingChanged { .. }).then_some(())).await;
    assert_eq!(studio.ended(id).await, before);
}

/// Real `ENOSPC`: what fits is kept and plays, the lesson goes on, the box says why.
#[test]
fn a_full_disk_ends_the_recording_and_keeps_what_there_is() {
    const SELF: &str = "a_full_disk_ends_the_recording_and_keeps_what_there_is";
    let Some(disk) = small_disk::mounted(SELF, "512k") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut studio = Studio::open(&disk).await;
        let picture =
            footage::h264(Picture { frames: 900, width: 640, height: 480, ..Picture::default() });
        let mut on_air = studio.record(LESSON).await;
        // What waits for a disk goes to it in one piece, which would be too large for this one.
        studio.begun(on_air.id).await;
        on_air.play(&[&picture]).await;
        let recording = studio.ended(on_air.id).await;
        assert_eq!((recording.status, recording.fault), (Status::Ready, Some(Fault::DiskFull)));
        assert!(on_air.is_closed(), "the tap is let go");
        assert_eq!(studio.recording.running(on_air.lesson), None);
        assert!(studio.floor.health.faults().iter().any(|fault| fault.code == FaultCode::DiskFull));
        let folder = studio.folder(&stretch());
        let shown = projector::play(&folder.join("screen/0001.mp4"));
        assert_eq!(shown.count, recording.frame_count);
        assert!((30..900).contains(&shown.count), "{shown:?}");
    });
}

#[tokio::test]
async fn without_room_no_recording_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::with(dir.path(), Clock::manual(studio::MORNING), 1 << 40).await;
    let on_air = studio.record(LESSON).await;
    studio.recording_is_over(on_air.lesson).await;
    assert_eq!(studio.recording.fault(on_air.lesson), Some(Fault::DiskFull));
    assert!(studio.floor.health.faults().iter().any(|fault| fault.code == FaultCode::DiskFull));
    assert!(!studio.folder(&stretch()).exists());
    assert!(studio.recording.list(&studio::person("teacher"), None).await.unwrap().is_empty());
}

/// A disk that takes its time costs nothing of a lesson: neither the recording nor its beginning,
/// and the pages see what it waits for. Fails where a start waits for what was salvaged first.
#[tokio::test]
async fn a_recording_is_starting_until_the_disk_answers_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::prepare(dir.path()).await;
    let disk = studio.hold_disk().await;
    studio.start();
    let mut on_air = studio.record(LESSON).await;
    assert_eq!(studio.recording.running(on_air.lesson), Some(on_air.id));
    let teacher = studio::person("teacher");
    let seen = studio.recording.list(&teacher, Some(on_air.lesson)).await.unwrap();
    assert_eq!(seen, [studio.recording.get(&teacher, on_air.id).await.unwrap()]);
    assert_eq!(seen[0].status, Status::Starting);
    assert!(studio.recording.list(&studio::person("other"), None).await.unwrap().is_empty());
    let early = studio.recording.delete(&teacher, on_air.id).await;
    assert!(matches!(early, Err(Error::StillRunning(_))));

    // More packets than a tap holds.
    let picture = footage::h264(Picture { frames: 900, ..Picture::default() });
    let voice = footage::sound(Kind::PersonAudio, 30);
    assert!(picture.packets.len() + voice.packets.len() > tap::WAITING);
    let event = json!({ "event_type": "started" });
    studio.recording.append_event(on_air.lesson, event.clone()).await.unwrap();
    on_air.play(&[&picture, &voice]).await;
    drop(disk);
    studio.recording.stop(on_air.lesson).await.unwrap();
    let recording = studio.ended(on_air.id).await;
    assert_eq!((recording.status, recording.fault), (Status::Ready, None));
    assert_eq!(recording.frame_count, picture.frames);
    assert!(the_segment(&recording, TrackKind::ScreenVideo).offset_ms.abs_diff(8) <= 1);
    let folder = studio.folder(&stretch());
    assert_eq!(projector::play(&folder.join("screen/0001.mp4")).count, picture.frames);
    let line = fs::read_to_string(folder.join("events/events.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["event"], event);
}

/// What waits for a disk is bounded; beyond it the beginning is given up, and never the recording.
#[tokio::test]
async fn a_recording_that_waited_too_long_begins_with_what_came_last() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let disk = studio.hold_disk().await;
    let mut on_air = studio.record(LESSON).await;
    let lost = footage::h264(Picture { frames: 30, ..Picture::default() });
    on_air.play(&[&lost, &footage::sound(Kind::PersonAudio, 12).padded(60_000)]).await;
    let picture = footage::h264(Picture::default());
    on_air.play(&[&picture]).await;
    drop(disk);
    studio.recording.stop(on_air.lesson).await.unwrap();
    let recording = studio.ended(on_air.id).await;
    assert_eq!((recording.status, recording.fault), (Status::Ready, None));
    assert_eq!(recording.frame_count, picture.frames);
    let file = studio.folder(&stretch()).join("screen/0001.mp4");
    assert_eq!(projector::play(&file).count, picture.frames);
}

/// Switched off and on again, a lesson is recorded on, although the disk has not closed the files
/// of the stretch before.
#[tokio::test]
async fn a_new_stretch_begins_while_the_last_one_closes() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 60, ..Picture::default() });
    let mut first = studio.record(LESSON).await;
    first.play(&[&picture]).await;
    studio.grown().await;
    let disk = studio.hold_disk().await;
    let recording = studio.recording.clone();
    let mut stopping = pin!(recording.stop(first.lesson));
    assert!(stopping.as_mut().now_or_never().is_none(), "asked, and not answered yet");
    let mut second = studio.record(LESSON).await;
    assert_eq!(studio.recording.running(second.lesson), Some(second.id));
    second.play(&[&picture]).await;
    assert!(stopping.as_mut().now_or_never().is_none(), "its files are not closed");
    drop(disk);
    stopping.await.unwrap();
    studio.recording.stop(second.lesson).await.unwrap();
    for id in [first.id, second.id] {
        let recording = studio.ended(id).await;
        assert_eq!((recording.status, recording.frame_count), (Status::Ready, 60));
    }
}

/// Whoever takes a lesson over has its recording, even one that has no row yet.
#[tokio::test]
async fn a_recording_that_is_starting_is_handed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let mut on_air = studio.record(LESSON).await;
    studio.recording.hand_over(on_air.lesson, studio::person("other").id).await.unwrap();
    on_air.play(&[&footage::h264(Picture { frames: 30, ..Picture::default() })]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    studio.ended(on_air.id).await;
    assert!(studio.recording.get(&studio::person("other"), on_air.id).await.is_ok());
}

/// While it grows and afterwards, a file is served by ranges, as far as it is on disk.
#[tokio::test]
async fn a_growing_file_is_served_by_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 60, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture]).await;
    let (segment, fragment) = studio.grown().await;
    let path = format!("/api/v1/recordings/{}/segments/{segment}", on_air.id);
    let Fragment { offset, length, .. } = fragment;
    let range = format!("bytes={offset}-{}", offset + length - 1);
    let part = studio.ask("teacher", Method::GET, &path, &[(header::RANGE, &range)]).await;
    assert_eq!((part.status, part.body.len() as u64), (StatusCode::PARTIAL_CONTENT, length));
    assert_eq!(&part.body[4..8], b"moof");
    assert_eq!(part.header(header::CACHE_CONTROL), "private, no-cache");
    assert!(part.header(header::CONTENT_RANGE).starts_with(&range.replace('=', " ")));

    studio.recording.stop(on_air.lesson).await.unwrap();
    let whole = studio.get("teacher", &path).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.header(header::CONTENT_TYPE), "video/mp4; codecs=\"avc1.42c00d\"");
    let on_disk = fs::read(studio.folder(&stretch()).join("screen/0001.mp4")).unwrap();
    assert_eq!(whole.body, on_disk);
    let etag = whole.header(header::ETAG).to_owned();
    let again = studio.ask("teacher", Method::GET, &path, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let beyond = format!("bytes={}-", on_disk.len());
    let beyond = studio.ask("teacher", Method::GET, &path, &[(header::RANGE, &beyond)]).await;
    assert_eq!(beyond.header(header::CONTENT_RANGE), format!("bytes */{}", on_disk.len()));
    let problem = beyond.expect(StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(problem["code"], "range_not_satisfiable");
}

/// A recording is its teacher's and the admins'; nobody else learns that it is there.
#[tokio::test]
async fn others_neither_see_nor_delete_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { frames: 30, ..Picture::default() });
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&picture]).await;
    let one = format!("/api/v1/recordings/{}", on_air.id);
    let running = studio.ask("teacher", Method::DELETE, &one, &[]).await;
    assert_eq!(running.expect(StatusCode::CONFLICT)["code"], "recording_running");
    studio.recording.stop(on_air.lesson).await.unwrap();
    studio.ended(on_air.id).await;

    assert_eq!(studio.get("nobody", &one).await.status, StatusCode::UNAUTHORIZED);
    let unseen = studio.get("other", &one).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(unseen["code"], "recording_unknown");
    for (who, sees) in [("teacher", 1), ("admin", 1), ("other", 0)] {
        let list = studio.get(who, "/api/v1/recordings").await.expect(StatusCode::OK);
        assert_eq!(list["items"].as_array().unwrap().len(), sees, "{who}");
    }
    let refused = studio.ask("other", Method::DELETE, &one, &[]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    studio.recording.hand_over(on_air.lesson, studio::person("other").id).await.unwrap();
    let deleted = studio.ask("other", Method::DELETE, &one, &[]).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert!(!studio.folder(&stretch()).exists());
    assert_eq!(studio.get("admin", &one).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_recording_is_shown_to_every_teacher_when_its_own_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&footage::h264(Picture { frames: 30, ..Picture::default() })]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    studio.ended(on_air.id).await;
    let one = format!("/api/v1/recordings/{}", on_air.id);
    let shown = json!({ "is_public": true });
    let unseen = studio.patch("other", &one, &shown).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(unseen["code"], "recording_unknown");
    let changed = studio.patch("teacher", &one, &shown).await.expect(StatusCode::OK);
    assert_eq!(changed["is_public"], true);
    studio.get("other", &one).await.expect(StatusCode::OK);
    let hidden = json!({ "is_public": false });
    let refused = studio.patch("other", &one, &hidden).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(refused["code"], "recording_not_yours");
    studio.patch("admin", &one, &hidden).await.expect(StatusCode::OK);
    assert_eq!(studio.get("other", &one).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_recording_looks_like_this() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let mut on_air = studio.record(LESSON).await;
    on_air.play(&[&footage::vp8(Picture { frames: 45, ..Picture::default() })]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    studio.ended(on_air.id).await;
    let one = format!("/api/v1/recordings/{}", on_air.id);
    let found = studio.get("teacher", &one).await.expect(StatusCode::OK);
    let segment = &found["tracks"][0]["segments"][0];
    let expected = json!({
        "id": on_air.id,
        "lesson_id": on_air.lesson,
        "title": "Fractions",
        "class_name": "7b",
        "teacher_id": studio::person("teacher").id,
        "teacher_name": "T. Teacher",
        "status": "ready",
        "fault": null,
        "started_at": studio::MORNING,
        "duration_seconds": 1,
        "file_size_bytes": segment["size_bytes"],
        "frame_count": 45,
        "is_public": false,
        "tracks": [{
            "id": "screen_video",
            "kind": "screen_video",
            "segments": [{
                "id": segment["id"],
                "mime": "video/webm; codecs=\"vp8\"",
                "offset_ms": 8,
                "duration_ms": segment["duration_ms"],
                "size_bytes": segment["size_bytes"],
                "init_bytes": segment["init_bytes"],
                "fragments": [
                    {
                        "at_ms": 0,
                        "offset": segment["init_bytes"],
                        "length": segment["fragments"][0]["length"],
                        "keyframe": true,
                    },
                    segment["fragments"][1],
                ],
            }],
        }],
    });
    assert_eq!(found, expected);
}

/// One file holds it all, in step: pictures as they were sent, whatever their size, and every
/// sound.
#[tokio::test]
async fn a_download_is_one_file_of_everything() {
    for (film, extension) in [(footage::h264 as fn(_) -> _, "mp4"), (footage::vp8, "webm")] {
        let dir = tempfile::tempdir().unwrap();
        let mut studio = Studio::open(dir.path()).await;
        let small = Picture { frames: 90, ..Picture::default() };
        let large = Picture { width: 640, height: 360, ..small };
        let picture = film(small).followed_by(Duration::from_secs(4), &film(large));
        let programme = footage::sound(Kind::ScreenAudio, 3);
        let voice = footage::sound(Kind::PersonAudio, 8);
        let mut on_air = studio.record(LESSON).await;
        on_air.play(&[&picture, &programme, &voice]).await;
        let path = format!("/api/v1/recordings/{}/download", on_air.id);
        let early = studio.get("teacher", &path).await.expect(StatusCode::CONFLICT);
        assert_eq!(early["code"], "recording_running");
        studio.recording.stop(on_air.lesson).await.unwrap();
        studio.ended(on_air.id).await;

        let answer = studio.get("teacher", &path).await;
        assert_eq!(answer.status, StatusCode::OK);
        let name = format!("attachment; filename*=UTF-8''2027-01-15%20Fractions.{extension}");
        assert_eq!(answer.header(header::CONTENT_DISPOSITION), name);
        let file = dir.path().join("download");
        fs::write(&file, &answer.body).unwrap();
        if let Some(keep) = std::env::var_os("KEEP_DOWNLOAD") {
            fs::copy(&file, Path::new(&keep).join(format!("download.{extension}"))).unwrap();
        }
        let (shown, heard) = projector::play_both(&file);
        assert_eq!(shown.count, 180);
        assert!(shown.last.abs_diff(picture.last()) < Duration::from_millis(20), "{shown:?}");
        assert!(heard.last.abs_diff(voice.last()) < Duration::from_millis(40), "{heard:?}");
        assert_eq!(fs::read_dir(dir.path().join("recordings/.scratch")).unwrap().count(), 0);
    }
}

/// A teacher who goes on in another browser: no file holds both codecs, so one is made the other.
#[tokio::test]
async fn a_download_of_two_codecs_is_still_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = Picture { frames: 60, ..Picture::default() };
    let mut on_air = studio.record(LESSON).await;
    for film in [footage::vp8, footage::h264, footage::vp8] {
        on_air.play(&[&film(picture)]).await;
    }
    studio.recording.stop(on_air.lesson).await.unwrap();
    let recording = studio.ended(on_air.id).await;
    assert_eq!(segments(&recording, TrackKind::ScreenVideo).len(), 3);
    let path = format!("/api/v1/recordings/{}/download", on_air.id);
    let answer = studio.get("teacher", &path).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "video/mp4");
    let file = dir.path().join("download");
    fs::write(&file, &answer.body).unwrap();
    assert_eq!(projector::play(&file).count, 180);
}

/// Players without MSE get the same fragments, moved into one time for all tracks.
#[tokio::test]
async fn hls_names_runs_of_fragments_that_play() {
    let dir = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(dir.path()).await;
    let picture = footage::h264(Picture { keyframe_every: 50, ..Picture::default() });
    let voice = footage::sound(Kind::PersonAudio, 6);
    let mut on_air = studio.record(LESSON).await;
    on_air.pause(Duration::from_secs(2));
    on_air.play(&[&picture, &voice]).await;
    studio.recording.stop(on_air.lesson).await.unwrap();
    studio.ended(on_air.id).await;
    let base = format!("/api/v1/recordings/{}/hls", on_air.id);
    let index = text(studio.get("teacher", &format!("{base}/index.m3u8")).await.body);
    assert!(index.contains("URI=\"person_audio.m3u8\"") && index.ends_with("screen_video.m3u8\n"));
    let playlist = text(studio.get("teacher", &format!("{base}/screen_video.m3u8")).await.body);
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "{playlist}");
    assert_eq!(playlist.matches("#EXTINF:1.66").count(), 3, "{playlist}");
    let head = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\""));
    let head = format!("{base}/{}", head.unwrap().trim_end_matches('"'));
    let head = studio.get("teacher", &head).await.body;
    let mut frames = 0;
    for (run, piece) in playlist.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let piece = studio.get("teacher", &format!("{base}/{piece}")).await;
        assert_eq!(piece.status, StatusCode::OK);
        let path = dir.path().join("piece.mp4");
        fs::write(&path, [head.clone(), piece.body].concat()).unwrap();
        let shown = projector::play(&path);
        let starts = Duration::from_millis(2_008 + 1_667 * run as u64);
        assert!(shown.first.abs_diff(starts) < Duration::from_millis(3), "{shown:?}");
        frames += shown.count;
    }
    assert_eq!(frames, picture.frames);
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}
