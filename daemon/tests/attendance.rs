//! Attendance from what machines say to what pages show: a real database, a clock in hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod school;

use std::time::Duration;

use alfarid_daemon::{
    attendance::{Record, Status},
    clock::Authority,
    db::DbError,
    events::Event,
};
use alfarid_protocol::{
    id::{LessonId, StudentId},
    span::{Mark, MarkKind},
};
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use school::{
    Machine, NINE, School,
    register::{begun, end, people, records, states},
    until,
};

#[tokio::test]
async fn presence_gets_its_name_when_the_lesson_is_over() {
    let (school, lesson, mut machines) = begun(4).await;
    machines[0].say(&school, MarkKind::Opened).await;
    machines[2].say(&school, MarkKind::Opened).await;
    school.minutes(10);
    machines[1].say(&school, MarkKind::Opened).await;
    school.minutes(20);
    machines[2].say(&school, MarkKind::Closed).await;
    school.minutes(15);
    let records = end(&school, lesson).await;
    let statuses: Vec<_> = records.iter().map(|record| record.status).collect();
    assert_eq!(statuses, [Status::Present, Status::Late, Status::LeftEarly, Status::Absent]);
    assert_eq!(records[1].joined_at, Some(NINE.plus_millis(10 * 60_000)));
    assert_eq!(records[2].left_at, Some(NINE.plus_millis(30 * 60_000)));
    assert_eq!(records[2].duration_seconds, 30 * 60);
}

