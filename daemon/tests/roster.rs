//! Rooms, classes, students, seatings and files, by the routes that pages use.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use alfarid_daemon::events::Event;
use axum::http::StatusCode;
use encoding_rs::WINDOWS_1251;
use serde_json::{Value, json};

use support::{Browser, TestBox, machine::Machine};

const ANNA: &str = "anna@school.example";

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn class(browser: &mut Browser, name: &str) -> Value {
    browser.post("/api/v1/classes", json!({ "name": name })).await.expect(StatusCode::CREATED)
}

async fn student(browser: &mut Browser, class: &Value, number: &str) -> Value {
    let path = format!("/api/v1/classes/{}/students", id(class));
    let form = json!({ "student_id": number, "full_name": format!("Student {number}") });
    browser.post(&path, form).await.expect(StatusCode::CREATED)
}

/// A machine in `room`.
async fn machine(school: &TestBox, admin: &mut Browser, room: &Value) -> Value {
    let form = json!({ "room_id": id(room), "uses": 1, "expires_in_seconds": 60 });
    let made = admin.post("/api/v1/site_tokens", form).await.expect(StatusCode::CREATED);
    let token = made["token"].as_str().unwrap().parse().unwrap();
    let issued = Machine::new(&token).enrol(&school.enrolment, &token).await.unwrap();
    json!(issued.machine)
}

async fn rooms(browser: &mut Browser) -> Vec<Value> {
    let rooms = browser.get("/api/v1/rooms").await.expect(StatusCode::OK);
    rooms["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_class_gets_students() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let mut listener = school.floor.events.listen();
    student(&mut admin, &class, "102").await;
    let class_id = id(&class).parse().unwrap();
    assert_eq!(listener.next().await, Some(Event::RosterChanged { class_id }));
    student(&mut admin, &class, "101").await;

    let path = format!("/api/v1/classes/{}/students", id(&class));
    let students = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(students["items"][0]["student_id"], "101");
    assert_eq!(students["items"].as_array().unwrap().len(), 2);
    let twice = admin.post(&path, json!({ "student_id": "101", "full_name": "X" })).await;
    assert_eq!(twice.refused(), (409, "number_taken".to_owned()));
    let nameless = admin.post(&path, json!({ "student_id": "103", "full_name": " " })).await;
    assert_eq!(nameless.refused(), (422, "invalid_input".to_owned()));
}

#[tokio::test]
async fn a_student_who_left_is_kept_and_seen_only_when_asked_for() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let who = student(&mut admin, &class, "101").await;
    let path = format!("/api/v1/students/{}", id(&who));
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    let list = format!("/api/v1/classes/{}/students", id(&class));
    let seen = admin.get(&list).await.expect(StatusCode::OK);
    assert_eq!(seen["items"], json!([]));
    let all = admin.get(&format!("{list}?all=true")).await.expect(StatusCode::OK);
    assert_eq!(all["items"][0]["is_active"], false);
    let back = admin.patch(&path, json!({ "is_active": true })).await.expect(StatusCode::OK);
    assert_eq!(back["is_active"], true);
}

#[tokio::test]
async fn a_class_is_read_by_every_teacher_and_changed_by_its_own() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    let mut boris = school.teacher(&mut admin, "boris@school.example").await;
    let annas = class(&mut anna, "7 A").await;
    let who = student(&mut anna, &annas, "101").await;

    let path = format!("/api/v1/classes/{}", id(&annas));
    boris.get(&path).await.expect(StatusCode::OK);
    boris.get(&format!("{path}/students")).await.expect(StatusCode::OK);
    boris.get(&format!("{path}/students.csv")).await.expect(StatusCode::OK);
    let room = rooms(&mut boris).await.remove(0);
    let seating = format!("{path}/seating/{}", id(&room));
    boris.get(&seating).await.expect(StatusCode::OK);

    let whose = format!("/api/v1/students/{}", id(&who));
    let form = json!({ "student_id": "102", "full_name": "X" });
    let refusals = [
        boris.patch(&path, json!({ "name": "B" })).await,
        boris.delete(&path).await,
        boris.post(&format!("{path}/students"), form).await,
        boris.patch(&whose, json!({ "full_name": "B" })).await,
        boris.delete(&whose).await,
        boris.put(&seating, json!({ "seats": [] })).await,
        boris.upload(&format!("{path}/import"), b"1;A").await,
        boris.upload(&format!("{path}/import/preview"), b"1;A").await,
    ];
    for refused in refusals {
        assert_eq!(refused.refused(), (403, "not_your_class".to_owned()));
    }
    // Nor does it help to bring the student into one's own class.
    let boriss = class(&mut boris, "7 B").await;
    let grab = boris.patch(&whose, json!({ "class_id": id(&boriss) })).await;
    assert_eq!(grab.refused(), (403, "not_your_class".to_owned()));
    let push = anna.patch(&whose, json!({ "class_id": id(&boriss) })).await;
    assert_eq!(push.refused(), (403, "not_your_class".to_owned()));
    let moved = admin.patch(&whose, json!({ "class_id": id(&boriss) })).await;
    moved.expect(StatusCode::OK);
    // Whose class it is, only an admin says.
    let give = json!({ "teacher_id": boriss["teacher_id"] });
    assert_eq!(anna.patch(&path, give.clone()).await.refused().1, "admins_only");
    admin.patch(&path, give).await.expect(StatusCode::OK);
    assert_eq!(anna.patch(&path, json!({ "name": "A" })).await.refused().1, "not_your_class");
    assert_eq!(anna.post("/api/v1/rooms", json!({ "name": "x" })).await.refused().1, "admins_only");
}

