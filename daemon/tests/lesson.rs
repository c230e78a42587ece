//! Lessons by their routes: a real database, a real broadcast and recording beside them, a clock
//! in hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod school;
mod small_disk;

use std::{io::Write, path::Path, time::Duration};

use alfarid_daemon::{events::Event, health::FaultCode};
use alfarid_protocol::{id::LessonId, span::MarkKind};
use axum::http::StatusCode;
use serde_json::{Value, json};

use school::{Machine, NINE, School, until};

async fn lesson(school: &School, id: LessonId) -> Value {
    school.get(&format!("/lessons/{id}")).await.expect(StatusCode::OK)
}

async fn events(school: &School, id: LessonId) -> Vec<String> {
    let events = school.get(&format!("/lessons/{id}/events")).await.expect(StatusCode::OK);
    let kind = |event: &Value| event["event_type"].as_str().unwrap().to_owned();
    events["items"].as_array().unwrap().iter().map(kind).collect()
}

/// Waits until the lesson is as wanted; every change of it is told.
async fn becomes(school: &School, id: LessonId, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut changes = school.listen();
    loop {
        let now = lesson(school, id).await;
        if wanted(&now) {
            return now;
        }
        until(&mut changes, |event| *event == Event::LessonChanged { lesson_id: id }).await;
    }
}

/// The codes of what is broken.
fn faults(school: &School) -> Vec<FaultCode> {
    school.floor.health.faults().iter().map(|fault| fault.code).collect()
}

fn start_form(school: &School) -> Value {
    json!({"class_id": school.class, "room_id": school.room})
}

#[tokio::test]
async fn a_lesson_is_started_and_ended_and_the_attendance_is_there() {
    let school = School::new(3).await;
    let mut machine = Machine::new(&school, 0);
    machine.connect(&school).await;
    machine.say(&school, MarkKind::Opened).await;
    let id = school.start().await;
    school.minutes(45);
    let ended = school.post(&format!("/lessons/{id}/end"), Value::Null).await;
    let ended = ended.expect(StatusCode::OK);
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["duration_seconds"], 45 * 60);

    let sheet = school.get(&format!("/lessons/{id}/attendance")).await.expect(StatusCode::OK);
    let statuses: Vec<_> =
        sheet["items"].as_array().unwrap().iter().map(|record| &record["status"]).collect();
    assert_eq!(statuses, ["present", "absent", "absent"]);
    assert_eq!(sheet["items"][0]["duration_seconds"], 45 * 60);
    assert_eq!(sheet["lesson"]["class_name"], "7 B");
    becomes(&school, id, |lesson| lesson["student_count"] == 1).await;
    assert_eq!(events(&school, id).await, ["started", "ended"]);
    let again = school.post(&format!("/lessons/{id}/end"), Value::Null).await;
    assert_eq!(again.problem(StatusCode::CONFLICT), "lesson_not_active");
}

#[tokio::test]
async fn a_double_click_answers_with_the_lesson_that_runs() {
    let school = School::new(1).await;
    let id = school.start().await;
    let again = school.post("/lessons/start", start_form(&school)).await;
    assert_eq!(again.problem(StatusCode::CONFLICT), "lesson_already_running");
    assert_eq!(again.expect(StatusCode::CONFLICT)["lesson"], lesson(&school, id).await);
}

#[tokio::test]
async fn a_busy_room_says_by_whom_and_one_click_ends_theirs_and_starts_mine() {
    let school = School::new(1).await;
    let theirs = school.start().await;
    let form = start_form(&school);
    let busy = school.call("colleague", "POST", "/lessons/start", form).await;
    assert_eq!(busy.problem(StatusCode::CONFLICT), "room_busy");
    let other = json!({"id": theirs, "teacher_name": "teacher", "class_name": "7 B"});
    assert_eq!(busy.expect(StatusCode::CONFLICT)["lesson"], other);

    let mut form = start_form(&school);
    form["replace_lesson_id"] = json!(theirs);
    let mine = school.call("colleague", "POST", "/lessons/start", form).await;
    let mine = mine.expect(StatusCode::CREATED);
    assert_eq!(mine["substitute_for"], json!(school.teachers[0]));
    assert_eq!(mine["substitute_for_name"], "teacher");
    assert_eq!(lesson(&school, theirs).await["status"], "completed");
    assert_eq!(events(&school, theirs).await, ["started", "ended"]);
}

