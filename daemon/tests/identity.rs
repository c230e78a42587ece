//! People: who gets in, who stays in, and who may do what, by the routes that pages use.

mod support;

use std::time::Duration;

use alfarid_daemon::db::DbError;
use axum::http::StatusCode;
use serde_json::{Value, json};

use support::{Browser, MORNING, PASSWORD, TestBox};

const ANNA: &str = "anna@school.example";
const HOUR: Duration = Duration::from_hours(1);

fn log_in(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password, "browser_time": MORNING })
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.get("/api/v1/rooms").await.status == StatusCode::OK
}

#[tokio::test]
async fn a_teacher_logs_in_and_out() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    assert!(is_in(&mut anna).await);
    anna.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(anna.cookie("__Host-alfarid"), None);
    assert!(!is_in(&mut anna).await);
    // The address is known however it is written.
    let form = log_in(" Anna@School.Example ", PASSWORD);
    anna.post("/api/v1/session", form).await.expect(StatusCode::OK);
    assert!(is_in(&mut anna).await);
}

/// Fails where a full disk shuts out who is logged in.
#[tokio::test]
async fn who_is_logged_in_stays_so_though_the_disk_takes_nothing() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON sessions
                  BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    let write = |tx: &rusqlite::Transaction<'_>| Ok::<_, DbError>(tx.execute_batch(refuse)?);
    school.floor.db.write(write).await.unwrap();
    school.floor.clock.advance(HOUR);
    assert!(is_in(&mut admin).await);
}

#[tokio::test]
async fn the_session_cookie_is_for_this_host_over_https_and_no_script_reads_it() {
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    let mut browser = school.browser();
    let form = log_in("admin@school.example", PASSWORD);
    let answer = browser.post("/api/v1/session", form).await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("__Host-alfarid"), "{cookie}");
        assert!(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_say_the_same() {
    let school = TestBox::new().await;
    let _ = school.claimed().await;
    let mut browser = school.browser();
    let wrong = browser.post("/api/v1/session", log_in("admin@school.example", "12345678")).await;
    let unknown =
        browser.post("/api/v1/session", log_in("nobody@school.example", "12345678")).await;
    assert_eq!(wrong.refused(), (401, "wrong_credentials".to_owned()));
    assert_eq!(wrong.body, unknown.body);
}

/// Guesses from one address slow that address down; the teacher's own browser and a stranger's
/// next to it still get in.
#[tokio::test]
async fn wrong_passwords_slow_down_whoever_guesses_and_nobody_else() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    let mut guesser = school.browser_at("10.0.0.66:1234");
    for _ in 0..10 {
        let guess = guesser.post("/api/v1/session", log_in(ANNA, "password1")).await;
        assert_eq!(guess.status, StatusCode::UNAUTHORIZED);
    }
    let refused = guesser.post("/api/v1/session", log_in(ANNA, PASSWORD)).await;
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.refused(), (429, "slow_down".to_owned()));

    anna.post("/api/v1/session", log_in(ANNA, PASSWORD)).await.expect(StatusCode::OK);
    let mut other = school.browser_at("10.0.0.67:1234");
    other.post("/api/v1/session", log_in(ANNA, PASSWORD)).await.expect(StatusCode::OK);

    school.floor.clock.advance(Duration::from_secs(1));
    guesser.post("/api/v1/session", log_in(ANNA, PASSWORD)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_without_use() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    school.floor.clock.advance(HOUR * 11);
    assert!(is_in(&mut admin).await);
    school.floor.clock.advance(HOUR * 11);
    assert!(is_in(&mut admin).await);
    school.floor.clock.advance(HOUR * 12);
    assert!(!is_in(&mut admin).await);
}

