//! Students who are there by pages of their own, from the connection to the record: a real
//! database, a clock in hand.

mod school;

use std::time::Duration;

use alfarid_daemon::{
    attendance::{Page, Status},
    clock::Authority,
    events::Event,
};
use alfarid_protocol::{id::LessonId, span::MarkKind};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use school::{
    NINE, School,
    register::{begun, end, people, records, states},
    until,
};

/// So long may a page be silent and is still there.
const UNANSWERED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_student_without_a_seat_is_there_by_their_page_and_a_second_tab_is_no_second_presence() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let page = opened(&school, 0, lesson).await;
    school.minutes(30);
    assert_eq!(states(&school, lesson).await, ["present"]);
    let mut second = opened(&school, 0, lesson).await;
    school.minutes(5);
    drop(page);
    assert_eq!(states(&school, lesson).await, ["present"]);
    school.minutes(5);
    second.heard();
    drop(second);
    assert_eq!(states(&school, lesson).await, ["left"]);
    school.minutes(5);
    let record = &end(&school, lesson).await[0];
    assert_eq!((record.status, record.duration_seconds), (Status::Present, 40 * 60));
    assert_eq!(record.spans.len(), 1);
    assert_eq!(school.count("SELECT count(*) FROM page_spans").await, 1);
}

/// The class comes before its teacher, and stays for the break.
#[tokio::test]
async fn a_page_that_stays_open_is_counted_in_each_lesson_while_that_is_on() {
    let school = School::new(1).await;
    let mut page = school.opened.pages.open(school.students[0]);
    school.minutes(10);
    page.heard();
    let first = school.start().await;
    assert_eq!(page.turned().await, first);
    school.unseat(0, first).await;
    school.minutes(45);
    page.heard();
    let records = end(&school, first).await;
    assert_eq!((records[0].status, records[0].duration_seconds), (Status::Present, 45 * 60));
    assert_eq!(page.turned().await, first);
    assert_eq!(page.lesson(), None);
    school.minutes(15);
    let second = school.start().await;
    assert_eq!(page.turned().await, second);
    school.minutes(5);
    page.heard();
    drop(page);
    school.minutes(40);
    let record = &end(&school, second).await[0];
    assert_eq!((record.status, record.duration_seconds), (Status::Absent, 5 * 60));
}

/// A laptop is closed, and nobody says so: whoever holds the connection gives it up later.
#[tokio::test]
async fn a_page_that_dies_counts_up_to_its_last_sign_of_life() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let mut page = opened(&school, 0, lesson).await;
    school.minutes(20);
    page.heard();
    school.minutes(3);
    drop(page);
    school.minutes(22);
    let record = &end(&school, lesson).await[0];
    assert_eq!(record.left_at, Some(NINE.plus_millis(20 * 60_000)));
    assert_eq!(record.duration_seconds, 20 * 60);
}

/// It was reloaded, or the Wi-Fi dropped; or it was closed and opened again.
#[tokio::test]
async fn a_page_that_comes_back_soon_was_never_gone_and_one_that_comes_back_late_was() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let mut page = opened(&school, 0, lesson).await;
    for away in [1, 2, 5] {
        school.minutes(5);
        page.heard();
        drop(page);
        assert_eq!(states(&school, lesson).await, ["left"]);
        school.minutes(away);
        page = opened(&school, 0, lesson).await;
    }
    school.minutes(22);
    let record = &end(&school, lesson).await[0];
    assert_eq!((record.spans.len(), record.duration_seconds), (2, 40 * 60));
    assert_eq!(school.count("SELECT count(*) FROM page_spans").await, 2);
}

