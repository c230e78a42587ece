//! Settings, by the routes that pages use.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use alfarid_daemon::settings::Values;
use axum::http::StatusCode;
use serde_json::{Value, json};

use support::{Browser, MORNING, TestBox};

const DEFAULT_MINUTES: &str = "/api/v1/settings/lesson.default_minutes";

async fn setting(browser: &mut Browser, key: &str) -> Value {
    let list = browser.get("/api/v1/settings").await.expect(StatusCode::OK);
    let items = list["items"].as_array().unwrap();
    items.iter().find(|item| item["key"] == key).unwrap().clone()
}

#[tokio::test]
async fn what_an_admin_sets_is_in_force_at_once_and_after_a_restart() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    assert_eq!(school.settings.values(), Values::default());
    let before = setting(&mut admin, "lesson.default_minutes").await;
    assert_eq!((&before["value"], &before["updated_at"]), (&json!(45), &Value::Null));

    let put = admin.put(DEFAULT_MINUTES, json!({ "value": 40 })).await.expect(StatusCode::OK);
    assert_eq!((&put["value"], &put["default"]), (&json!(40), &json!(45)));
    assert_eq!(put["updated_at"], json!(MORNING));
    assert_eq!(setting(&mut admin, "lesson.default_minutes").await, put);
    assert_eq!(school.settings.values().lesson_default_minutes, 40);

    let school = school.restarted(MORNING).await;
    assert_eq!(school.settings.values().lesson_default_minutes, 40);
}

#[tokio::test]
async fn an_unknown_key_and_a_value_that_makes_no_sense_are_refused() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let unknown = admin.put("/api/v1/settings/lesson.colour", json!({ "value": 1 })).await;
    assert_eq!(unknown.refused(), (404, "no_such_setting".to_owned()));
    let wrong = admin.put(DEFAULT_MINUTES, json!({ "value": "45" })).await;
    let body: Value = serde_json::from_slice(&wrong.body).unwrap();
    assert_eq!(body["fields"][0]["code"], "not_a_number");
    assert_eq!(wrong.refused(), (422, "invalid_input".to_owned()));
    assert_eq!(school.settings.values(), Values::default());
}

#[tokio::test]
async fn a_teacher_sees_settings_and_sets_none() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, "anna@school.example").await;
    setting(&mut anna, "attendance.late_after_minutes").await;
    let refused = anna.put(DEFAULT_MINUTES, json!({ "value": 40 })).await;
    assert_eq!(refused.refused(), (403, "admins_only".to_owned()));
}