/// A clock that is put right by a year must log nobody out in the middle of a lesson; and it is
/// put right by a teacher who logs in.
#[tokio::test]
async fn a_clock_that_jumps_a_year_logs_nobody_out() {
    let school = TestBox::unsure().await;
    let mut admin = school.claimed().await;
    let anna = school.teacher(&mut admin, ANNA).await;
    let school = school.restarted_unsure().await;
    let (mut admin, mut anna) = (school.again(&admin), school.again(&anna));
    assert!(is_in(&mut admin).await);

    let before = admin.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!(before["clock"]["sure"], false);
    let next_year = MORNING.plus_millis(365 * 86_400_000);
    let form = json!({ "email": ANNA, "password": PASSWORD, "browser_time": next_year });
    school.browser().post("/api/v1/session", form).await.expect(StatusCode::OK);
    let after = admin.get("/api/v1/state").await.expect(StatusCode::OK);
    assert_eq!(after["clock"]["sure"], true);
    assert!(after["clock"]["now"].as_i64().unwrap() >= next_year.0);
    assert!(is_in(&mut admin).await && is_in(&mut anna).await);
}

/// Whoever may log in may still not send the box decades ahead, where it would stay for good.
#[tokio::test]
async fn a_browser_with_an_impossible_date_logs_in_and_moves_no_clock() {
    let school = TestBox::unsure().await;
    let mut admin = school.claimed().await;
    let school = school.restarted_unsure().await;
    for date in [i64::MAX, i64::MIN, MORNING.0 + 40 * 365 * 86_400_000] {
        let form = json!({ "email": "admin@school.example", "password": PASSWORD,
                           "browser_time": date });
        admin = school.again(&admin);
        admin.post("/api/v1/session", form).await.expect(StatusCode::OK);
        let clock = &admin.get("/api/v1/state").await.expect(StatusCode::OK)["clock"];
        assert_eq!(clock["sure"], false);
        assert!(clock["now"].as_i64().unwrap() < MORNING.0 + 60_000);
    }
}

#[tokio::test]
async fn a_session_outlives_a_restart_of_the_box() {
    let school = TestBox::new().await;
    let admin = school.claimed().await;
    let school = school.restarted(MORNING.plus_millis(3_600_000)).await;
    assert!(is_in(&mut school.again(&admin)).await);
    let school = school.restarted(MORNING.plus_millis(14 * 3_600_000)).await;
    assert!(!is_in(&mut school.again(&admin)).await);
}

#[tokio::test]
async fn a_person_has_sixteen_sessions_and_the_oldest_goes_first() {
    let school = TestBox::new().await;
    let mut first = school.claimed().await;
    let mut second = school.logged_in("admin@school.example").await;
    school.floor.clock.advance(Duration::from_mins(6));
    assert!(is_in(&mut second).await);
    for _ in 0..15 {
        school.logged_in("admin@school.example").await;
    }
    assert!(is_in(&mut second).await);
    assert!(!is_in(&mut first).await);
}

#[tokio::test]
async fn teachers_are_an_admins_business() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    let list = admin.get("/api/v1/teachers").await.expect(StatusCode::OK);
    let teachers = list["items"].as_array().unwrap();
    assert_eq!(teachers.len(), 2);
    let by_email = |email| teachers.iter().find(|t| t["email"] == email).unwrap();
    let (anna_id, admin_id) = (&by_email(ANNA)["id"], &by_email("admin@school.example")["id"]);

    assert_eq!(anna.get("/api/v1/teachers").await.refused().1, "admins_only");
    let path = format!("/api/v1/teachers/{}", anna_id.as_str().unwrap());
    let grab = anna.patch(&path, json!({ "role": "admin" })).await;
    assert_eq!(grab.refused(), (403, "admins_only".to_owned()));
    let nobody = school.browser().get("/api/v1/teachers").await;
    assert_eq!(nobody.refused(), (401, "not_signed_in".to_owned()));

    let twice = json!({ "email": "ANNA@school.example", "full_name": "X", "password": PASSWORD });
    assert_eq!(admin.post("/api/v1/teachers", twice).await.refused().1, "email_taken");
    let own = format!("/api/v1/teachers/{}", admin_id.as_str().unwrap());
    for last in [json!({ "role": "teacher" }), json!({ "is_active": false })] {
        assert_eq!(admin.patch(&own, last).await.refused(), (409, "last_admin".to_owned()));
    }
    let department = json!({ "department": "Physics" });
    let changed = admin.patch(&path, department).await.expect(StatusCode::OK);
    assert_eq!(changed["department"], "Physics");
    let cleared = admin.patch(&path, json!({ "department": null })).await.expect(StatusCode::OK);
    assert_eq!(cleared["department"], Value::Null);
}