#[tokio::test]
async fn a_class_is_full_when_it_is_full() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let form = json!({ "name": "7 Б", "max_students": 1 });
    let class = admin.post("/api/v1/classes", form).await.expect(StatusCode::CREATED);
    student(&mut admin, &class, "101").await;
    let path = format!("/api/v1/classes/{}", id(&class));
    let form = json!({ "student_id": "102", "full_name": "X" });
    let refused = admin.post(&format!("{path}/students"), form).await;
    assert_eq!(refused.refused(), (409, "class_full".to_owned()));
    let two_more = b"102;X\n103;Y";
    let preview = admin.upload(&format!("{path}/import/preview"), two_more).await;
    assert_eq!(preview.expect(StatusCode::OK)["too_many"], 2);
    let refused = admin.upload(&format!("{path}/import"), two_more).await;
    assert_eq!(refused.refused(), (409, "class_full".to_owned()));
    // Those who are in it already may come in a file.
    let same = admin.upload(&format!("{path}/import"), "101;Student 101".as_bytes()).await;
    assert_eq!(same.expect(StatusCode::OK)["unchanged"], 1);
}

#[tokio::test]
async fn names_are_given_once_and_cleared_by_null() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let form = json!({ "name": " 7 Б ", "description": "Physics" });
    let seven = admin.post("/api/v1/classes", form).await.expect(StatusCode::CREATED);
    assert_eq!((&seven["name"], &seven["max_students"]), (&json!("7 Б"), &json!(50)));
    let eight = class(&mut admin, "8 Б").await;
    let taken = admin.post("/api/v1/classes", json!({ "name": "7 Б" })).await;
    assert_eq!(taken.refused(), (409, "class_exists".to_owned()));
    let path = format!("/api/v1/classes/{}", id(&eight));
    assert_eq!(admin.patch(&path, json!({ "name": "7 Б" })).await.refused().1, "class_exists");
    let path = format!("/api/v1/classes/{}", id(&seven));
    let kept = admin.patch(&path, json!({ "name": "7 Б" })).await.expect(StatusCode::OK);
    assert_eq!(kept["description"], "Physics");
    let cleared = admin.patch(&path, json!({ "description": null })).await.expect(StatusCode::OK);
    assert_eq!(cleared["description"], Value::Null);
    assert_eq!(admin.get("/api/v1/classes/nonsense").await.refused().0, 404);
}

#[tokio::test]
async fn there_is_always_a_room_and_none_goes_with_machines_in_it() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let first = rooms(&mut admin).await.remove(0);
    assert_eq!(first["name"], "1");
    let first_path = format!("/api/v1/rooms/{}", id(&first));
    assert_eq!(admin.delete(&first_path).await.refused(), (409, "last_room".to_owned()));

    let made = admin.post("/api/v1/rooms", json!({ "name": "Physics" })).await;
    let physics = made.expect(StatusCode::CREATED);
    let path = format!("/api/v1/rooms/{}", id(&physics));
    assert_eq!(admin.patch(&path, json!({ "name": "1" })).await.refused().1, "room_exists");
    machine(&school, &mut admin, &physics).await;
    assert_eq!(admin.delete(&path).await.refused(), (409, "room_in_use".to_owned()));
    admin.delete(&first_path).await.expect(StatusCode::NO_CONTENT);
    let left = rooms(&mut admin).await;
    assert_eq!((left.len(), &left[0]["machine_count"]), (1, &json!(1)));
}

