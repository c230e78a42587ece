//! Students who sign in: who gets codes, what they open, and when that is over, by the routes that
//! pages use.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::time::Duration;

use alfarid_daemon::{
    events::Event,
    health::{FaultCode, Severity},
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use support::{Browser, MORNING, TestBox};

const SIGN_IN: &str = "/api/v1/session/student";
const HOUR: Duration = Duration::from_hours(1);

/// A class of Anna's, and its students.
struct Class {
    school: TestBox,
    admin: Browser,
    anna: Browser,
    id: String,
    students: Vec<String>,
}

impl Class {
    async fn of(size: usize) -> Self {
        let school = TestBox::new().await;
        let mut admin = school.claimed().await;
        let mut anna = school.teacher(&mut admin, "anna@school.example").await;
        let made = anna.post("/api/v1/classes", json!({ "name": "7 B" })).await;
        let id = made.expect(StatusCode::CREATED)["id"].as_str().unwrap().to_owned();
        let mut students = Vec::new();
        for n in 0..size {
            let form = json!({ "student_id": n.to_string(), "full_name": format!("Student {n}") });
            let path = format!("/api/v1/classes/{id}/students");
            let student = anna.post(&path, form).await.expect(StatusCode::CREATED);
            students.push(student["id"].as_str().unwrap().to_owned());
        }
        Self { school, admin, anna, id, students }
    }

    fn codes_path(&self) -> String {
        format!("/api/v1/classes/{}/codes", self.id)
    }

    /// A new code for each of the class.
    async fn codes(&mut self) -> Vec<String> {
        let path = self.codes_path();
        let made = self.anna.post(&path, json!({})).await.expect(StatusCode::CREATED);
        let items = made["items"].as_array().unwrap().iter();
        items.map(|item| item["code"].as_str().unwrap().to_owned()).collect()
    }

    /// The browser of the first student, who has just signed in.
    async fn signed_in(&mut self) -> Browser {
        let code = self.codes().await.remove(0);
        let mut browser = self.school.browser();
        browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
        browser
    }
}

/// The name of the student who is signed in, as the box says it.
async fn name(browser: &mut Browser) -> Option<String> {
    let state = browser.get("/api/v1/state").await.expect(StatusCode::OK);
    assert!(state["student"].is_null() || state["session"].is_null());
    state["student"]["full_name"].as_str().map(ToOwned::to_owned)
}

#[tokio::test]
async fn each_student_of_a_class_gets_a_code_and_signs_in_by_it_as_it_is_typed() {
    let mut class = Class::of(3).await;
    let codes = class.codes().await;
    assert_eq!(codes.len(), 3);
    for (n, code) in codes.iter().enumerate() {
        assert_eq!(code.len(), 9, "{code}");
        let mut browser = class.school.browser();
        assert_eq!(name(&mut browser).await, None);
        let typed = format!(" {} ", code.to_lowercase().replace('-', " "));
        let student = browser.post(SIGN_IN, json!({ "code": typed })).await.expect(StatusCode::OK);
        assert_eq!(student["id"], class.students[n]);
        assert_eq!(name(&mut browser).await, Some(format!("Student {n}")));
        let cookie = browser.cookie("__Host-alfarid").unwrap();
        assert!(cookie.len() > 40, "{cookie}");
        browser.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(name(&mut browser).await, None);
        // The code opens the next time too.
        browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn the_cookie_of_a_student_is_for_this_host_over_https_and_no_script_reads_it() {
    let mut class = Class::of(1).await;
    let code = class.codes().await.remove(0);
    let answer = class.school.browser().post(SIGN_IN, json!({ "code": code })).await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    let [session, device] = cookies[..] else { panic!("{cookies:?}") };
    let session = session.to_str().unwrap();
    assert!(session.starts_with("__Host-alfarid="), "{session}");
    assert!(session.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{session}");
    let device = device.to_str().unwrap();
    assert!(device.starts_with("__Host-alfarid-student-device="), "{device}");
    assert!(device.contains("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="), "{device}");
}

#[tokio::test]
async fn codes_are_made_by_the_classs_own_teacher_or_an_admin_for_who_is_in_it() {
    let mut class = Class::of(2).await;
    let path = class.codes_path();
    let mut colleague = class.school.teacher(&mut class.admin, "boris@school.example").await;
    let refused = colleague.post(&path, json!({})).await;
    assert_eq!(refused.refused(), (403, "not_your_class".to_owned()));
    let refused = class.school.browser().post(&path, json!({})).await;
    assert_eq!(refused.refused(), (401, "not_signed_in".to_owned()));

    let one = json!({ "student_ids": [class.students[1]] });
    let made = class.admin.post(&path, one).await.expect(StatusCode::CREATED);
    let items = made["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(
        (&items[0]["full_name"], &items[0]["student_number"]),
        (&json!("Student 1"), &json!("1"))
    );
    let stranger = json!({ "student_ids": [class.id] });
    let refused = class.anna.post(&path, stranger).await;
    assert_eq!(refused.refused(), (404, "no_such_student".to_owned()));

    let nobody = class.anna.post(&path, json!({ "student_ids": [] })).await;
    assert_eq!(nobody.refused(), (422, "invalid_input".to_owned()));

    let left = format!("/api/v1/students/{}", class.students[0]);
    class.anna.delete(&left).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(class.codes().await.len(), 1);
}

/// A slip of paper was lost: whoever found it is out as soon as there is a new one.
#[tokio::test]
async fn a_new_code_takes_the_place_of_the_old_one_and_ends_what_that_had_opened() {
    let mut class = Class::of(2).await;
    let old = class.codes().await;
    let mut browsers = Vec::new();
    for code in &old {
        let mut browser = class.school.browser();
        browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
        browsers.push(browser);
    }
    let mut page = class.school.page(&browsers[0]).await;
    let path = class.codes_path();
    let one = json!({ "student_ids": [class.students[0]] });
    class.anna.post(&path, one).await.expect(StatusCode::CREATED);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browsers[0]).await, None);
    assert_eq!(name(&mut browsers[1]).await, Some("Student 1".to_owned()));
    let refused = browsers[0].post(SIGN_IN, json!({ "code": old[0] })).await;
    assert_eq!(refused.refused(), (401, "sign_in_code_wrong".to_owned()));
}

#[tokio::test]
async fn who_leaves_the_school_is_out_at_once_and_their_code_opens_nothing_ever_after() {
    let mut class = Class::of(1).await;
    let code = class.codes().await.remove(0);
    let mut browser = class.school.browser();
    browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
    let mut page = class.school.page(&browser).await;
    let student = format!("/api/v1/students/{}", class.students[0]);
    class.anna.delete(&student).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browser).await, None);

    class.anna.patch(&student, json!({ "is_active": true })).await.expect(StatusCode::OK);
    assert_eq!(name(&mut browser).await, None, "the old session came back to life");
    let refused = browser.post(SIGN_IN, json!({ "code": code })).await;
    assert_eq!(refused.refused(), (401, "sign_in_code_wrong".to_owned()));
}

