//! A box that records, in a test: a real database, a real disk, real media, and time in hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod footage;
pub(crate) mod projector;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alfarid_daemon::{
    broadcast::tap::{self, Tapped, TappedPacket, TappedTrack, TrackId},
    clock::Clock,
    config::Config,
    db::{Db, DbError},
    events::{Event, Events, Fragment, Listener},
    floor::Floor,
    health::Health,
    identity,
    recording::{self, NewRecording, Recording, Service, Status},
};
use alfarid_protocol::{
    id::{BoxId, LessonId, PublicationId, RecordingId, TeacherId},
    time::Timestamp,
};
use axum::{
    Router,
    body::Body,
    extract::FromRef,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use rusqlite::params;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::footage::Footage;

/// 2027-01-15T08:00:00Z.
pub(crate) const MORNING: Timestamp = Timestamp(1_800_000_000_000);

/// How long a test waits for what must come: real time, only ever used up by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// From the moment a picture is taken to the tap.
const ON_THE_WAY: Duration = Duration::from_millis(8);

#[derive(Clone, FromRef)]
struct Routed {
    recording: recording::Handle,
    people: identity::Handle,
}

pub(crate) struct Studio {
    dir: PathBuf,
    clock: Clock,
    pub(crate) floor: Floor,
    pub(crate) recording: recording::Handle,
    listener: Listener,
    router: Router,
    service: Option<Service>,
    running: Option<JoinHandle<()>>,
    stopping: CancellationToken,
}

/// A lesson that is being recorded.
pub(crate) struct OnAir {
    pub(crate) lesson: LessonId,
    pub(crate) id: RecordingId,
    tap: mpsc::Sender<Tapped>,
    clock: Clock,
    tracks: u32,
    indices: HashMap<TrackId, u64>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Studio {
    /// Everything lies in `dir`. Nothing runs before [`Studio::start`].
    pub(crate) async fn prepare(dir: &Path) -> Self {
        Self::lay(dir, Clock::manual(MORNING), 0).await
    }

    pub(crate) async fn open(dir: &Path) -> Self {
        Self::with(dir, Clock::manual(MORNING), 0).await
    }

    pub(crate) async fn with(dir: &Path, clock: Clock, min_free_mb: u64) -> Self {
        let mut studio = Self::lay(dir, clock, min_free_mb).await;
        studio.start();
        studio
    }

    pub(crate) fn start(&mut self) {
        let service = self.service.take().unwrap();
        self.running = Some(tokio::spawn(service.run(self.stopping.clone())));
    }

    async fn lay(dir: &Path, clock: Clock, min_free_mb: u64) -> Self {
        let floor = floor(dir, &clock, min_free_mb);
        people(&floor.db).await;
        let (recording, service) = recording::new(floor.clone());
        let stopping = CancellationToken::new();
        let listener = floor.events.listen();
        let people = identity::Handle::new(floor.db.clone(), clock.clone());
        let (router, _) = recording::routes::routes()
            .with_state(Routed { recording: recording.clone(), people })
            .split_for_parts();
        let (dir, service) = (dir.to_owned(), Some(service));
        Self { dir, clock, floor, recording, listener, router, service, running: None, stopping }
    }

    /// As SIGTERM does it.
    pub(crate) async fn close(self) {
        self.stopping.cancel();
        self.running.unwrap().await.unwrap();
    }

    /// As a power cut does it, but that the kernel writes out what it has.
    pub(crate) async fn kill(self) {
        let running = self.running.unwrap();
        running.abort();
        let _ = running.await;
    }

    /// The disk under the database does not answer until what this returns is dropped.
    pub(crate) async fn hold_disk(&self) -> std::sync::mpsc::SyncSender<()> {
        let (release, released) = std::sync::mpsc::sync_channel(1);
        let (reached, busy) = oneshot::channel();
        let db = self.floor.db.clone();
        tokio::spawn(async move {
            let wait = move |_: &rusqlite::Transaction<'_>| {
                let _ = reached.send(());
                let _ = released.recv();
                Ok::<_, DbError>(())
            };
            db.write(wait).await
        });
        busy.await.unwrap();
        release
    }

    pub(crate) async fn record(&self, lesson: u128) -> OnAir {
        self.try_record(lesson).await.unwrap()
    }

    pub(crate) async fn try_record(&self, lesson: u128) -> Result<OnAir, recording::Error> {
        let (tap, reading) = mpsc::channel(tap::WAITING);
        let lesson = LessonId(uuid::Uuid::from_u128(lesson));
        let new = NewRecording {
            lesson,
            teacher: teacher(),
            title: "Fractions".to_owned(),
            class_name: "7b".to_owned(),
            teacher_name: "T. Teacher".to_owned(),
        };
        // Whoever starts a recording waits for no disk.
        let started = tokio::time::timeout(PATIENCE, self.recording.start(new, reading)).await;
        let id = started.unwrap()?;
        let clock = self.clock.clone();
        Ok(OnAir { lesson, id, tap, clock, tracks: 0, indices: HashMap::new() })
    }

    /// The recording when it is neither running nor being read back any more.
    pub(crate) async fn ended(&mut self, id: RecordingId) -> Recording {
        loop {
            let recording = self.recording.get(&person("admin"), id).await.unwrap();
            // It is written down first, and let go of then.
            let is_over = self.recording.running(recording.lesson_id) != Some(id);
            if is_over && matches!(recording.status, Status::Ready | Status::Failed) {
                return recording;
            }
            self.event(|event| {
                matches!(event, Event::RecordingChanged { recording_id, .. } if *recording_id == id)
                    .then_some(())
            })
            .await;
        }
    }

    /// Waits until a recording has its place on the disk.
    pub(crate) async fn begun(&mut self, id: RecordingId) {
        loop {
            let recording = self.recording.get(&person("admin"), id).await;
            if recording.is_ok_and(|recording| recording.status != Status::Starting) {
                return;
            }
            self.event(|event| {
                matches!(event, Event::RecordingChanged { recording_id, .. } if *recording_id == id)
                    .then_some(())
            })
            .await;
        }
    }

    /// Waits until nothing records `lesson`.
    pub(crate) async fn recording_is_over(&mut self, lesson: LessonId) {
        while self.recording.running(lesson).is_some() {
            self.event(|event| matches!(event, Event::RecordingChanged { .. }).then_some(())).await;
        }
    }

    /// The next fragment that is said to be on disk.
    pub(crate) async fn grown(&mut self) -> (String, Fragment) {
        self.event(|event| match event {
            Event::RecordingGrew { segment_id, fragment, .. } => {
                Some((segment_id.clone(), *fragment))
            }
            _ => None,
        })
        .await
    }

    /// The recording when so many pictures are on disk.
    pub(crate) async fn grown_to(&mut self, id: RecordingId, frames: u64) -> Recording {
        loop {
            self.grown().await;
            let recording = self.recording.get(&person("teacher"), id).await.unwrap();
            assert!(recording.frame_count <= frames, "{} of {frames}", recording.frame_count);
            if recording.frame_count == frames {
                return recording;
            }
        }
    }

    pub(crate) async fn event<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.listener.next().await.unwrap();
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("what must come did not within {PATIENCE:?}"))
    }

    /// Where a recording's files lie.
    pub(crate) fn folder(&self, stretch: &str) -> PathBuf {
        self.dir.join("recordings").join(teacher().to_string()).join(stretch)
    }

    /// Asks as `who`: `teacher`, `other` or `admin`.
    pub(crate) async fn ask(
        &self,
        who: &str,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
    ) -> Answer {
        let cookie = format!("{}={who}", identity::extract::COOKIE);
        let mut request =
            Request::builder().method(method).uri(path).header(header::COOKIE, cookie);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    /// Changes something as `who`.
    pub(crate) async fn patch(&self, who: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(path)
            .header(header::COOKIE, format!("{}={who}", identity::extract::COOKIE))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> Answer {
        self.ask(who, Method::GET, path, &[]).await
    }
}

impl OnAir {
    /// Plays all of it side by side, from this moment on; time passes with it.
    pub(crate) async fn play(&mut self, footage: &[&Footage]) {
        self.play_until(footage, Duration::MAX).await;
    }

    /// Plays what was taken before `until`. Returns the tracks, which go on.
    pub(crate) async fn play_until(
        &mut self,
        footage: &[&Footage],
        until: Duration,
    ) -> Vec<TrackId> {
        let start = self.clock.monotonic();
        let mut tracks = Vec::new();
        for footage in footage {
            tracks.push(self.begin(footage).await);
        }
        let mut packets: Vec<_> = footage
            .iter()
            .zip(&tracks)
            .flat_map(|(footage, track)| footage.packets.iter().map(|packet| (*track, packet)))
            .filter(|(_, packet)| packet.taken < until)
            .collect();
        packets.sort_by_key(|(_, packet)| packet.taken);
        for (track, packet) in packets {
            self.send(track, start + packet.taken, packet.bytes.clone()).await;
        }
        tracks
    }

    pub(crate) async fn begin(&mut self, footage: &Footage) -> TrackId {
        self.tracks += 1;
        let id = TrackId(self.tracks);
        let publication = PublicationId(uuid::Uuid::nil());
        let track = TappedTrack { id, kind: footage.kind, codec: footage.codec, publication };
        self.tap.send(Tapped::Started(track)).await.unwrap();
        id
    }

    /// Sends a packet that was taken at `taken`, when it is time.
    pub(crate) async fn send(&mut self, track: TrackId, taken: Duration, packet: bytes::Bytes) {
        let at = taken + ON_THE_WAY;
        self.clock.advance(at.saturating_sub(self.clock.monotonic()));
        let index = self.indices.entry(track).or_insert(70_000);
        *index += 1;
        // A recorder looks for itself.
        let packet =
            TappedPacket { track, index: *index, begins: false, at, playout: None, packet };
        // The recorder may have given up; one that has not takes every packet.
        let taken = tokio::time::timeout(PATIENCE, self.tap.send(Tapped::Packet(packet))).await;
        let _ = taken.unwrap();
    }

    /// Nobody listens any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.tap.is_closed()
    }

    /// Time passes in which nothing comes.
    pub(crate) fn pause(&self, pause: Duration) {
        self.clock.advance(pause);
    }
}