#[tokio::test]
async fn one_or_two_students_sit_at_a_machine_of_the_room() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let room = rooms(&mut admin).await.remove(0);
    let other = admin.post("/api/v1/rooms", json!({ "name": "Physics" })).await;
    let other = other.expect(StatusCode::CREATED);
    let one = machine(&school, &mut admin, &room).await;
    let two = machine(&school, &mut admin, &room).await;
    let (one, two) = if one.as_str() < two.as_str() { (one, two) } else { (two, one) };
    let elsewhere = machine(&school, &mut admin, &other).await;
    let seven = class(&mut admin, "7 Б").await;
    let eight = class(&mut admin, "8 Б").await;
    let mut who = Vec::new();
    for number in ["1", "2", "3"] {
        who.push(json!(id(&student(&mut admin, &seven, number).await)));
    }
    // Seats come ordered by ids, and ids of one moment have no order of their own.
    who.sort_by_key(Value::to_string);
    let stranger = json!(id(&student(&mut admin, &eight, "9").await));
    let path = format!("/api/v1/classes/{}/seating/{}", id(&seven), id(&room));
    let seat = |machine: &Value, students: &[&Value]| json!({ "machine_id": machine, "student_ids": students });

    let wrong = [
        (json!([seat(&elsewhere, &[&who[0]])]), "seat_elsewhere"),
        (json!([seat(&one, &[])]), "seat_size"),
        (json!([seat(&one, &[&who[0], &who[1], &who[2]])]), "seat_size"),
        (json!([seat(&one, &[&stranger])]), "seat_stranger"),
        (json!([seat(&one, &[&who[0]]), seat(&one, &[&who[1]])]), "seat_twice"),
        (json!([seat(&one, &[&who[0]]), seat(&two, &[&who[0]])]), "seated_twice"),
    ];
    for (seats, code) in wrong {
        let refused = admin.put(&path, json!({ "seats": seats })).await;
        assert_eq!(refused.refused(), (422, code.to_owned()));
    }
    let seats = json!({ "seats": [seat(&one, &[&who[0], &who[1]]), seat(&two, &[&who[2]])] });
    let kept = admin.put(&path, seats.clone()).await.expect(StatusCode::OK);
    assert_eq!(kept, seats);
    // Another class has the same machine in the same room.
    let eights = format!("/api/v1/classes/{}/seating/{}", id(&eight), id(&room));
    let theirs = json!({ "seats": [seat(&one, &[&stranger])] });
    admin.put(&eights, theirs).await.expect(StatusCode::OK);

    // Who leaves the class leaves the seat.
    let path_of = |id: &Value| format!("/api/v1/students/{}", id.as_str().unwrap());
    admin.delete(&path_of(&who[2])).await.expect(StatusCode::NO_CONTENT);
    let left = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(left["seats"], json!([seat(&one, &[&who[0], &who[1]])]));
    // A machine that goes to another room takes nobody with it.
    let by = school.identity.teachers().await.unwrap()[0].id;
    let moves = alfarid_daemon::enrolment::MachineChange {
        room: Some(id(&other).parse().unwrap()),
        ..Default::default()
    };
    let machine_id = one.as_str().unwrap().parse().unwrap();
    school.enrolment.change_machine(by, machine_id, moves).await.unwrap();
    let left = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(left["seats"], json!([]));
}

#[tokio::test]
async fn a_file_is_previewed_and_then_imported() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let path = format!("/api/v1/classes/{}/import", id(&class));
    student(&mut admin, &class, "1").await;
    student(&mut admin, &class, "2").await;
    let text = "№ п/п;Номер;Фамилия;Имя;Почта\r\n\
                1;1;Student;1;\r\n2;2;Ёлкина;Анна;anna@mail.kz\r\n3;3;Новый;Ученик;\r\n";
    let (file, _, _) = WINDOWS_1251.encode(text);

    let preview = admin.upload(&format!("{path}/preview"), &file).await.expect(StatusCode::OK);
    assert_eq!(preview["encoding"], "windows-1251");
    assert_eq!(preview["delimiter"], ";");
    let columns = json!(["ignored", "student_id", "last_name", "first_name", "email"]);
    assert_eq!(preview["columns"], columns);
    assert_eq!(
        (&preview["add"], &preview["update"], &preview["same"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let second = json!({
        "line": 3, "student_id": "2", "full_name": "Ёлкина Анна", "email": "anna@mail.kz",
        "action": "update",
    });
    assert_eq!(preview["rows"][1], second);
    let list = format!("/api/v1/classes/{}/students", id(&class));
    let before = admin.get(&list).await.expect(StatusCode::OK);
    assert_eq!(before["items"].as_array().unwrap().len(), 2);

    let imported = admin.upload(&path, &file).await.expect(StatusCode::OK);
    assert_eq!(imported, json!({ "added": 1, "updated": 1, "unchanged": 1 }));
    let again = admin.upload(&path, &file).await.expect(StatusCode::OK);
    assert_eq!(again, json!({ "added": 0, "updated": 0, "unchanged": 3 }));
}

/// Fails when any part of a file with a bad line is kept.
#[tokio::test]
async fn a_file_with_a_bad_line_changes_nothing() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let seven = class(&mut admin, "7 Б").await;
    let eight = class(&mut admin, "8 Б").await;
    student(&mut admin, &eight, "8").await;
    let path = format!("/api/v1/classes/{}/import", id(&seven));
    let file = "Номер,ФИО\n1,A\n,B\n8,C\n2,D\n".as_bytes();
    let preview = admin.upload(&format!("{path}/preview"), file).await.expect(StatusCode::OK);
    let bad: Vec<_> = preview["bad_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| (bad["line"].as_u64().unwrap(), bad["code"].as_str().unwrap()))
        .collect();
    assert_eq!(bad, [(3, "number_missing"), (4, "in_other_class")]);
    let refused = admin.upload(&path, file).await;
    assert_eq!(refused.refused(), (422, "import_has_bad_lines".to_owned()));
    let list = format!("/api/v1/classes/{}/students?all=true", id(&seven));
    assert_eq!(admin.get(&list).await.expect(StatusCode::OK)["items"], json!([]));
}

#[tokio::test]
async fn who_left_another_class_is_taken_up_by_a_file() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let old = class(&mut admin, "7 Б").await;
    let new = class(&mut admin, "8 Б").await;
    let who = student(&mut admin, &old, "1").await;
    let deleted = class(&mut admin, "7 В").await;
    student(&mut admin, &deleted, "2").await;
    admin.delete(&format!("/api/v1/students/{}", id(&who))).await.expect(StatusCode::NO_CONTENT);
    let path = format!("/api/v1/classes/{}", id(&deleted));
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);

    let path = format!("/api/v1/classes/{}/import", id(&new));
    let imported = admin.upload(&path, b"1;Student 1\n2;Student 2").await.expect(StatusCode::OK);
    assert_eq!(imported["added"], 2);
    let list = format!("/api/v1/classes/{}/students", id(&new));
    let students = admin.get(&list).await.expect(StatusCode::OK);
    assert_eq!(students["items"][0]["id"], who["id"]);
    assert_eq!(students["items"].as_array().unwrap().len(), 2);
}

