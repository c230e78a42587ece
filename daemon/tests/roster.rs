//! Rooms, classes, students and seatings, by the routes that pages use.

mod support;

use axum::http::StatusCode;
use serde_json::json;

use support::TestBox;

#[tokio::test]
async fn a_class_gets_students() {
    let school = TestBox::new().await;
    let mut admin = school.claimed().await;
    let class = admin.post("/api/v1/classes", json!({ "name": "7 Б" })).await;
    let class = class.expect(StatusCode::CREATED);
    let path = format!("/api/v1/classes/{}/students", class["id"].as_str().unwrap());
    for (number, name) in [("102", "Second Student"), ("101", "First Student")] {
        let form = json!({ "student_id": number, "full_name": name });
        admin.post(&path, form).await.expect(StatusCode::CREATED);
    }
    let students = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(students["items"][0]["student_id"], "101");
    assert_eq!(students["items"].as_array().unwrap().len(), 2);

    let twice = admin.post(&path, json!({ "student_id": "101", "full_name": "X" })).await;
    assert_eq!(twice.refused(), (409, "number_taken".to_owned()));
}