fn floor(dir: &Path, clock: &Clock, min_free_mb: u64) -> Floor {
    let settings = dir.join("alfarid.toml");
    let dir_text = dir.display();
    let text = format!(
        "[storage]\nstate_dir = \"{dir_text}\"\nrecordings_dir = \"{dir_text}/recordings\"\n\
         min_free_mb = {min_free_mb}\n"
    );
    std::fs::write(&settings, text).unwrap();
    let events = Events::default();
    Floor {
        config: Arc::new(Config::load(Some(&settings)).unwrap()),
        clock: clock.clone(),
        db: Db::open(&dir.join("alfarid.db"), &dir.join("backups")).unwrap().db,
        health: Health::new(clock.clone(), events.clone()),
        events,
        box_id: BoxId(uuid::Uuid::nil()),
        started: clock.monotonic(),
    }
}

/// A teacher whose recordings they are, another one, and an admin; each has their own name for a
/// session.
async fn people(db: &Db) {
    db.write(|tx| {
        for (name, role) in [("teacher", "teacher"), ("other", "teacher"), ("admin", "admin")] {
            let id = id_of(name).to_string();
            tx.execute(
                "INSERT OR IGNORE INTO teachers
                     (id, email, password_hash, full_name, role, created_at, updated_at)
                 VALUES (?1, ?2, '', ?2, ?3, 0, 0)",
                params![id, name, role],
            )?;
            tx.execute(
                "INSERT OR IGNORE INTO sessions
                     (token_sha256, teacher_id, created_at, last_seen_at)
                 VALUES (?1, ?2, ?3, ?3)",
                params![Sha256::digest(name.as_bytes()).to_vec(), id, MORNING.0],
            )?;
        }
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
}

pub(crate) fn teacher() -> TeacherId {
    id_of("teacher")
}

fn id_of(name: &str) -> TeacherId {
    TeacherId(uuid::Uuid::from_u128(name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte))))
}

pub(crate) fn person(name: &str) -> identity::Person {
    identity::Person {
        id: id_of(name),
        email: name.to_owned(),
        full_name: name.to_owned(),
        role: if name == "admin" { identity::Role::Admin } else { identity::Role::Teacher },
        language: identity::Language::En,
    }
}

impl Answer {
    /// The body, if the answer has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
