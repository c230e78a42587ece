//! Who may watch which lesson, and up to when: a real school, a clock in hand, real offers.

mod school;
#[expect(dead_code, reason = "shared by several test files")]
mod viewer;

use alfarid_daemon::events::Event;
use alfarid_protocol::id::LessonId;
use axum::http::StatusCode;
use serde_json::{Value, json};

use school::{
    School,
    register::{begun, end},
};
use viewer::{ALL, Offer};

#[tokio::test(flavor = "multi_thread")]
async fn a_student_watches_the_lesson_that_is_theirs_now_and_no_other() {
    let (school, lesson, _machines) = begun(2).await;
    let student = school.sign_in(0).await;
    let offer = Offer::new(ALL).await.sdp;
    let answer = school.watch(&student, lesson, &offer).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("a=sendonly"));
    let shown = showing(&school, &student, lesson).await.expect(StatusCode::OK);
    assert_eq!((&shown["picture"], &shown["has_screen"]), (&json!("live"), &json!(false)));

    let other: LessonId = school.clock.id();
    let refused = school.watch(&student, other, &offer).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
    let refused = showing(&school, &student, other).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");

    end(&school, lesson).await;
    let refused = school.watch(&student, lesson, &offer).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_student_of_another_class_does_not_watch_it() {
    let school = School::new(1).await;
    let student = school.sign_in(0).await;
    let class = school.another_class().await;
    let moved = json!({ "class_id": class });
    let path = format!("/students/{}", school.students[0]);
    school.call("admin", "PATCH", &path, moved).await.expect(StatusCode::OK);
    school.without_seat(0).await;
    let lesson = school.start().await;
    let refused = school.watch(&student, lesson, &Offer::new(ALL).await.sdp).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_teacher_and_an_admin_see_what_the_class_is_shown_and_a_colleague_does_not() {
    let (school, lesson, _machines) = begun(1).await;
    for who in ["teacher", "admin"] {
        showing(&school, who, lesson).await.expect(StatusCode::OK);
    }
    let refused = showing(&school, "colleague", lesson).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
    let refused = showing(&school, "stranger", lesson).await;
    assert_eq!(refused.problem(StatusCode::UNAUTHORIZED), "not_signed_in");
}

/// A place that is let go is how it is seen that a session was ended.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_watches_no_longer() {
    let school = School::with(1, |config| config.media.max_viewers = 1).await;
    let lesson = school.start().await;
    let student = school.sign_in(0).await;
    let offer = Offer::new(ALL).await.sdp;
    assert_eq!(school.watch(&student, lesson, &offer).await.status, StatusCode::CREATED);
    let full = school.watch("teacher", lesson, &offer).await;
    assert_eq!(full.problem(StatusCode::SERVICE_UNAVAILABLE), "too_many_viewers");
    let out = school.call(&student, "DELETE", "/session", Value::Null).await;
    assert!(out.status.is_success(), "{out:?}");
    let mut events = school.listen();
    let taken = async {
        while school.watch("teacher", lesson, &offer).await.status != StatusCode::CREATED {
            // Anything gives the other task its turn.
            school.floor.events.tell(Event::FaultChanged);
            events.next().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), taken).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_that_is_not_recorded_has_nothing_recent() {
    let (school, lesson, _machines) = begun(1).await;
    let student = school.sign_in(0).await;
    let off = json!({ "is_recording": false });
    school
        .call("teacher", "PATCH", &format!("/lessons/{lesson}"), off)
        .await
        .expect(StatusCode::OK);
    let recent = format!("/lessons/{lesson}/recent");
    let refused = school.call(&student, "GET", &recent, Value::Null).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "not_recorded");
    let shown = showing(&school, &student, lesson).await.expect(StatusCode::OK);
    assert_eq!(shown["is_recorded"], false);
}

async fn showing(school: &School, who: &str, lesson: LessonId) -> school::Answer {
    school.call(who, "GET", &format!("/lessons/{lesson}/showing"), Value::Null).await
}