/// Fails when a box that restarts in mid-lesson takes the time in between from whoever was there by
/// a page.
#[tokio::test]
async fn a_restart_of_the_box_costs_no_page_its_presence() {
    let (mut school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let mut page = opened(&school, 0, lesson).await;
    school.minutes(20);
    page.heard();
    school.restart().await;
    drop(page);
    assert_eq!(states(&school, lesson).await, ["left"]);
    school.minutes(1);
    let page = opened(&school, 0, lesson).await;
    school.minutes(24);
    let record = &end(&school, lesson).await[0];
    assert_eq!((record.spans.len(), record.duration_seconds), (1, 45 * 60));
    drop(page);
}

#[tokio::test]
async fn a_clock_put_right_moves_pages_along() {
    let year = 365 * 86_400_000;
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let mut page = opened(&school, 0, lesson).await;
    school.minutes(10);
    page.heard();
    school.clock.correct(school.clock.now().plus_millis(year), Authority::Ntp);
    assert_eq!(states(&school, lesson).await, ["present"]);
    school.minutes(10);
    page.heard();
    drop(page);
    school.minutes(25);
    let record = &end(&school, lesson).await[0];
    assert_eq!(record.duration_seconds, 20 * 60);
    assert_eq!(record.left_at, Some(NINE.plus_millis(year + 20 * 60_000)));
}

/// Two teachers have half of the class each: a page counts where its student has a seat, and
/// without one where the class was called to last.
#[tokio::test]
async fn of_two_lessons_of_a_class_a_page_counts_in_one() {
    let school = School::new(3).await;
    school.without_seat(2).await;
    let mut lessons = Vec::new();
    for (who, machine) in [("teacher", 0), ("colleague", 1)] {
        let half = json!({
            "class_id": school.class, "room_id": school.room,
            "machine_ids": [school.machines[machine]],
        });
        let lesson = school.call(who, "POST", "/lessons/start", half).await;
        let lesson = lesson.expect(StatusCode::CREATED)["id"].as_str().unwrap().to_owned();
        lessons.push(lesson.parse::<LessonId>().unwrap());
        school.minutes(1);
    }
    let (mut first, mut second) = (opened_anywhere(&school, 0), opened_anywhere(&school, 1));
    assert_eq!((first.turned().await, second.turned().await), (lessons[0], lessons[1]));
    let mut third = opened_anywhere(&school, 2);
    assert_eq!(third.turned().await, lessons[1]);
    let newcomer = json!({
        "student_id": school.students[2], "machine_id": school.machines[0], "mode": "now",
    });
    let seats = format!("/lessons/{}/seats", lessons[0]);
    school.post(&seats, newcomer).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(third.turned().await, lessons[0]);
}

#[tokio::test]
async fn the_teacher_sees_by_what_somebody_is_there() {
    let (school, lesson, mut machines) = begun(2).await;
    let shown = async || -> Vec<Value> {
        let people = people(&school, lesson).await;
        people.iter().map(|person| person["present_by"].clone()).collect()
    };
    assert_eq!(shown().await, [Value::Null, Value::Null]);
    let _page = opened(&school, 0, lesson).await;
    machines[1].say(&school, MarkKind::Opened).await;
    assert_eq!(shown().await, [json!("page"), json!("machine")]);
    machines[0].say(&school, MarkKind::Opened).await;
    assert_eq!(shown().await, [json!("machine"), json!("machine")]);
}

/// From the code to the record, by the routes and the live channel that pages use.
#[tokio::test]
async fn a_student_signs_in_and_is_counted_while_their_page_is_open() {
    let school = School::new(1).await;
    let student = school.sign_in(0).await;
    let own = async || school.call(&student, "GET", "/me/lesson", Value::Null).await;
    let mut page = school.page(&student).await;
    let before = own().await.expect(StatusCode::OK);
    assert_eq!(before, json!({ "full_name": "Student 000", "class_name": "7 B", "lesson": null }));

    let lesson = school.start().await;
    school.unseat(0, lesson).await;
    assert_eq!(page.told().await, json!({ "type": "lesson_changed", "lesson_id": lesson }));
    let now = own().await.expect(StatusCode::OK);
    let shown = json!({
        "id": lesson, "title": "7 B", "teacher_name": "teacher", "start_at": NINE,
        "is_here": true,
    });
    assert_eq!(now["lesson"], shown);
    assert_eq!(people(&school, lesson).await[0]["present_by"], "page");

    let mut second = school.page(&student).await;
    drop(page);
    assert_eq!(states(&school, lesson).await, ["present"]);
    school.clock.advance(UNANSWERED);
    second.show_life().await;
    let ended = end(&school, lesson).await;
    assert_eq!((ended[0].status, ended[0].duration_seconds), (Status::Present, 20));
    assert_eq!(own().await.expect(StatusCode::OK)["lesson"], Value::Null);
    drop(second);
}

/// A script opens and closes the live channel as fast as it can, and asks each time.
#[tokio::test]
async fn who_comes_and_goes_without_end_costs_the_others_little_and_is_counted_all_the_same() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    drop(opened(&school, 0, lesson).await);
    let mut events = school.listen();
    for _ in 0..50 {
        let page = opened_anywhere(&school, 0);
        states(&school, lesson).await;
        drop(page);
        states(&school, lesson).await;
    }
    school.floor.events.tell(Event::FaultChanged);
    let mut told = 0;
    until(&mut events, |event| {
        told += u32::from(*event == Event::PeopleChanged { lesson_id: lesson });
        *event == Event::FaultChanged
    })
    .await;
    assert!(told <= 10, "{told} times all were told of one student");

    let mut page = opened(&school, 0, lesson).await;
    school.clock.advance(Duration::from_secs(20));
    page.heard();
    drop(page);
    school.clock.advance(Duration::from_mins(1));
    until(&mut events, |event| *event == Event::PeopleChanged { lesson_id: lesson }).await;
    assert_eq!(states(&school, lesson).await, ["left"]);
    let record = &end(&school, lesson).await[0];
    assert_eq!((record.spans.len(), record.duration_seconds), (1, 20));
}