#[tokio::test]
async fn who_is_not_active_any_more_is_out_at_once_and_may_come_back() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    let key = anna.post("/api/v1/me/stream_key", json!({})).await.expect(StatusCode::CREATED);
    let key = key["key"].as_str().unwrap().to_owned();
    assert!(school.identity.person_of_stream_key(&key).await.unwrap().is_some());

    let list = admin.get("/api/v1/teachers").await.expect(StatusCode::OK);
    let teachers = list["items"].as_array().unwrap();
    let row = teachers.iter().find(|t| t["email"] == ANNA).unwrap();
    assert_eq!(row["has_stream_key"], true);
    let path = format!("/api/v1/teachers/{}", row["id"].as_str().unwrap());
    admin.patch(&path, json!({ "is_active": false })).await.expect(StatusCode::OK);
    assert!(!is_in(&mut anna).await);
    assert!(school.identity.person_of_stream_key(&key).await.unwrap().is_none());
    let refused = anna.post("/api/v1/session", log_in(ANNA, PASSWORD)).await;
    assert_eq!(refused.refused(), (401, "wrong_credentials".to_owned()));

    admin.patch(&path, json!({ "is_active": true })).await.expect(StatusCode::OK);
    assert!(!is_in(&mut anna).await, "the old session came back to life");
    anna.post("/api/v1/session", log_in(ANNA, PASSWORD)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_new_password_logs_all_other_browsers_out() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut here = school.teacher(&mut admin, ANNA).await;
    let mut elsewhere = school.logged_in(ANNA).await;

    let wrong = json!({ "password": { "old": "not the one", "new": "a new password" } });
    let refused = here.patch("/api/v1/me", wrong).await;
    assert_eq!(refused.refused(), (403, "wrong_password".to_owned()));
    let short = json!({ "password": { "old": PASSWORD, "new": "short" } });
    let refused = here.patch("/api/v1/me", short).await;
    assert_eq!(refused.refused(), (422, "invalid_input".to_owned()));

    let right =
        json!({ "password": { "old": PASSWORD, "new": "a new password" }, "language": "en" });
    let me = here.patch("/api/v1/me", right).await.expect(StatusCode::OK);
    assert_eq!(me["language"], "en");
    assert!(is_in(&mut here).await);
    assert!(!is_in(&mut elsewhere).await);
    elsewhere.post("/api/v1/session", log_in(ANNA, "a new password")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_stream_key_is_shown_once_and_replaced_by_the_next() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let first = admin.post("/api/v1/me/stream_key", json!({})).await.expect(StatusCode::CREATED);
    assert_eq!(first["url"], "https://10.0.0.1/api/v1/whip");
    let second = admin.post("/api/v1/me/stream_key", json!({})).await.expect(StatusCode::CREATED);
    let knows = async |key: &Value| {
        school.identity.person_of_stream_key(key.as_str().unwrap()).await.unwrap().is_some()
    };
    assert!(!knows(&first["key"]).await);
    assert!(knows(&second["key"]).await);
    admin.delete("/api/v1/me/stream_key").await.expect(StatusCode::NO_CONTENT);
    assert!(!knows(&second["key"]).await);
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let key = admin.post("/api/v1/me/stream_key", json!({})).await.expect(StatusCode::CREATED);
    let secrets = [
        PASSWORD.to_owned(),
        admin.cookie("__Host-alfarid").unwrap().to_owned(),
        admin.cookie("__Host-alfarid-device").unwrap().to_owned(),
        key["key"].as_str().unwrap().to_owned(),
    ];
    for file in ["alfarid.db", "alfarid.db-wal"] {
        let bytes = std::fs::read(school.path().join(file)).unwrap_or_default();
        for secret in &secrets {
            let is_there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_there, "{file} holds a secret");
        }
    }
}
