//! A lesson on air for tests: real machines' connections, a real WHIP port, real multicast, all on
//! the loopback interface; only TLS is left out.

// Each test file uses its own part of this.
#![expect(dead_code, reason = "shared by several test files")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

pub(crate) mod machine;

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use alfarid_daemon::{
    attendance,
    broadcast::{self, Airing, Limits},
    clock::{Clock, Evidence},
    config::{Config, Media},
    db::{Db, DbError},
    enrolment,
    events::{Event, Events},
    floor::Floor,
    health::Health,
    http::Peer,
    identity,
    machines::{self, PresenceMessage},
    open_air, recording, settings, viewing,
};
use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, RoomId, TeacherId},
};
use axum::{
    Extension, Router,
    body::Body,
    extract::FromRef,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use rusqlite::params;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use machine::Machine;

/// How long a test waits for what must come: only ever used up by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Clone, FromRef)]
struct Routed {
    broadcast: broadcast::Handle,
    machines: machines::Handle,
    open_air: open_air::Handle,
    people: identity::Handle,
    viewing: viewing::Handle,
}

pub(crate) struct Stage {
    pub(crate) floor: Floor,
    pub(crate) lesson: LessonId,
    pub(crate) room: RoomId,
    pub(crate) teacher: TeacherId,
    pub(crate) colleague: TeacherId,
    pub(crate) broadcast: broadcast::Handle,
    pub(crate) machines: machines::Handle,
    pub(crate) presence: Option<mpsc::Receiver<PresenceMessage>>,
    /// Closes the ports.
    pub(crate) closing: CancellationToken,
    router: Router,
    agents: Router,
    _running: DropGuard,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// With one room, and one lesson in it that "teacher" holds.
    pub(crate) async fn new() -> Self {
        let stage = Self::without_lesson().await;
        stage.broadcast.open(stage.airing()).await.unwrap();
        stage
    }

    pub(crate) async fn without_lesson() -> Self {
        Self::built(|_| {}).await
    }

    /// On a box with other settings of its media.
    pub(crate) async fn with(change: impl FnOnce(&mut Media)) -> Self {
        let stage = Self::built(|config| change(&mut config.media)).await;
        stage.broadcast.open(stage.airing()).await.unwrap();
        stage
    }

    async fn built(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let floor = floor(dir.path(), change);
        let teacher = hire(&floor, "teacher", "teacher").await;
        let colleague = hire(&floor, "colleague", "teacher").await;
        hire(&floor, "admin", "admin").await;
        let room: RoomId = floor.clock.id();
        let sql = "INSERT INTO rooms VALUES (?1, 'Room 12', 0, 0)";
        let insert = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute(sql, [room.to_string()])?;
            Ok::<_, DbError>(())
        };
        floor.db.write(insert).await.unwrap();
        let people = identity::Handle::new(floor.db.clone(), floor.clock.clone());
        let enrolment = enrolment::Handle::open(floor.clone(), people.clone()).await.unwrap();
        let (counts, _) = watch::channel(BTreeMap::new());
        let (machines, outlets, agents) = machines::new(&floor, enrolment, counts);
        let (broadcast, running) = broadcast::new(&floor, machines.clone(), outlets.media);
        let stopping = CancellationToken::new();
        tokio::spawn(running.run(stopping.clone()));
        let (open_air, opening) = open_air::new(&floor, broadcast.clone());
        tokio::spawn(opening.run(stopping.clone()));
        let state = Routed {
            broadcast: broadcast.clone(),
            machines: machines.clone(),
            open_air,
            people,
            viewing: viewing(&floor, &broadcast, &stopping).await,
        };
        let router: Router = broadcast::routes::routes::<Routed>()
            .merge(machines::routes::routes())
            .merge(open_air::routes::routes())
            .merge(viewing::routes())
            .with_state(state)
            .into();
        Self {
            lesson: floor.clock.id(),
            room,
            teacher,
            colleague,
            broadcast,
            machines,
            presence: Some(outlets.presence),
            closing: CancellationToken::new(),
            router,
            agents,
            _running: stopping.drop_guard(),
            _dir: dir,
            floor,
        }
    }

    /// A room without a lesson.
    pub(crate) async fn other_room(&self) -> RoomId {
        let room: RoomId = self.floor.clock.id();
        let sql = "INSERT INTO rooms VALUES (?1, 'Room 13', 0, 0)";
        let insert = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute(sql, [room.to_string()])?;
            Ok::<_, DbError>(())
        };
        self.floor.db.write(insert).await.unwrap();
        room
    }

    pub(crate) fn airing(&self) -> Airing {
        Airing {
            lesson: self.lesson,
            title: "Fractions".into(),
            owner: self.teacher,
            room: self.room,
            machines: None,
            limits: Limits {
                max_fps: 30,
                max_height: 1080,
                max_bitrate_bps: 4_000_000,
                max_audio_bitrate_bps: 128_000,
            },
            picture: Picture::Live,
            recording: false,
            ends_by_itself_at: None,
        }
    }

    /// A machine that has enrolled and been let in, connected.
    pub(crate) async fn machine(&self) -> Machine {
        let mut machine = Machine::enrolled(self, true).await;
        machine.connect(self).await;
        machine.welcome().await;
        machine
    }

    /// Where machines connect that show this certificate.
    pub(crate) async fn agent_port(&self, certificate: Option<Vec<u8>>) -> u16 {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let local = listener.local_addr().unwrap();
        let certificate = certificate.map(Into::into);
        let peer = Peer { address: local, local, certificate, closing: self.closing.clone() };
        let agents = self.agents.clone().layer(Extension(peer));
        tokio::spawn(async move { axum::serve(listener, agents).await });
        local.port()
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let local = (Ipv4Addr::LOCALHOST, 443).into();
        let closing = self.closing.clone();
        let peer = Peer { address: local, local, certificate: None, closing };
        request.extensions_mut().insert(peer);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let cookie = [(header::COOKIE, "__Host-alfarid=teacher")];
        self.call(Method::GET, path, &cookie, Body::empty()).await.expect(StatusCode::OK)
    }

    pub(crate) async fn offer(&self, who: &str, kind: &str, sdp: &str) -> Answer {
        let cookie = format!("__Host-alfarid={who}");
        let headers = [(header::COOKIE, &*cookie), (header::CONTENT_TYPE, "application/sdp")];
        let path = format!("/lessons/{}/whip/{kind}", self.lesson);
        self.call(Method::POST, &path, &headers, sdp.to_owned()).await
    }

    /// Offers at this path are SDP, and of a size that one can have.
    pub(crate) async fn takes_only_sdp(&self, path: &str, good: &str) {
        let cookie = (header::COOKIE, "__Host-alfarid=teacher");
        let text = [cookie.clone(), (header::CONTENT_TYPE, "text/plain")];
        let refused = self.call(Method::POST, path, &text, good.to_owned()).await;
        assert_eq!(refused.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE), "sdp_expected");
        let sdp = [cookie, (header::CONTENT_TYPE, "application/sdp")];
        let refused = self.call(Method::POST, path, &sdp, vec![b'a'; 70_000]).await;
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    /// An offer to watch.
    pub(crate) async fn watch(&self, who: &str, sdp: &str) -> Answer {
        let cookie = format!("__Host-alfarid={who}");
        let headers = [(header::COOKIE, &*cookie), (header::CONTENT_TYPE, "application/sdp")];
        let path = format!("/lessons/{}/whep", self.lesson);
        self.call(Method::POST, &path, &headers, sdp.to_owned()).await
    }

    /// The same, by a page that was this viewer before.
    pub(crate) async fn watch_after(&self, who: &str, sdp: &str, former: &str) -> Answer {
        let cookie = format!("__Host-alfarid={who}");
        let headers = [(header::COOKIE, &*cookie), (header::CONTENT_TYPE, "application/sdp")];
        let path = format!("/lessons/{}/whep?former={former}", self.lesson);
        self.call(Method::POST, &path, &headers, sdp.to_owned()).await
    }

    /// Waits until the lesson's stream is as wanted.
    pub(crate) async fn until_stream(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let mut events = self.floor.events.listen();
        let waiting = async {
            loop {
                last = self.get(&format!("/lessons/{}/stream", self.lesson)).await;
                if wanted(&last) {
                    return;
                }
                while !matches!(events.next().await, Some(Event::StreamChanged { .. })) {}
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "the stream never was: {what}; it is {last:#}");
        last
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The stable code of a problem.
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode) -> String {
        self.expect(status)["code"].as_str().unwrap().to_owned()
    }
}