/// What a student is told of themselves is worked out apart from the roll, and says the same.
#[tokio::test]
async fn a_student_sees_of_themselves_what_the_teacher_sees() {
    let (school, lesson, mut machines) = begun(3).await;
    school.unseat(1, lesson).await;
    machines[0].say(&school, MarkKind::Opened).await;
    let students = [school.sign_in(0).await, school.sign_in(1).await, school.sign_in(2).await];
    let own = async || {
        let mut own = Vec::new();
        for student in &students {
            let view = school.call(student, "GET", "/me/lesson", Value::Null).await;
            own.push(view.expect(StatusCode::OK)["lesson"]["is_here"].clone());
        }
        own
    };
    assert_eq!(own().await, [true, false, false]);
    school.minutes(1);
    let page = opened(&school, 1, lesson).await;
    machines[2].say(&school, MarkKind::Opened).await;
    machines[0].say(&school, MarkKind::Closed).await;
    assert_eq!(states(&school, lesson).await, ["left", "present", "present"]);
    assert_eq!(own().await, [false, true, true]);
    drop(page);
    assert_eq!(own().await, [false, false, true]);
}

/// Fails when a computer that was shut without a word counts for longer than it answered.
#[tokio::test]
async fn a_connection_that_answers_no_more_is_given_up_at_its_last_sign_of_life() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let student = school.sign_in(0).await;
    let mut page = school.page(&student).await;
    assert_eq!(states(&school, lesson).await, ["present"]);
    school.clock.advance(UNANSWERED);
    page.show_life().await;
    assert_eq!(states(&school, lesson).await, ["present"]);
    // It is never read from again, so no ping is answered.
    let mut events = school.listen();
    school.minutes(10);
    school.floor.events.tell(Event::FaultChanged);
    until(&mut events, |event| *event == Event::PeopleChanged { lesson_id: lesson }).await;
    assert_eq!(states(&school, lesson).await, ["left"]);
    let record = &records(&school, lesson).await[0];
    let shown = (record.left_at, record.duration_seconds);
    assert_eq!(shown, (Some(NINE.plus_millis(20_000)), 20));
}

/// Fails when signing out leaves anybody counted.
#[tokio::test]
async fn who_signs_out_is_not_there_any_more() {
    let (school, lesson, _machines) = begun(1).await;
    school.unseat(0, lesson).await;
    let student = school.sign_in(0).await;
    let mut page = school.page(&student).await;
    assert_eq!(states(&school, lesson).await, ["present"]);
    school.clock.advance(UNANSWERED);
    page.show_life().await;
    assert_eq!(states(&school, lesson).await, ["present"]);
    let out = school.call(&student, "DELETE", "/session", Value::Null).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(states(&school, lesson).await, ["left"]);
    let refused = school.call(&student, "GET", "/me/lesson", Value::Null).await;
    assert_eq!(refused.problem(StatusCode::UNAUTHORIZED), "not_signed_in");
}

/// A page of a student, that is counted in `lesson`.
async fn opened(school: &School, student: usize, lesson: LessonId) -> Page {
    let mut page = opened_anywhere(school, student);
    while page.lesson() != Some(lesson) {
        page.turned().await;
    }
    page
}

fn opened_anywhere(school: &School, student: usize) -> Page {
    school.opened.pages.open(school.students[student])
}