/// A file without e-mails says nothing about e-mails.
#[tokio::test]
async fn a_file_without_a_column_leaves_it_as_it_is() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let path = format!("/api/v1/classes/{}", id(&class));
    let form = json!({ "student_id": "1", "full_name": "A", "email": "a@mail.kz" });
    let who = admin.post(&format!("{path}/students"), form).await.expect(StatusCode::CREATED);
    admin.upload(&format!("{path}/import"), b"1;New Name").await.expect(StatusCode::OK);
    let students = admin.get(&format!("{path}/students")).await.expect(StatusCode::OK);
    let mut expected = who;
    expected["full_name"] = json!("New Name");
    assert_eq!(students["items"], json!([expected]));
}

#[tokio::test]
async fn what_is_no_list_is_refused_by_name() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let path = format!("/api/v1/classes/{}/import/preview", id(&class));
    let large = vec![b'x'; 2 * 1024 * 1024 + 1];
    let cases: [(&[u8], u16, &str); 6] = [
        (b"", 422, "import_empty"),
        (b"\xff\xfe1\0", 422, "import_utf16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 422, "import_old_excel"),
        (b"PK\x03\x04 torn", 422, "import_not_a_table"),
        ("ФИО;Почта\nA;a@b.kz".as_bytes(), 422, "import_column_missing"),
        (&large, 413, "import_too_large"),
    ];
    for (file, status, code) in cases {
        assert_eq!(admin.upload(&path, file).await.refused(), (status, code.to_owned()));
    }
    let torn = admin.torn_upload(&path).await;
    assert_eq!(torn.refused(), (408, "body_incomplete".to_owned()));
}

/// What was exported comes back as it was, in every format and whatever the names begin with.
#[tokio::test]
async fn an_export_is_an_import() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = class(&mut admin, "7 Б").await;
    let path = format!("/api/v1/classes/{}", id(&class));
    for (number, name) in [("001", "=HYPERLINK(\"x\")"), ("-2", "Ёлкина; \"Анна\""), ("3", "@C")]
    {
        let form = json!({ "student_id": number, "full_name": name });
        admin.post(&format!("{path}/students"), form).await.expect(StatusCode::CREATED);
    }
    for kind in ["csv", "xlsx"] {
        let file = admin.get(&format!("{path}/students.{kind}")).await;
        assert_eq!(file.status, StatusCode::OK);
        let name = file.headers["content-disposition"].to_str().unwrap();
        assert_eq!(name, format!("attachment; filename*=UTF-8''7%20%D0%91.{kind}"));
        let imported = admin.upload(&format!("{path}/import"), &file.body).await;
        let imported = imported.expect(StatusCode::OK);
        assert_eq!(imported, json!({ "added": 0, "updated": 0, "unchanged": 3 }), "{kind}");
    }
    let csv = admin.get(&format!("{path}/students.csv")).await.body;
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.contains("001;\"'=HYPERLINK(\"\"x\"\")\";"), "{csv}");
}
