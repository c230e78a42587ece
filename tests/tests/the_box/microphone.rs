//! The box's own microphone, heard in the recording: sound server, ALSA, `cpal`, GStreamer, Opus,
//! relay, file, and back to samples.
//!
//! Limitations: ALSA's default device leads to a sound server here, as on a desktop, and not to a
//! card. No camera can be had without a module of the kernel, so none is tried.

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, eventually, playback,
    school::{Options, School, files_under},
    sound::{Heard, Microphone},
};
use serde_json::json;

use crate::SOON;

/// ALSA's default device is the sound server's.
const ALSA: &str = "pcm.!default { type pulse }\nctl.!default { type pulse }\n";

/// How long to listen, in seconds of recording.
const SECONDS: u64 = 3;

#[tokio::test]
async fn what_the_boxs_microphone_hears_is_recorded_until_it_is_pulled_out() -> Result<()> {
    let school = School::open(Classroom::new(), &Options::default()).await?;
    let the_box = school.classroom.the_box();
    std::fs::write(the_box.dir().join("home/.asoundrc"), ALSA)?;
    let microphone = Microphone::plug_in(the_box).await?;

    let lesson = school.start_lesson().await?;
    let source = format!("/api/v1/lessons/{lesson}/source");
    school.teacher.post(&source, &json!({ "kind": "capture" })).await?.ok()?;
    let recordings = format!("/api/v1/recordings?lesson_id={lesson}");
    eventually("some seconds of sound", SOON, async || {
        let recordings = school.items(&recordings).await?;
        let seconds = recordings.first().and_then(|one| one["duration_seconds"].as_u64());
        ensure!(seconds >= Some(SECONDS), "{recordings:?}");
        Ok(())
    })
    .await?;
    microphone.unplug().await?;
    let stream = format!("/api/v1/lessons/{lesson}/stream");
    eventually("the end of the publication", SOON, async || {
        let stream = school.object(&stream).await?;
        ensure!(stream["publications"] == json!([]), "{stream}");
        Ok(())
    })
    .await?;
    school.end_lesson(&lesson).await?;
    eventually("the recording", SOON, async || {
        let recordings = school.items(&recordings).await?;
        ensure!(recordings.iter().all(|one| one["status"] == "ready"), "{recordings:?}");
        Ok(())
    })
    .await?;

    let files = files_under(&school.recordings_dir())?;
    let sound =
        files.into_iter().find(|file| file.parent().is_some_and(|dir| dir.ends_with("audio")));
    Heard::of(&playback::listen(&sound.context("a recorded sound")?)?).judge_beeps()?;
    school.classroom.close()
}
