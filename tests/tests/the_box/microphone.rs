//! The box's own microphone, heard in the recording: sound server, ALSA, `cpal`, GStreamer, Opus,
//! relay, file, and back to samples.
//!
//! Limitations: ALSA's default device leads to a sound server here, as on a desktop, and not to a
//! card. No camera can be had without a module of the kernel, so none is tried.

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, eventually,
    playback::{self, SAMPLE_RATE},
    school::{Options, School, files_under},
    sound::{self, Microphone},
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
    judge(&playback::listen(&sound.context("a recorded sound")?)?)?;
    school.classroom.close()
}

/// Beeps of the right pitch with silence between them.
fn judge(heard: &[f32]) -> Result<()> {
    // A twentieth of a second: a beep holds three whole ones at least, a pause five.
    let slices: Vec<_> = heard.chunks_exact(SAMPLE_RATE / 20).collect();
    let loud: Vec<_> = slices.iter().filter(|slice| loudness(slice) > 0.1).collect();
    let still = slices.iter().filter(|slice| loudness(slice) < 0.01).count();
    ensure!(
        loud.len() >= 10 && still >= 10,
        "{} loud, {still} still of {}",
        loud.len(),
        slices.len()
    );
    let whole = loud.iter().filter(|slice| loudness(slice) > 0.3);
    let pitches: Vec<_> = whole.map(|slice| pitch(slice)).collect();
    let right = pitches.iter().filter(|hz| hz.abs_diff(sound::BEEP_HZ) <= 30).count();
    ensure!(right * 10 >= pitches.len() * 8, "of {} Hz: {pitches:?}", sound::BEEP_HZ);
    ensure!(right >= 5, "{pitches:?}");
    Ok(())
}

/// The root of the mean square: 0.35 for a sine of half the full scale.
fn loudness(slice: &[f32]) -> f32 {
    let squares: f32 = slice.iter().map(|sample| sample * sample).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
    let count = slice.len() as f32;
    (squares / count).sqrt()
}

/// A tone goes up through zero once in a period.
fn pitch(slice: &[f32]) -> u32 {
    let rising = slice.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    u32::try_from(rising * SAMPLE_RATE / slice.len()).unwrap()
}