#[tokio::test]
async fn a_lesson_is_planned_changed_started_by_somebody_else_and_taken_back() {
    let school = School::new(1).await;
    let mut form = start_form(&school);
    form["title"] = json!("  Fractions ");
    form["start_at"] = json!(NINE.0 + 3_600_000);
    let planned = school.post("/lessons", form).await.expect(StatusCode::CREATED);
    assert_eq!((&planned["status"], &planned["title"]), (&json!("scheduled"), &json!("Fractions")));
    let path = format!("/lessons/{}", planned["id"].as_str().unwrap());
    let change = json!({"title": "Decimals", "quality_profile": "large"});
    let changed = school.call("teacher", "PATCH", &path, change).await.expect(StatusCode::OK);
    assert_eq!((&changed["quality_pinned"], &changed["max_fps"]), (&json!(true), &json!(15)));
    let blank = school.call("teacher", "PATCH", &path, json!({"picture": "blank"})).await;
    assert_eq!(blank.problem(StatusCode::CONFLICT), "lesson_not_active");

    let start = format!("{path}/start");
    let started = school.call("colleague", "POST", &start, Value::Null).await;
    let started = started.expect(StatusCode::OK);
    assert_eq!(started["substitute_for"], json!(school.teachers[0]));
    let again = school.call("colleague", "POST", &start, Value::Null).await;
    assert_eq!(again.problem(StatusCode::CONFLICT), "lesson_already_running");
    assert_eq!(again.expect(StatusCode::CONFLICT)["lesson"], started);
    let take_over = format!("{path}/take_over");
    let taken = school.post(&take_over, Value::Null).await.expect(StatusCode::OK);
    assert_eq!(taken["substitute_for"], Value::Null);
    let cancelled = school.post(&format!("{path}/cancel"), Value::Null).await;
    assert_eq!(cancelled.problem(StatusCode::CONFLICT), "lesson_not_scheduled");
}

/// Every other page learns of it by this alone.
#[tokio::test]
async fn that_a_lesson_is_planned_is_told_like_every_change_of_it() {
    let school = School::new(1).await;
    let mut changes = school.listen();
    let mut form = start_form(&school);
    form["start_at"] = json!(NINE.0 + 3_600_000);
    let planned = school.post("/lessons", form).await.expect(StatusCode::CREATED);
    let lesson_id = planned["id"].as_str().unwrap().parse().unwrap();
    until(&mut changes, |event| *event == Event::LessonChanged { lesson_id }).await;
}

#[tokio::test]
async fn a_planned_lesson_ends_what_has_the_room_and_begins_in_one_step() {
    let school = School::new(1).await;
    let mut form = start_form(&school);
    form["start_at"] = json!(NINE.0 + 3_600_000);
    let planned = school.call("colleague", "POST", "/lessons", form).await;
    let planned = planned.expect(StatusCode::CREATED);
    let start = format!("/lessons/{}/start", planned["id"].as_str().unwrap());
    let theirs = school.start().await;
    let busy = school.call("colleague", "POST", &start, Value::Null).await;
    assert_eq!(busy.problem(StatusCode::CONFLICT), "room_busy");
    assert_eq!(busy.expect(StatusCode::CONFLICT)["lesson"]["id"], json!(theirs));
    let replace = format!("{start}?replace_lesson_id={theirs}");
    let mine = school.call("colleague", "POST", &replace, Value::Null).await;
    let mine = mine.expect(StatusCode::OK);
    assert_eq!((&mine["status"], &mine["id"]), (&json!("active"), &planned["id"]));
    assert_eq!(lesson(&school, theirs).await["status"], "completed");
    assert_eq!(events(&school, theirs).await, ["started", "ended"]);
}

#[tokio::test]
async fn a_teacher_ends_the_lesson_they_forgot_and_starts_the_next_in_one_step() {
    let school = School::new(1).await;
    let forgotten = school.start().await;
    let mut form = start_form(&school);
    form["class_id"] = json!(school.another_class().await);
    let busy = school.post("/lessons/start", form.clone()).await;
    assert_eq!(busy.problem(StatusCode::CONFLICT), "room_busy");
    form["replace_lesson_id"] = json!(forgotten);
    school.post("/lessons/start", form).await.expect(StatusCode::CREATED);
    assert_eq!(lesson(&school, forgotten).await["status"], "completed");
}

