//! The live WebSocket: who has it, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use alfarid_daemon::events::Event;
use axum::http::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use support::{Browser, PASSWORD, TestBox};

const ANNA: &str = "anna@school.example";

/// Where an admin changes Anna's account.
async fn account(admin: &mut Browser) -> String {
    let list = admin.get("/api/v1/teachers").await.expect(StatusCode::OK);
    let teachers = list["items"].as_array().unwrap();
    let anna = teachers.iter().find(|teacher| teacher["email"] == ANNA).unwrap();
    format!("/api/v1/teachers/{}", anna["id"].as_str().unwrap())
}

#[tokio::test]
async fn who_logs_out_loses_the_live_connection_and_nobody_else_does() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut anna = school.teacher(&mut admin, ANNA).await;
    let mut page = school.page(&anna).await;
    let mut others = school.page(&admin).await;
    anna.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
    school.floor.events.tell(Event::FaultChanged);
    assert_eq!(others.event().await, "fault_changed");
}

#[tokio::test]
async fn who_is_not_active_any_more_loses_it_at_once() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let anna = school.teacher(&mut admin, ANNA).await;
    let mut page = school.page(&anna).await;
    let path = account(&mut admin).await;
    admin.patch(&path, json!({ "is_active": false })).await.expect(StatusCode::OK);
    assert_eq!(page.ending().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn a_new_password_closes_it_everywhere_but_where_it_was_set() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let mut here = school.teacher(&mut admin, ANNA).await;
    let elsewhere = school.logged_in(ANNA).await;
    let mut kept = school.page(&here).await;
    let mut lost = school.page(&elsewhere).await;
    let change = json!({ "password": { "old": PASSWORD, "new": "a new password" } });
    here.patch("/api/v1/me", change).await.expect(StatusCode::OK);
    assert_eq!(lost.ending().await, Some(CloseCode::Policy));
    school.floor.events.tell(Event::FaultChanged);
    assert_eq!(kept.event().await, "fault_changed");

    let path = account(&mut admin).await;
    admin.patch(&path, json!({ "password": "yet another" })).await.expect(StatusCode::OK);
    assert_eq!(kept.ending().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn a_box_that_stops_says_so_and_takes_no_teacher_for_gone() {
    let school = TestBox::new().await;
    let admin = school.claimed().await;
    let mut page = school.page(&admin).await;
    let here = school.live.here();
    assert_eq!(here.borrow().len(), 1);
    school.closing.cancel();
    assert_eq!(page.event().await, "bye");
    assert_eq!(page.ending().await, Some(CloseCode::Away));
    assert_eq!(page.ending().await, None);
    assert_eq!(here.borrow().len(), 1);
}