fn floor(dir: &Path, change: impl FnOnce(&mut Config)) -> Floor {
    let db = Db::open(&dir.join("alfarid.db"), &dir.join("backups")).unwrap().db;
    let events = Events::default();
    let settings = dir.join("alfarid.toml");
    std::fs::write(&settings, "[media]\nwhip_listen = \"127.0.0.1:0\"\n").unwrap();
    let mut config = Config::load(Some(&settings)).unwrap();
    dir.clone_into(&mut config.storage.state_dir);
    change(&mut config);
    // Media runs by the real clock.
    let clock = Clock::start(Evidence { vouched: true, ..Evidence::default() });
    Floor {
        config: Arc::new(config),
        db,
        health: Health::new(clock.clone(), events.clone()),
        events,
        box_id: clock.id(),
        started: clock.monotonic(),
        clock,
    }
}

/// Watching, in a school without students.
async fn viewing(
    floor: &Floor,
    broadcast: &broadcast::Handle,
    stopping: &CancellationToken,
) -> viewing::Handle {
    let Floor { db, clock, events, .. } = floor;
    let settings = settings::Handle::open(db.clone(), clock.clone()).await.unwrap();
    let (_, presence) = mpsc::channel(1);
    let pages = attendance::Pages::new(clock.clone());
    let (attendance, keeping) = attendance::new(floor, settings, presence, pages);
    tokio::spawn(keeping.run(stopping.clone()));
    let (recording, _) = recording::new(floor.clone());
    viewing::Handle::new(clock.clone(), events.clone(), attendance, broadcast.clone(), recording)
}

/// A person whose session cookie and stream key are their name.
async fn hire(floor: &Floor, name: &'static str, role: &'static str) -> TeacherId {
    let id: TeacherId = floor.clock.id();
    let hash = Sha256::digest(name.as_bytes()).to_vec();
    let now = floor.clock.now();
    let insert = move |tx: &rusqlite::Transaction<'_>| {
        tx.execute(
            "INSERT INTO teachers (id, email, password_hash, full_name, role, stream_key_sha256,
                                   created_at, updated_at)
             VALUES (?1, ?2, '', ?2, ?3, ?4, 0, 0)",
            params![id.to_string(), name, role, hash],
        )?;
        tx.execute(
            "INSERT INTO sessions (token_sha256, teacher_id, created_at, last_seen_at)
             VALUES (?1, ?2, ?3, ?3)",
            params![hash, id.to_string(), now.0],
        )?;
        Ok::<_, DbError>(())
    };
    floor.db.write(insert).await.unwrap();
    id
}