#[tokio::test]
async fn with_a_class_that_is_deleted_its_students_are_out() {
    let mut class = Class::of(1).await;
    let mut browser = class.signed_in().await;
    let mut page = class.school.page(&browser).await;
    let path = format!("/api/v1/classes/{}", class.id);
    class.anna.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browser).await, None);
}

#[tokio::test]
async fn a_student_is_signed_in_until_the_school_day_is_over() {
    let mut class = Class::of(1).await;
    let mut browser = class.signed_in().await;
    class.school.floor.clock.advance(HOUR * 9);
    assert!(name(&mut browser).await.is_some());
    let mut page = class.school.page(&browser).await;
    class.school.floor.clock.advance(HOUR);
    class.school.floor.events.tell(Event::Resync);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browser).await, None);
}

#[tokio::test]
async fn a_students_session_outlives_a_restart_of_the_box_and_not_its_day() {
    let mut class = Class::of(1).await;
    let browser = class.signed_in().await;
    let school = class.school.restarted(MORNING.plus_millis(9 * 3_600_000)).await;
    let mut browser = school.again(&browser);
    assert!(name(&mut browser).await.is_some());
    school.floor.clock.advance(HOUR);
    assert_eq!(name(&mut browser).await, None);
}

/// Fails when a tablet that goes from hand to hand keeps two students signed in.
#[tokio::test]
async fn a_browser_is_one_persons_at_a_time() {
    let mut class = Class::of(2).await;
    let codes = class.codes().await;
    let mut browser = class.school.browser();
    browser.post(SIGN_IN, json!({ "code": codes[0] })).await.expect(StatusCode::OK);
    let mut page = class.school.page(&browser).await;
    browser.post(SIGN_IN, json!({ "code": codes[1] })).await.expect(StatusCode::OK);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browser).await, Some("Student 1".to_owned()));

    let mut page = class.school.page(&browser).await;
    let anna = json!({
        "email": "anna@school.example", "password": support::PASSWORD, "browser_time": MORNING,
    });
    browser.post("/api/v1/session", anna).await.expect(StatusCode::OK);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    assert_eq!(name(&mut browser).await, None);
    browser.get("/api/v1/rooms").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_student_is_signed_in_in_four_browsers_and_the_oldest_goes_first() {
    let mut class = Class::of(1).await;
    let code = class.codes().await.remove(0);
    let mut browsers = Vec::new();
    for _ in 0..5 {
        class.school.floor.clock.advance(Duration::from_secs(1));
        let mut browser = class.school.browser();
        browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
        browsers.push(browser);
    }
    let mut names = Vec::new();
    for browser in &mut browsers {
        names.push(name(browser).await.is_some());
    }
    assert_eq!(names, [false, true, true, true, true]);
}

