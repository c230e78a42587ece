//! The control connection of machines: real WebSockets, a real database, real keys.

mod stage;

use std::time::Duration;

use alfarid_daemon::{
    events::Event,
    machines::{Link, PresenceMessage},
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    id::{LessonId, SpanId},
    span::{Mark, MarkKind},
    version,
};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use stage::{
    PATIENCE, Stage,
    machine::{Machine, Said},
};

const ADMIN: (header::HeaderName, &str) = (header::COOKIE, "__Host-alfarid=admin");
const TEACHER: (header::HeaderName, &str) = (header::COOKIE, "__Host-alfarid=teacher");
const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

#[tokio::test]
async fn a_machine_that_says_hello_is_welcome_and_linked() {
    let mut stage = Stage::without_lesson().await;
    let mut presence = stage.presence.take().unwrap();
    let mut machine = Machine::enrolled(&stage, true).await;
    machine.connect(&stage).await;
    let room = machine
        .until("a welcome", |message| match message {
            FromBox::Welcome { approved: true, room, marks_through: 0, .. } => Some(room),
            _ => None,
        })
        .await;
    assert_eq!(room, "Room 12");
    assert!(matches!(
        presence.recv().await,
        Some(PresenceMessage::Connected { machine: id, .. }) if id == machine.id
    ));
    let links = stage.machines.links();
    assert!(matches!(&*links, [Link { machine: id, room, .. }]
        if *id == machine.id && *room == stage.room));
    let listed = stage.get(&format!("/machines?room_id={}", stage.room)).await;
    assert_eq!(listed["items"][0]["is_connected"], true);
    assert_eq!(listed["items"][0]["agent_version"], "0.1.0");
    drop(machine);
    assert!(matches!(presence.recv().await, Some(PresenceMessage::Gone { .. })));
    assert_eq!(stage.get("/machines").await["items"][0]["is_connected"], false);
}

#[tokio::test]
async fn whoever_cannot_be_served_is_told_why() {
    let stage = Stage::without_lesson().await;
    let mut old = Machine::enrolled(&stage, true).await;
    old.dial(&stage).await;
    old.hello(version::OLDEST - 1).await;
    let (code, detail) = refusal(&mut old).await;
    assert_eq!(code, RefusalCode::AgentTooOld);
    assert!(detail.contains("update the package alfarid-agent"), "{detail}");

    let mut new = Machine::enrolled(&stage, true).await;
    new.dial(&stage).await;
    new.hello(version::CURRENT + 1).await;
    assert_eq!(refusal(&mut new).await.0, RefusalCode::BoxTooOld);

    let mut stranger = Machine::stranger(&stage);
    stranger.connect(&stage).await;
    assert_eq!(refusal(&mut stranger).await.0, RefusalCode::MachineUnknown);

    let mut rude = Machine::enrolled(&stage, true).await;
    rude.dial(&stage).await;
    rude.say(&FromMachine::Marks { marks: Vec::new() }).await;
    assert_eq!(refusal(&mut rude).await.0, RefusalCode::BadMessage);

    let mut unclaimed = Machine::stranger(&stage);
    unclaimed.dial(&stage).await;
    let enrol = FromMachine::Enrol {
        protocol: version::CURRENT,
        agent_version: "0.1.0".into(),
        name: "pc-02".into(),
        secret: "AAAA".into(),
        csr_pem: String::new(),
    };
    unclaimed.say(&enrol).await;
    assert_eq!(refusal(&mut unclaimed).await.0, RefusalCode::TryLater);
}