#[tokio::test]
async fn a_lesson_says_what_it_is_about() {
    let school = School::new(1).await;
    let mut form = start_form(&school);
    form["description"] = json!("  Exercises 12 to 15\nBring compasses ");
    let started = school.post("/lessons/start", form).await.expect(StatusCode::CREATED);
    assert_eq!(started["description"], "Exercises 12 to 15\nBring compasses");
    let path = format!("/lessons/{}", started["id"].as_str().unwrap());
    let change = json!({"description": null});
    let changed = school.call("teacher", "PATCH", &path, change).await.expect(StatusCode::OK);
    assert_eq!(changed["description"], Value::Null);
    let long = json!({"description": "x".repeat(2_001)});
    let refused = school.call("teacher", "PATCH", &path, long).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), "invalid_input");
}

#[tokio::test]
async fn the_log_has_what_people_changed_of_the_attendance() {
    let school = School::new(1).await;
    let id = school.start().await;
    school.minutes(5);
    let student = school.students[0];
    let nowhere = json!({"student_id": student, "machine_id": null, "mode": "now"});
    let moved = school.post(&format!("/lessons/{id}/seats"), nowhere).await;
    moved.expect(StatusCode::NO_CONTENT);
    school.minutes(5);
    let record = format!("/lessons/{id}/attendance/{student}");
    let excused = json!({"status": "excused", "why": "Is ill"});
    school.call("teacher", "PUT", &record, excused).await.expect(StatusCode::OK);
    school.minutes(5);
    school.post(&format!("/lessons/{id}/end"), Value::Null).await.expect(StatusCode::OK);
    assert_eq!(
        events(&school, id).await,
        ["started", "seat_changed", "attendance_corrected", "ended"]
    );
    let log = school.get(&format!("/lessons/{id}/events")).await.expect(StatusCode::OK);
    let (seat, correction) = (&log["items"][1], &log["items"][2]);
    assert_eq!((&seat["student_id"], &seat["teacher_name"]), (&json!(student), &json!("teacher")));
    assert_eq!(seat["data"], json!({"from": "pc-00", "to": null, "mode": "now"}));
    assert_eq!(correction["student_name"], "Student 000");
    let said = json!({"was": "absent", "status": "excused", "why": "Is ill"});
    assert_eq!(correction["data"], said);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_field() {
    let school = School::new(1).await;
    let refused = async |path: &str, field: &str, value: Value| {
        let mut form = start_form(&school);
        form[field] = value;
        let problem = school.post(path, form).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["code"], "invalid_input", "{field}");
        assert_eq!(problem["fields"][0]["field"], field);
    };
    refused("/lessons/start", "title", json!("x".repeat(201))).await;
    refused("/lessons/start", "planned_end_at", json!(NINE.0 - 1)).await;
    refused("/lessons/start", "machine_ids", json!([])).await;
    refused("/lessons", "start_at", json!(NINE.0 - 1)).await;
    let id = school.start().await;
    let extended = school.post(&format!("/lessons/{id}/extend"), json!({"minutes": 0})).await;
    assert_eq!(extended.problem(StatusCode::UNPROCESSABLE_ENTITY), "invalid_input");
    let mut form = start_form(&school);
    form["machine_ids"] = json!([school.room]);
    let elsewhere = school.post("/lessons/start", form).await;
    assert_eq!(elsewhere.problem(StatusCode::UNPROCESSABLE_ENTITY), "machine_elsewhere");
    let nothing = school.get(&format!("/lessons/{}", school.room)).await;
    assert_eq!(nothing.problem(StatusCode::NOT_FOUND), "no_such_lesson");
    let nothing = school.post(&format!("/lessons/{}/end", school.room), Value::Null).await;
    assert_eq!(nothing.problem(StatusCode::NOT_FOUND), "no_such_lesson");
}

