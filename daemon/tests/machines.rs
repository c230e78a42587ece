//! The control connection of machines: real WebSockets, a real database, real keys.

mod stage;

use std::time::Duration;

use alfarid_daemon::{
    db::DbError,
    events::Event,
    machines::{Link, Machine as Listed, PresenceMessage},
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    id::{LessonId, SpanId},
    span::{MARKS_PER_MESSAGE, Mark, MarkKind},
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

/// Who looks after the machines sees which are on and what to update, and not only that they are
/// off.
#[tokio::test]
async fn a_machine_that_is_too_old_is_seen_as_such_until_it_is_updated() {
    let stage = Stage::without_lesson().await;
    let mut old = Machine::enrolled(&stage, true).await;
    for (protocol, refused) in
        [(version::OLDEST - 1, "agent_too_old"), (version::CURRENT + 1, "box_too_old")]
    {
        old.dial(&stage).await;
        old.hello(protocol).await;
        refusal(&mut old).await;
        let listed = &stage.get("/machines").await["items"][0];
        assert_eq!(listed["refused"], refused);
        assert_eq!(listed["is_connected"], false);
        assert_eq!(listed["agent_version"], "0.1.0");
    }

    old.connect(&stage).await;
    old.welcome().await;
    let listed = &stage.get("/machines").await["items"][0];
    assert_eq!(listed["refused"], serde_json::Value::Null);
    assert_eq!(listed["is_connected"], true);
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
    let pong = |message| match message {
        FromBox::Pong { machine, ticks, .. } => Some((machine, ticks)),
        _ => None,
    };
    machine.say(&FromMachine::Ping { now, sent_ns: None }).await;
    assert_eq!(machine.until("a pong", pong).await, (now, None));
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let before = nanos(stage.floor.clock.monotonic());
    machine.say(&FromMachine::Ping { now, sent_ns: Some(7) }).await;
    let (_, ticks) = machine.until("a pong with ticks", pong).await;
    let after = nanos(stage.floor.clock.monotonic());
    let ticks = ticks.unwrap();
    let in_order = [before, ticks.heard_ns, ticks.answered_ns, after];
    assert!(in_order.is_sorted(), "{in_order:?}");
    assert_eq!(ticks.sent_ns, 7);
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
    machine.say(&FromMachine::Ping { now: machine.now(), sent_ns: None }).await;
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
    machine.say(&FromMachine::Ping { now: machine.now(), sent_ns: None }).await;
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

/// An admin acts after the machine was recognised and before its welcome is through: what would be
/// missed if it were looked up first and registered afterwards.
#[tokio::test]
async fn what_an_admin_does_while_a_machine_is_greeted_is_not_missed() {
    for is_revoked in [true, false] {
        let stage = Stage::without_lesson().await;
        let mut machine = Machine::enrolled(&stage, true).await;
        let release = hold_writer(&stage).await;
        let act = async {
            let (method, path, body) = if is_revoked {
                (Method::POST, format!("/machines/{}/revoke", machine.id), String::new())
            } else {
                let body = json!({"is_approved": false}).to_string();
                (Method::PATCH, format!("/machines/{}", machine.id), body)
            };
            stage.call(method, &path, &[ADMIN, JSON], body).await.status
        };
        let mut guest = machine.twin();
        let come = async {
            guest.connect(&stage).await;
            until_connected(&stage).await;
            release.send(()).unwrap();
        };
        let (status, ()) = tokio::join!(act, come);
        assert!(status.is_success(), "{status}");
        if is_revoked {
            assert_eq!(refusal(&mut guest).await.0, RefusalCode::MachineRevoked);
        } else {
            while !matches!(guest.next().await, Said::Closed) {}
            machine.connect(&stage).await;
            assert!(!machine.welcome().await);
        }
        assert!(stage.machines.links().is_empty());
    }
}

#[tokio::test]
async fn hanging_up_forgives_no_flood() {
    let stage = Stage::without_lesson().await;
    let mut machine = stage.machine().await;
    let dance = || Message::text(r#"{"type":"dance"}"#);
    while machine.try_send(dance()).await {}
    machine.connect(&stage).await;
    machine.welcome().await;
    for _ in 0..100 {
        machine.try_send(dance()).await;
    }
    assert_eq!(refusal(&mut machine).await.0, RefusalCode::BadMessage);

    let mut neighbour = stage.machine().await;
    neighbour.say(&FromMachine::Ping { now: neighbour.now(), sent_ns: None }).await;
    let pong = |message| matches!(message, FromBox::Pong { .. }).then_some(());
    neighbour.until("a pong", pong).await;
}

#[tokio::test]
async fn a_machine_that_dials_in_too_often_is_told_to_come_later_and_keeps_what_it_has() {
    let stage = Stage::without_lesson().await;
    let mut machine = stage.machine().await;
    let mut refused = None;
    for _ in 0..200 {
        let mut again = machine.twin();
        again.connect(&stage).await;
        let heard = |message| match message {
            FromBox::Welcome { .. } => Some(None),
            FromBox::Refused { code, .. } => Some(Some(code)),
            _ => None,
        };
        refused = again.until("an answer", heard).await;
        if refused.is_some() {
            break;
        }
        machine = again;
    }
    assert_eq!(refused, Some(RefusalCode::TryLater));
    machine.say(&FromMachine::Ping { now: machine.now(), sent_ns: None }).await;
    let pong = |message| matches!(message, FromBox::Pong { .. }).then_some(());
    machine.until("a pong", pong).await;
}

#[tokio::test]
async fn marks_come_in_messages_of_a_size_and_hold_up_nothing_else() {
    let mut stage = Stage::without_lesson().await;
    let mut presence = stage.presence.take().unwrap();
    let mut machine = stage.machine().await;
    let mark = |seq, at| Mark { seq, span: SpanId(uuid::Uuid::nil()), at, kind: MarkKind::Until };
    let now = machine.now();
    let most = MARKS_PER_MESSAGE as u64;
    let marks: Vec<_> = (1..=most).map(|seq| mark(seq, now)).collect();
    machine.say(&FromMachine::Marks { marks: marks.clone() }).await;
    // Nobody has written them down yet.
    machine.say(&FromMachine::Ping { now, sent_ns: None }).await;
    let pong = |message| matches!(message, FromBox::Pong { .. }).then_some(());
    machine.until("a pong", pong).await;
    let told = async {
        loop {
            if let Some(PresenceMessage::Marks { marks, .. }) = presence.recv().await {
                return marks;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap(), marks);
    let marks = (1..=most + 1).map(|seq| mark(seq, now)).collect();
    machine.say(&FromMachine::Marks { marks }).await;
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

/// Keeps everything from being written until it is told to go on.
async fn hold_writer(stage: &Stage) -> std::sync::mpsc::SyncSender<()> {
    let (release, released) = std::sync::mpsc::sync_channel(1);
    let (starting, is_held) = tokio::sync::oneshot::channel();
    let db = stage.floor.db.clone();
    tokio::spawn(async move {
        let hold = move |_: &rusqlite::Transaction<'_>| {
            // Whoever waits for this waits below.
            let _ = starting.send(());
            let _ = released.recv();
            Ok::<_, DbError>(())
        };
        db.write(hold).await
    });
    let _ = is_held.await;
    release
}

/// Waits until the table knows a machine, which nothing tells of before it is welcome.
async fn until_connected(stage: &Stage) {
    let connected = async {
        let is_connected = |machines: Vec<_>| machines.iter().any(|one: &Listed| one.is_connected);
        while !stage.machines.list(None).await.is_ok_and(is_connected) {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, connected).await;
    assert!(in_time.is_ok(), "the machine is not registered");
}