#[tokio::test]
async fn the_newest_connection_of_a_machine_is_the_one() {
    let stage = Stage::without_lesson().await;
    let mut older = stage.machine().await;
    let mut newer = older.twin();
    newer.connect(&stage).await;
    newer.welcome().await;
    assert_eq!(refusal(&mut older).await.0, RefusalCode::Replaced);
    assert!(matches!(older.next().await, Said::Closed));
    let withdraw = FromBox::Withdraw { lesson: LessonId(uuid::Uuid::nil()) };
    stage.machines.say(newer.id, withdraw);
    newer
        .until("a word", |message| matches!(message, FromBox::Withdraw { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn a_ping_is_answered_and_marks_are_acknowledged_once_they_are_on_disk() {
    let mut stage = Stage::without_lesson().await;
    let mut presence = stage.presence.take().unwrap();
    let mut events = stage.floor.events.listen();
    let mut machine = stage.machine().await;
    let now = machine.now();
    machine.say(&FromMachine::Ping { now }).await;
    let echoed = machine
        .until("a pong", |message| match message {
            FromBox::Pong { machine, .. } => Some(machine),
            _ => None,
        })
        .await;
    assert_eq!(echoed, now);
    let mark = Mark { seq: 1, span: SpanId(uuid::Uuid::nil()), at: now, kind: MarkKind::Opened };
    machine.say(&FromMachine::Marks { marks: vec![mark] }).await;
    let applied = loop {
        if let Some(PresenceMessage::Marks { marks, applied, .. }) = presence.recv().await {
            assert_eq!(marks, [mark]);
            break applied;
        }
    };
    applied.send(1).unwrap();
    let acked = |message| matches!(message, FromBox::MarksAcked { through: 1 }).then_some(());
    machine.until("an acknowledgement", acked).await;
    let told =
        async { while !matches!(events.next().await, Some(Event::MachineChanged { .. })) {} };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(stage.get("/machines").await["items"][0]["session_in_use"], true);
}

#[tokio::test]
async fn a_machine_waits_until_it_is_let_in() {
    let mut stage = Stage::new().await;
    let mut presence = stage.presence.take().unwrap();
    let mut machine = Machine::enrolled(&stage, false).await;
    machine.connect(&stage).await;
    assert!(!machine.welcome().await);
    let mark =
        Mark { seq: 1, span: SpanId(uuid::Uuid::nil()), at: machine.now(), kind: MarkKind::Opened };
    machine.say(&FromMachine::Marks { marks: vec![mark] }).await;
    machine.say(&FromMachine::Ping { now: machine.now() }).await;
    let pong = |message| matches!(message, FromBox::Pong { .. }).then_some(());
    machine.until("a pong", pong).await;
    assert!(presence.try_recv().is_err(), "it has nothing to tell yet");
    assert!(stage.machines.links().is_empty());

    let path = format!("/machines/{}", machine.id);
    let body = json!({"is_approved": true, "name": "Window seat"}).to_string();
    let refused = stage.call(Method::PATCH, &path, &[TEACHER, JSON], body.clone()).await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "admins_only");
    let changed = stage.call(Method::PATCH, &path, &[ADMIN, JSON], body).await;
    assert_eq!(changed.expect(StatusCode::OK)["name"], "Window seat");
    assert!(matches!(machine.next().await, Said::Closed), "it dials in again");
    machine.connect(&stage).await;
    assert!(machine.welcome().await);
    let scene = |message| matches!(message, FromBox::Stage(_)).then_some(());
    machine.until("the lesson", scene).await;
}

#[tokio::test]
async fn a_machine_that_lost_its_trust_is_out_at_once_and_for_good() {
    let stage = Stage::without_lesson().await;
    let mut machine = stage.machine().await;
    let path = format!("/machines/{}/revoke", machine.id);
    let done = stage.call(Method::POST, &path, &[ADMIN], Body::empty()).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(refusal(&mut machine).await.0, RefusalCode::MachineRevoked);
    machine.connect(&stage).await;
    assert_eq!(refusal(&mut machine).await.0, RefusalCode::MachineRevoked);
    assert_eq!(stage.get("/machines").await["items"], json!([]));
}

#[tokio::test]
async fn what_a_newer_agent_says_is_passed_over_and_a_flood_is_not() {
    let stage = Stage::without_lesson().await;
    let mut machine = stage.machine().await;
    machine.send(Message::text(r#"{"type":"dance"}"#)).await;
    machine.say(&FromMachine::Ping { now: machine.now() }).await;
    let pong = |message| matches!(message, FromBox::Pong { .. }).then_some(());
    machine.until("a pong", pong).await;
    for _ in 0..400 {
        let message = Message::text(r#"{"type":"dance"}"#);
        if !machine.try_send(message).await {
            break;
        }
    }
    assert_eq!(refusal(&mut machine).await.0, RefusalCode::BadMessage);
}

#[tokio::test]
async fn a_machine_that_does_not_read_loses_its_connection_and_nobody_waits() {
    let stage = Stage::without_lesson().await;
    let machine = stage.machine().await;
    let mut events = stage.floor.events.listen();
    let picture = bytes::Bytes::from(vec![0; 60_000]);
    let in_time = tokio::time::timeout(Duration::from_secs(5), async {
        // Pictures that do not fit are dropped; words that do not fit end the connection.
        for _ in 0..1_000 {
            stage.machines.send(machine.id, picture.clone());
        }
        for _ in 0..200 {
            let withdraw = FromBox::Withdraw { lesson: LessonId(uuid::Uuid::nil()) };
            stage.machines.say(machine.id, withdraw);
        }
    });
    in_time.await.expect("somebody waited for a machine that does not read");
    let gone = async {
        while !stage.machines.links().is_empty() {
            events.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the machine is still linked");
}

/// What the box says when it will not go on.
async fn refusal(machine: &mut Machine) -> (RefusalCode, String) {
    machine
        .until("a refusal", |message| match message {
            FromBox::Refused { code, detail } => Some((code, detail)),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_box_that_stops_closes_every_connection_and_says_why() {
    let mut stage = Stage::without_lesson().await;
    let mut presence = stage.presence.take().unwrap();
    let mut machine = stage.machine().await;
    let mut silent = Machine::enrolled(&stage, true).await;
    silent.dial(&stage).await;
    stage.closing.cancel();
    assert_eq!(machine.close_code().await, Some(CloseCode::Away));
    assert_eq!(silent.close_code().await, Some(CloseCode::Away));
    while !matches!(presence.recv().await, Some(PresenceMessage::Gone { .. })) {}
}