#[tokio::test]
async fn the_event_log_is_for_whose_lesson_or_class_it_is() {
    let school = School::new(1).await;
    let id = school.start().await;
    let path = format!("/lessons/{id}/events");
    let refused = school.call("colleague", "GET", &path, Value::Null).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
    school.call("admin", "GET", &path, Value::Null).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn lessons_are_listed_newest_first_by_what_is_asked() {
    let school = School::new(1).await;
    let first = school.start().await;
    school.minutes(45);
    school.post(&format!("/lessons/{first}/end"), Value::Null).await.expect(StatusCode::OK);
    school.minutes(15);
    let second = school.start().await;
    let ids = async |query: &str| {
        let list = school.get(&format!("/lessons{query}")).await.expect(StatusCode::OK);
        list["items"].as_array().unwrap().iter().map(|l| l["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [json!(second), json!(first)]);
    assert_eq!(ids("?status=active").await, [json!(second)]);
    assert_eq!(ids(&format!("?to={}", NINE.0 + 1)).await, [json!(first)]);
    assert_eq!(ids(&format!("?class_id={}", school.room)).await, [Value::Null; 0]);
    assert_eq!(ids("?limit=1").await, [json!(second)]);
}

#[tokio::test]
async fn a_restarted_box_takes_its_lesson_up_and_loses_nobody() {
    let mut school = School::new(1).await;
    let mut machine = Machine::new(&school, 0);
    machine.connect(&school).await;
    machine.say(&school, MarkKind::Opened).await;
    let id = school.start().await;
    let blank = json!({"picture": "blank"});
    school.call("teacher", "PATCH", &format!("/lessons/{id}"), blank).await.expect(StatusCode::OK);
    school.minutes(20);
    school.restart().await;
    school.minutes(1);
    machine.connect(&school).await;
    let taken_up = becomes(&school, id, |lesson| lesson["student_count"] == 1).await;
    assert_eq!((&taken_up["status"], &taken_up["picture"]), (&json!("active"), &json!("blank")));
    school.minutes(24);
    machine.say(&school, MarkKind::Until).await;
    school.post(&format!("/lessons/{id}/end"), Value::Null).await.expect(StatusCode::OK);
    let sheet = school.get(&format!("/lessons/{id}/attendance")).await.expect(StatusCode::OK);
    assert_eq!(sheet["items"][0]["duration_seconds"], 45 * 60);
    assert_eq!(events(&school, id).await, ["started", "picture_blank", "taken_up", "ended"],);
}

#[tokio::test]
async fn a_lesson_whose_teacher_went_away_ends_by_itself_and_says_so() {
    let school = School::new(1).await;
    let id = school.start().await;
    school.page_is_open(false);
    let due = NINE.0 + 55 * 60_000;
    becomes(&school, id, |lesson| lesson["ends_by_itself_at"] == due).await;
    school.minutes(55);
    let ended = becomes(&school, id, |lesson| lesson["status"] == "completed").await;
    assert_eq!(ended["end_at"], due);
    let events = events(&school, id).await;
    assert_eq!(events, ["started", "ends_by_itself_announced", "ended"]);
}

/// Fails where a disk that refuses is asked again as fast as it can refuse, or where what it
/// refused is forgotten.
#[tokio::test]
async fn a_disk_that_refuses_is_asked_again_after_a_while() {
    let school = School::new(1).await;
    let id = school.start().await;
    let seen_at = async || school.count("SELECT seen_at FROM lessons").await;
    // Whatever the lessons do by themselves they have done before they answer the second time.
    let look_after = async || {
        for _ in 0..2 {
            let nothing =
                school.post(&format!("/lessons/{id}/extend"), json!({"minutes": 0})).await;
            nothing.expect(StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    let mut changes = school.listen();
    school.refuse("lessons").await;
    school.minutes(5);
    look_after().await;
    until(&mut changes, |event| *event == Event::FaultChanged).await;
    assert_eq!(faults(&school), [FaultCode::LessonsNotWritten]);

    school.take_again("lessons").await;
    look_after().await;
    assert_eq!(seen_at().await, NINE.0, "the disk was left no peace");
    school.clock.advance(Duration::from_secs(1));
    look_after().await;
    assert_eq!(seen_at().await, school.clock.now().0);
    assert!(faults(&school).is_empty());
}

/// Fails where a teacher's coming back is forgotten when the disk did not take it: the lesson would
/// end by itself under their hands.
#[tokio::test]
async fn who_came_back_while_the_disk_refused_is_there() {
    let school = School::new(1).await;
    let id = school.start().await;
    school.page_is_open(false);
    becomes(&school, id, |lesson| lesson["ends_by_itself_at"].is_i64()).await;
    let mut changes = school.listen();
    school.refuse("lessons").await;
    school.page_is_open(true);
    until(&mut changes, |event| *event == Event::FaultChanged).await;
    school.take_again("lessons").await;
    school.clock.advance(Duration::from_secs(1));
    becomes(&school, id, |lesson| lesson["ends_by_itself_at"].is_null()).await;
}

/// Fails where a box that starts again on a full disk holds no lesson, or stops for it.
#[tokio::test]
async fn a_lesson_is_taken_up_though_the_disk_takes_nothing() {
    let mut school = School::new(1).await;
    let id = school.start().await;
    let mut changes = school.listen();
    school.refuse("lessons").await;
    school.restart().await;
    until(&mut changes, |event| *event == Event::FaultChanged).await;
    assert_eq!(faults(&school), [FaultCode::LessonsNotWritten]);
    assert!(school.opened.broadcast.stream(id).await.is_ok());
    assert_eq!(events(&school, id).await, ["started"]);

    school.take_again("lessons").await;
    school.clock.advance(Duration::from_secs(1));
    until(&mut changes, |event| *event == Event::FaultChanged).await;
    assert!(faults(&school).is_empty());
    assert_eq!(events(&school, id).await, ["started", "taken_up"]);
}

#[tokio::test]
async fn what_happens_is_written_beside_the_recording_too() {
    let school = School::new(1).await;
    let id = school.start().await;
    assert!(school.opened.recording.running(id).is_some());
    school.minutes(45);
    school.post(&format!("/lessons/{id}/end"), Value::Null).await.expect(StatusCode::OK);
    assert!(school.opened.recording.running(id).is_none());
    let lines = school.recorded_events();
    let kinds: Vec<_> =
        lines.iter().map(|line| line["event"]["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "ended"]);
}

/// Fails where a lesson that does not know for a while whether it is being recorded is switched
/// off for it.
#[tokio::test]
async fn a_recording_that_is_slow_to_start_stays_on() {
    let mut school = School::new(1).await;
    school.restart_without_recorders().await;
    let id = school.start().await;
    school.minutes(1);
    // Whatever the lessons think of that they have thought before they answer this.
    let path = format!("/lessons/{id}");
    let blank = json!({"picture": "blank"});
    let lesson = school.call("teacher", "PATCH", &path, blank).await.expect(StatusCode::OK);
    assert_eq!(lesson["is_recording"], true);
    assert!(school.opened.recording.running(id).is_some());
    school.start_recorders();
    let ended = school.post(&format!("/lessons/{id}/end"), Value::Null).await;
    assert_eq!(ended.expect(StatusCode::OK)["is_recording"], true);
    assert_eq!(events(&school, id).await, ["started", "picture_blank", "ended"]);
    let lines = school.recorded_events();
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[tokio::test]
async fn a_switch_that_a_full_disk_would_turn_back_is_refused() {
    let school = School::with(1, |config| config.storage.min_free_mb = u64::MAX >> 24).await;
    let mut form = start_form(&school);
    form["recording"] = json!(false);
    let started = school.post("/lessons/start", form).await.expect(StatusCode::CREATED);
    let path = format!("/lessons/{}", started["id"].as_str().unwrap());
    let on = school.call("teacher", "PATCH", &path, json!({"is_recording": true})).await;
    assert_eq!(on.problem(StatusCode::INSUFFICIENT_STORAGE), "disk_full");
    let off = school.call("teacher", "PATCH", &path, json!({"is_recording": false})).await;
    assert_eq!(off.expect(StatusCode::OK)["is_recording"], false);
}

/// A disk that refuses stops the recording, and nothing else; pages and programs learn why.
async fn refused_by(disk: &Path, cause: &str, fault: FaultCode) {
    let recordings = disk.join(small_disk::RECORDINGS);
    let school = School::with(1, |config| config.storage.recordings_dir = recordings).await;
    let id = school.start().await;
    let lesson = becomes(&school, id, |lesson| lesson["is_recording"] == false).await;
    assert_eq!(lesson["status"], "active");
    assert_eq!(lesson["recording_fault"], cause);
    let log = school.get(&format!("/lessons/{id}/events")).await.expect(StatusCode::OK);
    let off = &log["items"][1];
    assert_eq!(off["event_type"], "recording_off");
    assert_eq!(off["data"], json!({"by_itself": true, "fault": cause}));
    assert!(school.floor.health.faults().iter().any(|found| found.code == fault));
    let ended = school.post(&format!("/lessons/{id}/end"), Value::Null).await;
    ended.expect(StatusCode::OK);
}

#[test]
fn a_full_disk_records_nothing_and_the_lesson_goes_on() {
    const SELF: &str = "a_full_disk_records_nothing_and_the_lesson_goes_on";
    let Some(disk) = small_disk::mounted(SELF, "2m") else { return };
    fill(&disk.join(small_disk::RECORDINGS));
    on_a_runtime(refused_by(&disk, "disk_full", FaultCode::DiskFull));
}

#[test]
fn a_read_only_disk_records_nothing_and_the_lesson_goes_on() {
    const SELF: &str = "a_read_only_disk_records_nothing_and_the_lesson_goes_on";
    let Some(disk) = small_disk::mounted(SELF, "2m") else { return };
    make_read_only(&disk.join(small_disk::RECORDINGS));
    on_a_runtime(refused_by(&disk, "disk_failed", FaultCode::RecordingFailed));
}

/// Writes until nothing more goes.
fn fill(disk: &Path) {
    let mut ballast = std::fs::File::create(disk.join("ballast")).unwrap();
    let write = || ballast.write_all(&[0; 4096]);
    let full = std::iter::repeat_with(write).find_map(Result::err).unwrap();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}

/// As the kernel does it with a disk that it has found errors on.
fn make_read_only(disk: &Path) {
    let mut remount = std::process::Command::new("mount");
    assert!(remount.args(["-o", "remount,ro"]).arg(disk).status().unwrap().success());
}

/// For a test that may go on in a process of its own.
fn on_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work);
}

#[tokio::test]
async fn recording_is_switched_off_and_on_in_mid_lesson() {
    let school = School::new(1).await;
    let id = school.start().await;
    let switch = async |on: bool| {
        let path = format!("/lessons/{id}");
        let change = json!({"is_recording": on});
        school.call("teacher", "PATCH", &path, change).await.expect(StatusCode::OK);
        school.opened.recording.running(id).is_some()
    };
    assert!(!switch(false).await);
    assert!(switch(true).await);
    assert_eq!(events(&school, id).await, ["started", "recording_off", "recording_on"]);
}

#[tokio::test]
async fn what_a_lesson_would_ask_of_the_network_is_told_and_what_no_school_has_refused() {
    let school = School::new(1).await;
    let path = |machines: &str, on_wifi: &str, wifi: &str| {
        format!(
            "/bandwidth?machines={machines}&on_wifi={on_wifi}&profile=small&wire_mbps=1000\
             &wifi={wifi}"
        )
    };
    let told = school.get(&path("30", "10", "wifi5")).await.expect(StatusCode::OK);
    assert_eq!(told["machines_by_multicast"], 20);
    assert_eq!(told["machines_alone"], 10);
    assert_eq!(told["budget"]["allowed_bps"], 60_000_000);
    assert_eq!(told["max_bitrate_bps"], 4_000_000);
    let totals: Vec<_> =
        told["costs"].as_array().unwrap().iter().map(|cost| &cost["total_bps"]).collect();
    assert!(totals[0].as_u64().unwrap() < totals[1].as_u64().unwrap(), "{totals:?}");

    for (machines, on_wifi, field) in [("0", "0", "machines"), ("10", "11", "on_wifi")] {
        let refused = school.get(&path(machines, on_wifi, "wifi5")).await;
        let refused = refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            (&refused["code"], &refused["fields"][0]["field"]),
            (&json!("invalid_input"), &json!(field))
        );
    }
    for (machines, wifi) in [("-1", "wifi5"), ("99999999999", "wifi5"), ("10", "wifi9")] {
        let refused = school.get(&path(machines, "0", wifi)).await;
        assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "query_malformed");
    }
    let stranger = school.call("stranger", "GET", &path("30", "0", "wifi5"), Value::Null).await;
    assert_eq!(stranger.problem(StatusCode::UNAUTHORIZED), "not_signed_in");
}
