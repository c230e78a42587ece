//! A lesson in the journal: found by its id, whole, and with nobody's name in it.
//!
//! What would make this fail: a part of the box that works for a lesson outside of its span, a
//! level that takes the id away, a secret or a name in any entry.
//!
//! Limitations: the box shows its own test picture, so nothing of WHIP is said.

use anyhow::{Context, Result, ensure};
use classroom::{
    Classroom, Client,
    client::Trust,
    eventually,
    school::{EMAIL, Options, PASSWORD, School},
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::SOON;

const WRONG_PASSWORD: &str = "battery horse wrong";

/// One student with a name that no other word contains.
const STUDENT: &str = "Zinaida Quetzal";

#[tokio::test]
async fn the_journal_has_the_whole_story_of_a_lesson_and_nobodys_name() -> Result<()> {
    let level = ("ALFARID_LOG__LEVEL".to_owned(), "debug,alfarid_daemon=trace".to_owned());
    let options = Options {
        journal: true,
        without_players: true,
        daemon_env: vec![level],
        ..Options::default()
    };
    let school = School::open(Classroom::new().students(1), &options).await?;
    let journal = school.journal.clone().context("a journal")?;
    let secrets = secrets(&school).await?;

    let first = held_lesson(&school).await?;
    let second = held_lesson(&school).await?;

    let story = journal.entries(&[&format!("LESSON_ID={first}")]).await?;
    for line in [
        &format!("lesson {first}: started"),
        "the Screen is being published",
        "H264 of the Screen is on air",
        "recording begins",
        "recording ended: Ready",
        &format!("lesson {first}: ended"),
        &format!("the Screen of lesson {first} is over"),
    ] {
        ensure!(said(&story, line), "the journal of the lesson has no {line:?}: {story:#?}");
    }
    for entry in &story {
        ensure!(entry["LESSON_ID"] == *first, "of one lesson alone: {entry}");
        ensure!(!entry.to_string().contains(&second), "it speaks of another lesson: {entry}");
    }
    let recorded = story.iter().find(|entry| entry["MESSAGE"] == "recording begins");
    ensure!(recorded.is_some_and(|entry| entry["RECORDING_ID"].is_string()), "{recorded:?}");

    for entry in journal.entries(&[]).await? {
        let text = entry.to_string();
        for (what, secret) in &secrets {
            ensure!(!text.contains(secret), "{what} is in the journal: {text}");
        }
        let is_told_apart = entry["LESSON_ID"].is_string() || !text.contains(&first);
        ensure!(is_told_apart, "it speaks of the lesson, and is not found by its id: {text}");
    }
    school.classroom.close()
}

/// Warnings and errors of a lesson are found by its id also where nothing else is written.
#[tokio::test]
async fn a_box_that_says_little_still_says_of_which_lesson() -> Result<()> {
    let level = ("ALFARID_LOG__LEVEL".to_owned(), "warn,alfarid_daemon::lifecycle=info".to_owned());
    let options = Options { journal: true, daemon_env: vec![level], ..Options::default() };
    let school = School::open(Classroom::new(), &options).await?;
    let journal = school.journal.clone().context("a journal")?;
    // A file where the folder of recordings should be: no lesson can be recorded.
    if school.recordings_dir().exists() {
        std::fs::remove_dir_all(school.recordings_dir())?;
    }
    std::fs::write(school.recordings_dir(), "")?;

    let lesson = school.start_lesson().await?;
    journal.wait_for(|line| line.starts_with("fault recording_failed"), SOON).await?;

    let story = journal.entries(&[&format!("LESSON_ID={lesson}")]).await?;
    for line in ["recording cannot begin", "fault recording_failed"] {
        ensure!(said(&story, line), "the journal of the lesson has no {line:?}: {story:#?}");
    }
    school.classroom.close()
}

/// Everything that must not be written anywhere, by what it is. Some of it is used here first.
async fn secrets(school: &School) -> Result<Vec<(&'static str, String)>> {
    let students = format!("/api/v1/classes/{}/students", school.class_id);
    let student = json!({ "student_id": "077", "full_name": STUDENT });
    school.teacher.post(&students, &student).await?.ok()?;
    school.teacher.get(&format!("{students}?search={}", "Zinaida")).await?;

    let wish = json!({ "room_id": school.room_id, "uses": 1, "expires_in_seconds": 60 });
    let made: Value = school.teacher.post("/api/v1/site_tokens", &wish).await?.json()?;
    let token = made["token"].as_str().context("a token")?;
    let secret = token.split('.').nth(2).context("the secret of a token")?;

    let desk = school.classroom.the_box();
    let stranger = Client::new(desk, (desk.address(), 443).into(), &Trust::Anyone)?;
    let login = json!({ "email": EMAIL, "password": WRONG_PASSWORD, "browser_time": 0 });
    let refused = stranger.post("/api/v1/session", &login).await?;
    ensure!(refused.status == StatusCode::UNAUTHORIZED, "{}", refused.status);

    let cookie = school.teacher.cookie().context("a session")?;
    let session = cookie.split('=').nth(1).context("the value of a cookie")?;
    Ok(vec![
        ("a student's name", STUDENT.to_owned()),
        ("a student's first name", "Zinaida".to_owned()),
        ("another student's name", "Student 1".to_owned()),
        ("a password", PASSWORD.to_owned()),
        ("a wrong password", WRONG_PASSWORD.to_owned()),
        ("a teacher's address", EMAIL.to_owned()),
        ("a session", session.to_owned()),
        ("a site token", secret.to_owned()),
    ])
}

/// A lesson that shows the box's test picture and is recorded, from its start to its end.
async fn held_lesson(school: &School) -> Result<String> {
    let lesson = school.start_lesson().await?;
    let source = format!("/api/v1/lessons/{lesson}/source");
    school.teacher.post(&source, &json!({ "kind": "test" })).await?.ok()?;
    let recordings = format!("/api/v1/recordings?lesson_id={lesson}");
    let status = async |wanted: &str| {
        eventually(&format!("a recording that is {wanted}"), SOON, async || {
            let recordings = school.items(&recordings).await?;
            let is_so = recordings.iter().any(|recording| recording["status"] == wanted);
            ensure!(is_so, "{recordings:?}");
            let frames = recordings.iter().any(|r| r["frame_count"].as_u64() > Some(0));
            ensure!(frames, "nothing is recorded: {recordings:?}");
            Ok(())
        })
        .await
    };
    status("recording").await?;
    school.end_lesson(&lesson).await?;
    status("ready").await?;
    Ok(lesson)
}

fn said(story: &[Value], line: &str) -> bool {
    let messages = story.iter().filter_map(|entry| entry["MESSAGE"].as_str());
    messages.into_iter().any(|message| message.contains(line))
}