#[tokio::test]
async fn an_hour_without_a_network_is_told_later_and_written_anew() {
    let (school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    machine.say(&school, MarkKind::Opened).await;
    school.minutes(10);
    machine.ping(&school).await;
    machine.disconnect(&school).await;
    // Nothing more is heard: what is known ends where the machine was last heard.
    school.minutes(35);
    assert_eq!(end(&school, lesson).await[0].duration_seconds, 10 * 60);

    let kept =
        vec![machine.mark(&school, MarkKind::Until), machine.mark(&school, MarkKind::Closed)];
    school.minutes(60);
    let mut events = school.listen();
    machine.connect(&school).await;
    machine.send(&school, kept).await;
    until(&mut events, |event| *event == Event::AttendanceChanged { lesson_id: lesson }).await;
    let record = &records(&school, lesson).await[0];
    assert_eq!((record.status, record.duration_seconds), (Status::Present, 45 * 60));
}

#[tokio::test]
async fn what_a_gone_machine_would_have_said_is_not_invented() {
    let (mut school, lesson, mut machines) = begun(1).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(10);
    machines[0].ping(&school).await;
    machines[0].disconnect(&school).await;
    school.minutes(10);
    let before = end(&school, lesson).await;
    assert_eq!(before[0].left_at, Some(NINE.plus_millis(10 * 60_000)));
    school.restart().await;
    assert_eq!(records(&school, lesson).await, before);
}

#[tokio::test]
async fn a_machine_that_was_cut_off_counts_up_to_its_last_word_and_not_through_the_next_boot() {
    let (school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    machine.say(&school, MarkKind::Opened).await;
    school.minutes(10);
    machine.say(&school, MarkKind::Until).await;
    machine.ping(&school).await;
    machine.disconnect(&school).await;
    school.minutes(10);
    machine.reboot(&school);
    machine.connect(&school).await;
    school.minutes(10);
    machine.say(&school, MarkKind::Opened).await;
    school.minutes(15);
    let record = &end(&school, lesson).await[0];
    let minutes = |span: usize| {
        let span = record.spans[span];
        (span.from_at.millis_since(NINE) / 60_000, span.to_at.unwrap().millis_since(NINE) / 60_000)
    };
    assert_eq!((minutes(0), minutes(1)), ((0, 10), (30, 45)));
    assert_eq!(record.duration_seconds, 25 * 60);
}

/// That it is gone says nothing new of a machine that was heard a moment ago: it takes no share of
/// what may be kept, and the boot that comes next is known.
#[tokio::test]
async fn a_machine_that_is_started_again_and_again_is_believed_in_its_last_boot() {
    let (mut school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    for _ in 0..4 {
        machine.disconnect(&school).await;
        machine.reboot(&school);
        machine.connect(&school).await;
    }
    machine.say(&school, MarkKind::Opened).await;
    machine.disconnect(&school).await;
    school.minutes(40);
    let until = machine.mark(&school, MarkKind::Until);
    end(&school, lesson).await;
    school.restart().await;
    machine.reboot(&school);
    machine.connect(&school).await;
    machine.send(&school, vec![until]).await;
    assert_eq!(records(&school, lesson).await[0].duration_seconds, 40 * 60);
}

#[tokio::test]
async fn marks_that_begin_beyond_the_next_number_are_asked_for_again_and_then_believed() {
    let (school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    let mut marks = Vec::new();
    for kind in [MarkKind::Opened, MarkKind::Until, MarkKind::Closed] {
        marks.push(machine.mark(&school, kind));
        school.minutes(5);
    }
    assert_eq!(machine.send(&school, marks[1..].to_vec()).await, 0);
    assert_eq!(machine.send(&school, marks[1..].to_vec()).await, 3);
    assert_eq!(records(&school, lesson).await[0].duration_seconds, 5 * 60);
    // What was thought lost comes after all.
    assert_eq!(machine.send(&school, marks).await, 3);
    assert_eq!(records(&school, lesson).await[0].duration_seconds, 10 * 60);
}

/// A machine that starts again with each word, and opens a span with each mark, as an agent would
/// that wants to fill the box's disk.
#[tokio::test]
async fn a_machine_that_says_too_much_fills_no_disk_and_takes_nobodys_record() {
    let (school, lesson, mut machines) = begun(2).await;
    machines[1].say(&school, MarkKind::Opened).await;
    for _ in 0..100 {
        machines[0].reboot(&school);
        machines[0].connect(&school).await;
        machines[0].disconnect(&school).await;
    }
    machines[0].connect(&school).await;
    for _ in 0..20 {
        let marks: Vec<_> = (0..256).map(|_| machines[0].mark(&school, MarkKind::Opened)).collect();
        let last = marks.last().unwrap().seq;
        assert_eq!(machines[0].send(&school, marks).await, last, "it is not sent again");
    }
    let of = |table| format!("SELECT count(*) FROM {table} WHERE machine_id = ?1");
    let id = machines[0].id.to_string();
    let (clocks, spans) = (of("machine_clocks"), of("machine_spans"));
    let counted = school.floor.db.read(move |c| {
        let count = |sql: &str| c.query_row(sql, [&id], |row| row.get::<_, i64>(0));
        Ok::<_, DbError>((count(&clocks)?, count(&spans)?))
    });
    let (clocks, spans) = counted.await.unwrap();
    assert!(clocks <= 10, "{clocks} exchanges are kept");
    assert_eq!(spans, 3_000);
    school.minutes(45);
    assert_eq!(end(&school, lesson).await[1].status, Status::Present);
}

/// A machine comes back after two weeks in which nobody knew that it was in use.
#[tokio::test]
async fn every_lesson_that_late_marks_reach_into_is_written_anew() {
    let (school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    machine.disconnect(&school).await;
    let mut lessons = vec![lesson];
    let mut journal = vec![machine.mark(&school, MarkKind::Opened)];
    for _ in 0..10 {
        school.minutes(45);
        journal.push(machine.mark(&school, MarkKind::Until));
        end(&school, *lessons.last().unwrap()).await;
        lessons.push(school.start().await);
    }
    let mut events = school.listen();
    machine.connect(&school).await;
    machine.send(&school, journal).await;
    let ended = &lessons[..10];
    let mut unheard: std::collections::BTreeSet<_> = ended.iter().copied().collect();
    until(&mut events, |event| {
        if let Event::AttendanceChanged { lesson_id } = event {
            unheard.remove(lesson_id);
        }
        unheard.is_empty()
    })
    .await;
    for lesson in ended {
        assert_eq!(records(&school, *lesson).await[0].status, Status::Present);
    }
}

#[tokio::test]
async fn nobody_speaks_for_another_machine() {
    let (school, lesson, mut machines) = begun(2).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(10);
    // The second machine names the first one's span and says that it is closed.
    machines[1].span = machines[0].span;
    let forged = machines[1].mark(&school, MarkKind::Closed);
    machines[1].send(&school, vec![forged]).await;
    assert_eq!(states(&school, lesson).await, ["present", "absent"]);
}

#[tokio::test]
async fn the_teacher_sees_people_come_and_go() {
    let (school, lesson, mut machines) = begun(3).await;
    machines[0].say(&school, MarkKind::Opened).await;
    assert_eq!(states(&school, lesson).await, ["present", "absent", "absent"]);
    let mut events = school.listen();
    school.minutes(5);
    machines[1].say(&school, MarkKind::Opened).await;
    machines[0].say(&school, MarkKind::Closed).await;
    machines[2].disconnect(&school).await;
    until(&mut events, |event| *event == Event::PeopleChanged { lesson_id: lesson }).await;
    let people = people(&school, lesson).await;
    assert_eq!(states(&school, lesson).await, ["left", "present", "machine_off"]);
    assert_eq!(people[1]["since_at"], NINE.0 + 5 * 60_000);
    assert_eq!(people[1]["machine_name"], "pc-01");
}

#[tokio::test]
async fn an_older_connections_late_end_makes_nobody_leave() {
    let (school, lesson, mut machines) = begun(1).await;
    machines[0].say(&school, MarkKind::Opened).await;
    machines[0].connect(&school).await;
    machines[0].disconnect(&school).await;
    assert_eq!(states(&school, lesson).await, ["machine_off"]);
    machines[0].ping(&school).await;
    machines[0].say(&school, MarkKind::Until).await;
    assert_eq!(states(&school, lesson).await, ["present"]);
}

#[tokio::test]
async fn two_students_at_one_machine_are_both_there() {
    let (school, lesson, mut machines) = begun(2).await;
    let shares = json!({
        "student_id": school.students[1], "machine_id": school.machines[0], "mode": "was_wrong",
    });
    let answer = school.post(&format!("/lessons/{lesson}/seats"), shares).await;
    answer.expect(StatusCode::NO_CONTENT);
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(45);
    let records = end(&school, lesson).await;
    assert!(records.iter().all(|record| record.status == Status::Present));
}

#[tokio::test]
async fn who_moves_now_keeps_what_was_theirs() {
    let (school, lesson, mut machines) = begun(2).await;
    machines[0].say(&school, MarkKind::Opened).await;
    machines[1].say(&school, MarkKind::Opened).await;
    school.minutes(20);
    let nowhere = json!({"student_id": school.students[1], "machine_id": null, "mode": "now"});
    let seats = format!("/lessons/{lesson}/seats");
    school.post(&seats, nowhere).await.expect(StatusCode::NO_CONTENT);
    school.minutes(25);
    let records = end(&school, lesson).await;
    assert_eq!(records[0].duration_seconds, 45 * 60);
    assert_eq!(records[1].duration_seconds, 20 * 60);
}

#[tokio::test]
async fn a_seat_that_was_wrong_is_put_right_even_when_the_lesson_is_over() {
    let (school, lesson, mut machines) = begun(2).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(45);
    end(&school, lesson).await;
    let seats = format!("/lessons/{lesson}/seats");
    let seat = |student: usize, machine: Value, mode: &str| json!({"student_id": school.students[student], "machine_id": machine, "mode": mode});
    let now = school.post(&seats, seat(1, json!(school.machines[0]), "now")).await;
    assert_eq!(now.problem(StatusCode::CONFLICT), "lesson_not_active");
    for wrong in
        [seat(0, Value::Null, "was_wrong"), seat(1, json!(school.machines[0]), "was_wrong")]
    {
        school.post(&seats, wrong).await.expect(StatusCode::NO_CONTENT);
    }
    let records = records(&school, lesson).await;
    assert_eq!((records[0].status, records[1].status), (Status::Absent, Status::Present));
    let trail: i64 = school.count("SELECT count(*) FROM lesson_seat_changes").await;
    assert_eq!(trail, 2);
}

#[tokio::test]
async fn a_machine_seats_two_and_only_in_its_own_room() {
    let (school, lesson, _machines) = begun(3).await;
    let seats = format!("/lessons/{lesson}/seats");
    let seat = |student: usize, machine: Value| json!({"student_id": school.students[student], "machine_id": machine, "mode": "now"});
    let first = json!(school.machines[0]);
    school.post(&seats, seat(1, first.clone())).await.expect(StatusCode::NO_CONTENT);
    let full = school.post(&seats, seat(2, first)).await;
    assert_eq!(full.problem(StatusCode::CONFLICT), "machine_full");
    let elsewhere = school.post(&seats, seat(2, json!(school.room))).await;
    assert_eq!(elsewhere.problem(StatusCode::UNPROCESSABLE_ENTITY), "machine_elsewhere");
}

#[tokio::test]
async fn a_correction_keeps_who_when_why_and_what_was_and_no_machine_undoes_it() {
    let (school, lesson, mut machines) = begun(1).await;
    let machine = &mut machines[0];
    school.minutes(45);
    machine.disconnect(&school).await;
    end(&school, lesson).await;
    let path = format!("/lessons/{lesson}/attendance/{}", school.students[0]);
    let excused = json!({"status": "excused", "why": "Was at the dentist"});
    let record = school.call("teacher", "PUT", &path, excused).await.expect(StatusCode::OK);
    assert_eq!(record["status"], "excused");
    assert_eq!(record["correction"]["was"], "absent");
    assert_eq!(record["correction"]["why"], "Was at the dentist");
    assert_eq!(record["correction"]["by_name"], "teacher");
    assert_eq!(record["correction"]["at"], school.clock.now().0);

    let marks = vec![machine.mark(&school, MarkKind::Opened)];
    machine.connect(&school).await;
    machine.send(&school, marks).await;
    let mut late = Machine::new(&school, 0);
    late.connect(&school).await;
    late.say(&school, MarkKind::Closed).await;
    let record = &records(&school, lesson).await[0];
    assert_eq!(record.status, Status::Excused);

    let again = json!({"status": "present", "why": "Came back with a note"});
    let record = school.call("teacher", "PUT", &path, again).await.expect(StatusCode::OK);
    assert_eq!(record["correction"]["was"], "excused");
    let kept: i64 = school.count("SELECT count(*) FROM attendance_corrections").await;
    assert_eq!(kept, 2);
    let blank = json!({"status": "present", "why": " "});
    let refused = school.call("teacher", "PUT", &path, blank).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), "invalid_input");
}

#[tokio::test]
async fn only_whose_lesson_or_class_it_is_sees_its_attendance() {
    let (school, lesson, _machines) = begun(1).await;
    let sheet = format!("/lessons/{lesson}/attendance");
    let class = format!("/classes/{}/attendance", school.class);
    for path in [&sheet, &class, &format!("/lessons/{lesson}/people")] {
        assert_eq!(school.call("teacher", "GET", path, Value::Null).await.status, StatusCode::OK);
        assert_eq!(school.call("admin", "GET", path, Value::Null).await.status, StatusCode::OK);
        let colleague = school.call("colleague", "GET", path, Value::Null).await;
        assert_eq!(colleague.status, StatusCode::FORBIDDEN, "{path}");
        let stranger = school.call("nobody", "GET", path, Value::Null).await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let take_over = format!("/lessons/{lesson}/take_over");
    school.call("colleague", "POST", &take_over, Value::Null).await.expect(StatusCode::OK);
    assert_eq!(school.call("colleague", "GET", &sheet, Value::Null).await.status, StatusCode::OK);
    // It is still the register of the class's own teacher, but not their seating any more.
    assert_eq!(school.call("teacher", "GET", &sheet, Value::Null).await.status, StatusCode::OK);
    let correction = format!("{sheet}/{}", school.students[0]);
    let body = json!({"status": "excused", "why": "Is ill"});
    let corrected = school.call("teacher", "PUT", &correction, body).await.expect(StatusCode::OK);
    assert_eq!(corrected["correction"]["by_name"], "teacher");
    let nowhere = json!({"student_id": school.students[0], "machine_id": null, "mode": "now"});
    let refused = school.post(&format!("/lessons/{lesson}/seats"), nowhere).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
}

#[tokio::test]
async fn a_stranger_to_the_class_corrects_nothing() {
    let (school, lesson, _machines) = begun(1).await;
    let correction = format!("/lessons/{lesson}/attendance/{}", school.students[0]);
    let body = json!({"status": "excused", "why": "Is ill"});
    let refused = school.call("colleague", "PUT", &correction, body).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_your_lesson");
}

#[tokio::test]
async fn a_sheet_says_who_stood_in_and_whether_its_times_can_be_relied_on() {
    let (school, lesson, _machines) = begun(1).await;
    let take_over = format!("/lessons/{lesson}/take_over");
    school.call("colleague", "POST", &take_over, Value::Null).await.expect(StatusCode::OK);
    let path = format!("/lessons/{lesson}/attendance");
    let sheet = school.get(&path).await.expect(StatusCode::OK);
    assert_eq!(sheet["lesson"]["teacher_name"], "colleague");
    assert_eq!(sheet["lesson"]["substitute_for_name"], "teacher");
    assert_eq!(sheet["lesson"]["clock_was_sure"], true);
    let csv = String::from_utf8(school.get(&format!("{path}.csv")).await.bytes).unwrap();
    assert!(csv.contains("Учитель;Замещает;Часы\r\n"), "{csv}");
    assert!(csv.ends_with(";colleague;teacher;верны\r\n"), "{csv}");
}

#[tokio::test]
async fn a_clock_put_right_in_mid_lesson_moves_everything_and_changes_nothing() {
    let year = 365 * 86_400_000;
    let (school, lesson, mut machines) = begun(2).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(10);
    machines[1].say(&school, MarkKind::Opened).await;
    school.minutes(10);
    assert!(school.clock.correct(school.clock.now().plus_millis(year), Authority::Ntp).is_some());
    machines[0].ping(&school).await;
    school.minutes(15);
    machines[1].say(&school, MarkKind::Closed).await;
    school.minutes(10);
    let records = end(&school, lesson).await;
    let summary: Vec<_> =
        records.iter().map(|record| (record.status, record.duration_seconds)).collect();
    assert_eq!(summary, [(Status::Present, 45 * 60), (Status::Late, 25 * 60)]);
    assert_eq!(records[1].joined_at, Some(NINE.plus_millis(year + 10 * 60_000)));
    let events = school.get(&format!("/lessons/{lesson}/events")).await.expect(StatusCode::OK);
    let corrected = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["event_type"] == "clock_corrected")
        .unwrap();
    assert_eq!(corrected["data"]["moved_ms"], year);
}

#[tokio::test]
async fn a_lesson_that_is_over_moves_too_when_the_clock_that_measured_it_is_put_right() {
    let hour = 3_600_000;
    let (school, lesson, mut machines) = begun(1).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(45);
    let before = end(&school, lesson).await;
    school.clock.correct(school.clock.now().plus_millis(hour), Authority::Ntp);
    machines[0].ping(&school).await;
    let second = school.start().await;
    let after = &records(&school, lesson).await[0];
    assert_eq!(after.joined_at, before[0].joined_at.map(|at| at.plus_millis(hour)));
    assert_eq!(after.spans[0].to_at, before[0].spans[0].to_at.map(|at| at.plus_millis(hour)));
    let lesson = school.get(&format!("/lessons/{lesson}")).await.expect(StatusCode::OK);
    assert_eq!(lesson["start_at"], NINE.0 + hour);
    let second = school.get(&format!("/lessons/{second}")).await.expect(StatusCode::OK);
    assert_eq!(second["start_at"], school.clock.now().0);
}

#[tokio::test]
async fn half_a_class_has_a_lesson_of_its_own() {
    let school = School::new(3).await;
    let half = json!({
        "class_id": school.class, "room_id": school.room, "machine_ids": school.machines[..2],
    });
    let lesson = school.post("/lessons/start", half).await.expect(StatusCode::CREATED);
    let lesson: LessonId = lesson["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(states(&school, lesson).await, ["machine_off", "machine_off"]);
    let elsewhere = json!({
        "student_id": school.students[0], "machine_id": school.machines[2], "mode": "now",
    });
    let refused = school.post(&format!("/lessons/{lesson}/seats"), elsewhere).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), "machine_elsewhere");
    assert_eq!(end(&school, lesson).await.len(), 2);
}

#[tokio::test]
async fn a_class_sees_its_lessons_counted() {
    let (school, lesson, mut machines) = begun(2).await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(45);
    end(&school, lesson).await;
    school.minutes(15);
    let second = school.start().await;
    school.minutes(45);
    end(&school, second).await;
    let path = format!("/classes/{}/attendance", school.class);
    let summary = school.get(&path).await.expect(StatusCode::OK);
    let line = &summary["items"][0];
    assert_eq!((&line["lessons"], &line["present"]), (&json!(2), &json!(2)));
    assert_eq!(summary["items"][1]["absent"], 2);
    let first = school.get(&format!("{path}?to={}", NINE.0 + 60_000)).await.expect(StatusCode::OK);
    assert_eq!(first["items"][0]["lessons"], 1);
}

#[tokio::test]
async fn a_lesson_and_a_class_are_taken_home_as_files_that_run_nothing() {
    let (school, lesson, mut machines) = begun(2).await;
    school.rename(1, "=HYPERLINK(\"http://x\")").await;
    machines[0].say(&school, MarkKind::Opened).await;
    school.minutes(45);
    end(&school, lesson).await;
    let path = format!("/lessons/{lesson}/attendance.csv?utc_offset_minutes=300");
    let csv = school.get(&path).await;
    assert_eq!(csv.status, StatusCode::OK);
    let text = String::from_utf8(csv.bytes).unwrap();
    assert_eq!(
        text,
        "\u{feff}Номер;ФИО;Посещение;Приход;Уход;Минут;Исправлено;Причина;Учитель;Замещает;Часы\r\n\
         001;\"'=HYPERLINK(\"\"http://x\"\")\";отсутствие;;;0;;;teacher;;верны\r\n\
         000;Student 000;присутствие;2027-02-01 14:00;2027-02-01 14:45;45;;;teacher;;верны\r\n"
    );
    let class = format!("/classes/{}/attendance", school.class);
    let csv = school.get(&format!("{class}.csv")).await;
    let text = String::from_utf8(csv.bytes).unwrap();
    assert!(text.ends_with("000;Student 000;1;1;0;0;0;0;45\r\n"), "{text}");
    for file in [format!("{class}.xlsx"), format!("/lessons/{lesson}/attendance.xlsx")] {
        let xlsx = school.get(&file).await;
        assert_eq!((xlsx.status, &xlsx.bytes[..4]), (StatusCode::OK, &b"PK\x03\x04"[..]));
        let refused = school.call("colleague", "GET", &file, Value::Null).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
}

/// What a machine does, and what the network and the box do to it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Use,
    Leave,
    /// The power is cut in mid-use and comes back.
    PowerCut,
}

/// What happens to the way between machine and box after a step; a quiet day has none of it.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The cable is pulled, or plugged in again.
    Cable,
    /// Everything from a number back is sent once more.
    Again(usize),
    /// A batch is applied, but its acknowledgement is lost.
    AckLost,
    BoxRestarts,
}

/// A machine with its journal.
struct Courier {
    machine: Machine,
    journal: Vec<Mark>,
    acked: usize,
    is_connected: bool,
    in_use: bool,
}

impl Courier {
    async fn new(school: &School) -> Self {
        let machine = Machine::new(school, 0);
        machine.connect(school).await;
        Self { machine, journal: Vec::new(), acked: 0, is_connected: true, in_use: false }
    }

    fn write(&mut self, school: &School, kind: MarkKind) {
        let mark = self.machine.mark(school, kind);
        self.journal.push(mark);
    }

    async fn step(&mut self, school: &School, step: Step) {
        match step {
            Step::Wait(minutes) => {
                for _ in 0..minutes {
                    school.minutes(1);
                    if self.in_use {
                        self.write(school, MarkKind::Until);
                    }
                    if self.is_connected {
                        self.machine.ping(school).await;
                    }
                }
            }
            Step::Use if !self.in_use => {
                self.in_use = true;
                self.write(school, MarkKind::Opened);
            }
            Step::Leave if self.in_use => {
                self.in_use = false;
                self.write(school, MarkKind::Closed);
            }
            Step::PowerCut => {
                self.disconnect(school).await;
                self.in_use = false;
                // No machine starts sooner. If one did, not every boot of it would be kept.
                school.clock.advance(Duration::from_secs(30));
                self.machine.reboot(school);
                // Every boot is heard of once; one that never is counts for nothing.
                self.connect(school).await;
            }
            Step::Use | Step::Leave => {}
        }
    }

    async fn connect(&mut self, school: &School) {
        if !self.is_connected {
            self.is_connected = true;
            self.machine.connect(school).await;
        }
    }

    async fn disconnect(&mut self, school: &School) {
        if self.is_connected {
            self.is_connected = false;
            self.machine.disconnect(school).await;
        }
    }

    /// In batches of `size`, each after the acknowledgement of the one before.
    async fn deliver(&mut self, school: &School, size: usize) {
        while self.is_connected && self.acked < self.journal.len() {
            let upto = (self.acked + size).min(self.journal.len());
            let batch = self.journal[self.acked..upto].to_vec();
            self.acked = usize::try_from(self.machine.send(school, batch).await).unwrap();
        }
    }

    async fn suffer(&mut self, school: &mut School, trouble: Trouble) {
        match trouble {
            Trouble::None => self.deliver(school, 3).await,
            Trouble::Cable if self.is_connected => self.disconnect(school).await,
            Trouble::Cable => self.connect(school).await,
            Trouble::Again(back) if self.is_connected => {
                self.acked = self.acked.saturating_sub(back);
                self.deliver(school, 2).await;
            }
            Trouble::AckLost if self.is_connected => {
                let batch = self.journal[self.acked..].to_vec();
                self.machine.send(school, batch).await;
            }
            Trouble::BoxRestarts => {
                school.restart().await;
                if std::mem::take(&mut self.is_connected) {
                    self.connect(school).await;
                }
            }
            Trouble::Again(_) | Trouble::AckLost => {}
        }
    }
}

/// Plays a day: the lesson begins with the first step and ends after half of them. Returns its
/// record when all is told.
async fn play(steps: &[(Step, Trouble)]) -> Record {
    let mut school = School::new(1).await;
    let mut courier = Courier::new(&school).await;
    let lesson = school.start().await;
    for (n, (step, trouble)) in steps.iter().enumerate() {
        courier.step(&school, *step).await;
        courier.suffer(&mut school, *trouble).await;
        if n == steps.len() / 2 {
            courier.step(&school, Step::Wait(1)).await;
            end(&school, lesson).await;
        }
    }
    courier.connect(&school).await;
    courier.step(&school, Step::Leave).await;
    courier.deliver(&school, 4).await;
    let mut record = records(&school, lesson).await.remove(0);
    // The other day's student is somebody else.
    record.student_id = StudentId(uuid::Uuid::nil());
    record
}

fn steps() -> impl Strategy<Value = Vec<(Step, Trouble)>> {
    let step = prop_oneof![
        3 => (1..6_u64).prop_map(Step::Wait),
        2 => Just(Step::Use),
        1 => Just(Step::Leave),
        1 => Just(Step::PowerCut),
    ];
    let trouble = prop_oneof![
        2 => Just(Trouble::None),
        2 => Just(Trouble::Cable),
        1 => (1..9_usize).prop_map(Trouble::Again),
        1 => Just(Trouble::AckLost),
        1 => Just(Trouble::BoxRestarts),
    ];
    proptest::collection::vec((step, trouble), 2..24)
}

proptest! {
    // Each case is two days with real databases.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_day_of_trouble_leaves_the_record_of_a_quiet_day(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let quiet: Vec<_> = steps.iter().map(|(step, _)| (*step, Trouble::None)).collect();
        let (troubled, quiet) = runtime.block_on(async { (play(&steps).await, play(&quiet).await) });
        prop_assert_eq!(troubled, quiet);
    }
}