/// Whoever guesses waits, and nobody is ever locked out: not next to them, and not there either.
#[tokio::test]
async fn wrong_codes_slow_down_where_they_come_from_and_nobody_else() {
    let mut class = Class::of(1).await;
    let code = class.codes().await.remove(0);
    let right = json!({ "code": code });
    let mut guesser = class.school.browser_at("10.0.0.66:1234");
    for guess in ["", "7KQ2", "not a code", "7KQ2-MVX9"].iter().cycle().take(30) {
        let wrong = guesser.post(SIGN_IN, json!({ "code": guess })).await;
        assert_eq!(wrong.refused(), (401, "sign_in_code_wrong".to_owned()));
    }
    let refused = guesser.post(SIGN_IN, right.clone()).await;
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.refused(), (429, "slow_down".to_owned()));
    let mut other = class.school.browser_at("10.0.0.67:1234");
    other.post(SIGN_IN, right.clone()).await.expect(StatusCode::OK);
    class.school.floor.clock.advance(Duration::from_secs(1));
    guesser.post(SIGN_IN, right).await.expect(StatusCode::OK);
}

/// Fails when one student's script can shut the phones of a whole school out that are behind its
/// one address.
#[tokio::test]
async fn whose_browser_a_code_has_let_in_before_does_not_wait_for_who_guesses_next_to_it() {
    let mut class = Class::of(2).await;
    let codes = class.codes().await;
    let address = "10.0.0.66:1234";
    let mut known = class.school.browser_at(address);
    known.post(SIGN_IN, json!({ "code": codes[0] })).await.expect(StatusCode::OK);
    known.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
    let mut poller = class.school.browser_at(address);
    for _ in 0..40 {
        poller.post(SIGN_IN, json!({ "code": "7KQ2-MVX9" })).await;
    }
    let mut stranger = class.school.browser_at(address);
    let refused = stranger.post(SIGN_IN, json!({ "code": codes[1] })).await;
    assert_eq!(refused.refused(), (429, "slow_down".to_owned()));
    known.post(SIGN_IN, json!({ "code": codes[0] })).await.expect(StatusCode::OK);
    class.school.floor.clock.advance(Duration::from_secs(1));
    stranger.post(SIGN_IN, json!({ "code": codes[1] })).await.expect(StatusCode::OK);

    // What the old code had made known is known no more: it may be a finder's.
    class.codes().await;
    for _ in 0..40 {
        poller.post(SIGN_IN, json!({ "code": "7KQ2-MVX9" })).await;
    }
    let refused = known.post(SIGN_IN, json!({ "code": codes[0] })).await;
    assert_eq!(refused.refused(), (429, "slow_down".to_owned()));
}

#[tokio::test]
async fn a_students_page_hears_what_is_theirs_and_nothing_else() {
    let mut class = Class::of(1).await;
    let browser = class.signed_in().await;
    let mut page = class.school.page(&browser).await;
    let clock = class.school.floor.clock.clone();
    for foreign in [
        Event::FaultChanged,
        Event::LessonChanged { lesson_id: clock.id() },
        Event::PeopleChanged { lesson_id: clock.id() },
        Event::RosterChanged { class_id: class.id.parse().unwrap() },
        Event::MachineChanged { machine_id: clock.id(), room_id: clock.id() },
        Event::Resync,
    ] {
        class.school.floor.events.tell(foreign);
    }
    assert_eq!(page.event().await, "resync");
    let here = class.school.live.here();
    assert!(here.borrow().is_empty(), "a student is taken for a teacher");
}

#[tokio::test]
async fn what_a_student_may_not_see_is_not_told_at_the_door_either() {
    let mut class = Class::of(1).await;
    let mut browser = class.signed_in().await;
    let refused = browser.get(&format!("/api/v1/classes/{}/students", class.id)).await;
    assert_eq!(refused.refused(), (403, "not_for_students".to_owned()));
    let refused = browser.post(&class.codes_path(), json!({})).await;
    assert_eq!(refused.refused(), (403, "not_for_students".to_owned()));
    class.school.floor.health.raise(
        FaultCode::DiskFull,
        Severity::Error,
        "7 B has no room".to_owned(),
    );
    let state = browser.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!((&state["session"], &state["faults"][0]["detail"]), (&Value::Null, &json!("")));
}

#[tokio::test]
async fn no_code_and_no_session_of_a_student_is_in_the_database() {
    let mut class = Class::of(1).await;
    let code = class.codes().await.remove(0);
    let mut browser = class.school.browser();
    browser.post(SIGN_IN, json!({ "code": code })).await.expect(StatusCode::OK);
    let session = browser.cookie("__Host-alfarid").unwrap().to_owned();
    let device = browser.cookie("__Host-alfarid-student-device").unwrap().to_owned();
    for secret in [code.replace('-', ""), code, session, device] {
        for file in ["alfarid.db", "alfarid.db-wal"] {
            let bytes = std::fs::read(class.school.path().join(file)).unwrap_or_default();
            let is_there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_there, "{file} holds a secret");
        }
    }
}
