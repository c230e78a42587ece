//! A lesson that has begun, and what the register says of it.

use alfarid_daemon::attendance::Record;
use alfarid_protocol::id::LessonId;
use axum::http::StatusCode;
use serde_json::Value;

use super::{Machine, School};

/// A lesson of 45 minutes has just begun; every machine is connected and nobody uses one.
pub(crate) async fn begun(size: usize) -> (School, LessonId, Vec<Machine>) {
    let school = School::new(size).await;
    let machines: Vec<_> = (0..size).map(|n| Machine::new(&school, n)).collect();
    for machine in &machines {
        machine.connect(&school).await;
    }
    let lesson = school.start().await;
    (school, lesson, machines)
}

pub(crate) async fn end(school: &School, lesson: LessonId) -> Vec<Record> {
    school.post(&format!("/lessons/{lesson}/end"), Value::Null).await.expect(StatusCode::OK);
    records(school, lesson).await
}

pub(crate) async fn records(school: &School, lesson: LessonId) -> Vec<Record> {
    school.opened.attendance.sheet(lesson, &school.admin()).await.unwrap().records
}

pub(crate) async fn people(school: &School, lesson: LessonId) -> Vec<Value> {
    let people = school.get(&format!("/lessons/{lesson}/people")).await.expect(StatusCode::OK);
    people["items"].as_array().unwrap().clone()
}

pub(crate) async fn states(school: &School, lesson: LessonId) -> Vec<String> {
    let people = people(school, lesson).await;
    people.iter().map(|person| person["state"].as_str().unwrap().to_owned()).collect()
}
