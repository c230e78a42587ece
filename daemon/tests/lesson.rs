//! Lessons by their routes: a real database, a clock in hand.

mod school;

use alfarid_protocol::span::MarkKind;
use axum::http::StatusCode;
use serde_json::json;

use school::{Machine, School};

#[tokio::test]
async fn a_lesson_is_started_and_ended_and_the_attendance_is_there() {
    let school = School::new(3).await;
    let mut machine = Machine::new(&school, 0);
    machine.connect(&school).await;
    machine.say(&school, MarkKind::Opened).await;
    let lesson = school.start().await;
    school.minutes(45);
    let ended = school.post(&format!("/lessons/{lesson}/end"), json!(null)).await;
    let ended = ended.expect(StatusCode::OK);
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["duration_seconds"], 45 * 60);

    let sheet = school.get(&format!("/lessons/{lesson}/attendance")).await.expect(StatusCode::OK);
    let statuses: Vec<_> =
        sheet["items"].as_array().unwrap().iter().map(|record| &record["status"]).collect();
    assert_eq!(statuses, ["present", "absent", "absent"]);
    assert_eq!(sheet["items"][0]["duration_seconds"], 45 * 60);
}
