//! A small school for tests: a real database in a directory of its own, a clock in hand, one room
//! of machines, one class, a few teachers, and the routers of `lesson`, of `attendance` and of what
//! a student needs to be in one.

#![expect(dead_code, reason = "shared by several test files")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../support/page.rs"]
pub(crate) mod page;
pub(crate) mod register;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use alfarid_daemon::{
    attendance::{self, Mode, Move},
    broadcast,
    clock::Clock,
    config::Config,
    db::{Db, DbError},
    enrolment,
    events::{Event, Events, Listener},
    floor::Floor,
    health::Health,
    http::Peer,
    identity::{self, Language, Person, Role},
    lesson,
    live::{self, Live},
    machines::{self, PresenceMessage},
    recording, roster, settings, viewing,
};
use alfarid_protocol::{
    id::{BootId, ClassId, LessonId, MachineId, RoomId, SpanId, StudentId, TeacherId},
    span::{Mark, MarkKind, Moment},
    time::Timestamp,
};
use axum::{
    Extension, Router,
    body::Body,
    extract::FromRef,
    http::{Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use rusqlite::params;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::page::Page;

/// Monday, 2027-02-01, nine o'clock UTC.
pub(crate) const NINE: Timestamp = Timestamp(1_801_472_400_000);

/// How long a test waits for what must come: real time, only ever used up by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, FromRef)]
struct Routed {
    lessons: lesson::Handle,
    attendance: attendance::Handle,
    people: identity::Handle,
    roster: roster::Handle,
    live: Live,
    viewing: viewing::Handle,
}

/// How many live pages each teacher has open.
type Pages = watch::Sender<HashMap<TeacherId, usize>>;

pub(crate) struct School {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) floor: Floor,
    pub(crate) teachers: Vec<TeacherId>,
    pub(crate) room: RoomId,
    pub(crate) class: ClassId,
    pub(crate) students: Vec<StudentId>,
    /// `machines[n]` is where `students[n]` sits.
    pub(crate) machines: Vec<MachineId>,
    pub(crate) pages: Pages,
    pub(crate) opened: Opened,
}

/// What a start of the box makes anew.
pub(crate) struct Opened {
    pub(crate) lessons: lesson::Handle,
    pub(crate) attendance: attendance::Handle,
    pub(crate) broadcast: broadcast::Handle,
    pub(crate) recording: recording::Handle,
    /// Of students.
    pub(crate) pages: attendance::Pages,
    presence: mpsc::Sender<PresenceMessage>,
    router: Router,
    recorders: Option<recording::Service>,
    running: Running,
}

struct Running {
    stopping: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl School {
    /// With `size` students, each with a seat of their own.
    pub(crate) async fn new(size: usize) -> Self {
        Self::with(size, |_| {}).await
    }

    pub(crate) async fn with(size: usize, set: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NINE);
        let floor = floor(&dir, &clock, set);
        let mut teachers = Vec::new();
        for name in ["teacher", "colleague", "admin"] {
            teachers.push(hire(&floor, name).await);
        }
        let room = clock.id();
        let class = clock.id();
        let students: Vec<StudentId> = (0..size).map(|_| clock.id()).collect();
        let machines: Vec<MachineId> = (0..size).map(|_| clock.id()).collect();
        furnish(&floor, teachers[0], room, class, &students, &machines).await;
        let pages = Pages::new([(teachers[0], 1)].into());
        let mut opened = open(&floor, &pages).await;
        opened.start_recorders();
        Self { dir, clock, floor, teachers, room, class, students, machines, pages, opened }
    }

    /// Ends every task and starts new ones on the same database, as a restarted box would.
    pub(crate) async fn restart(&mut self) {
        self.restart_without_recorders().await;
        self.start_recorders();
    }

    /// As [`School::restart`], but what records does not come to work before
    /// [`School::start_recorders`].
    pub(crate) async fn restart_without_recorders(&mut self) {
        self.opened.running.stopping.cancel();
        for task in self.opened.running.tasks.drain(..) {
            task.await.unwrap();
        }
        self.opened = open(&self.floor, &self.pages).await;
    }

    pub(crate) fn start_recorders(&mut self) {
        self.opened.start_recorders();
    }

    /// The teacher whose class it is, who has a page open, closes it, or opens it again.
    pub(crate) fn page_is_open(&self, is_open: bool) {
        let count = usize::from(is_open);
        self.pages.send_modify(|pages| {
            pages.retain(|teacher, _| *teacher != self.teachers[0]);
            pages.extend((count > 0).then_some((self.teachers[0], count)));
        });
    }

    pub(crate) fn admin(&self) -> Person {
        Person {
            id: self.teachers[2],
            email: "admin".into(),
            full_name: "admin".into(),
            role: Role::Admin,
            language: Language::Ru,
        }
    }

    /// Takes a student's seat away before anything was seen from it.
    pub(crate) async fn unseat(&self, student: usize, lesson: LessonId) {
        let seat = Move { student: self.students[student], machine: None, mode: Mode::WasWrong };
        self.opened.attendance.move_seat(lesson, seat, &self.admin()).await.unwrap();
    }

    /// A student sits nowhere when this class is in this room.
    pub(crate) async fn without_seat(&self, student: usize) {
        let id = self.students[student].to_string();
        let write = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute("DELETE FROM seatings WHERE student_id = ?1", [&id])?;
            Ok::<_, DbError>(())
        };
        self.floor.db.write(write).await.unwrap();
    }

    /// The lines of every `events` file among the recordings.
    pub(crate) fn recorded_events(&self) -> Vec<Value> {
        let mut waiting = vec![self.dir.path().join("recordings")];
        let mut lines = Vec::new();
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.parent().is_some_and(|dir| dir.ends_with("events")) {
                    let text = std::fs::read_to_string(path).unwrap();
                    lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
                }
            }
        }
        lines
    }

    /// A second class of the same teacher, without students.
    pub(crate) async fn another_class(&self) -> ClassId {
        let (class, teacher): (ClassId, _) = (self.clock.id(), self.teachers[0]);
        let write = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute(
                "INSERT INTO classes (id, name, teacher_id, created_at, updated_at)
                 VALUES (?1, '9 B', ?2, 0, 0)",
                [class.to_string(), teacher.to_string()],
            )?;
            Ok::<_, DbError>(())
        };
        self.floor.db.write(write).await.unwrap();
        class
    }

    pub(crate) async fn rename(&self, student: usize, name: &'static str) {
        let id = self.students[student].to_string();
        let write = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute("UPDATE students SET full_name = ?2 WHERE id = ?1", [&id, name])?;
            Ok::<_, DbError>(())
        };
        self.floor.db.write(write).await.unwrap();
    }

    /// From now on the disk takes no change of what stands in `table`.
    pub(crate) async fn refuse(&self, table: &'static str) {
        self.execute(format!(
            "CREATE TRIGGER refuse_{table} BEFORE UPDATE ON {table}
             BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        ))
        .await;
    }

    /// Ends what [`School::refuse`] began.
    pub(crate) async fn take_again(&self, table: &'static str) {
        self.execute(format!("DROP TRIGGER refuse_{table}")).await;
    }

    async fn execute(&self, sql: String) {
        let write = move |tx: &rusqlite::Transaction<'_>| Ok::<_, DbError>(tx.execute_batch(&sql)?);
        self.floor.db.write(write).await.unwrap();
    }

    /// What a query of one number says.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.floor
            .db
            .read(move |c| Ok::<_, DbError>(c.query_row(sql, [], |row| row.get(0))?))
            .await
            .unwrap()
    }

    pub(crate) fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(minutes * 60));
    }

    pub(crate) fn listen(&self) -> Listener {
        self.floor.events.listen()
    }

    /// As the teacher whose class it is.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("teacher", "POST", path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("teacher", "GET", path, Value::Null).await
    }

    /// As `who`: teacher, colleague, admin or a stranger; or a student who has signed in.
    pub(crate) async fn call(&self, who: &str, method: &str, path: &str, body: Value) -> Answer {
        let response = self.send(who, method, path, body).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, bytes }
    }

    /// A student signs in by a code that the teacher has just made. Returns as whom to call.
    pub(crate) async fn sign_in(&self, student: usize) -> String {
        let codes = format!("/classes/{}/codes", self.class);
        let wish = serde_json::json!({ "student_ids": [self.students[student]] });
        let made = self.post(&codes, wish).await.expect(StatusCode::CREATED);
        let typed = serde_json::json!({ "code": made["items"][0]["code"] });
        let signed_in = self.send("nobody", "POST", "/session/student", typed).await;
        assert_eq!(signed_in.status(), StatusCode::OK);
        let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
        let (_, session) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        session.to_owned()
    }

    /// Offers to watch, as WHEP has it.
    pub(crate) async fn watch(&self, who: &str, lesson: LessonId, offer: &str) -> Answer {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/api/v1/lessons/{lesson}/whep"))
            .header(header::COOKIE, format!("__Host-alfarid={who}"))
            .header(header::CONTENT_TYPE, "application/sdp")
            .body(Body::from(offer.to_owned()))
            .unwrap();
        let response = self.opened.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, bytes }
    }

    /// The live page of `who`.
    pub(crate) async fn page(&self, who: &str) -> Page {
        Page::open(self.opened.router.clone(), who).await
    }

    async fn send(&self, who: &str, method: &str, path: &str, body: Value) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::COOKIE, format!("__Host-alfarid={who}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        let request = request.body(body).unwrap();
        self.opened.router.clone().oneshot(request).await.unwrap()
    }

    /// Starts a lesson of 45 minutes for the whole room.
    pub(crate) async fn start(&self) -> LessonId {
        let answer = self
            .post(
                "/lessons/start",
                serde_json::json!({"class_id": self.class, "room_id": self.room}),
            )
            .await;
        answer.expect(StatusCode::CREATED)["id"].as_str().unwrap().parse().unwrap()
    }

    /// Returns when it was heard.
    pub(crate) async fn tell(&self, message: PresenceMessage) {
        self.opened.presence.send(message).await.unwrap();
        // What is told is heard in order: an empty batch after it is answered after it.
        let (applied, heard) = oneshot::channel();
        let nothing =
            PresenceMessage::Marks { machine: self.machines[0], marks: Vec::new(), applied };
        self.opened.presence.send(nothing).await.unwrap();
        heard.await.unwrap();
    }
}

/// A student machine as the box hears it: its clock runs with the test's, from its own zero.
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    pub(crate) boot: BootId,
    pub(crate) span: SpanId,
    booted_at: Duration,
    seq: u64,
}

impl Machine {
    pub(crate) fn new(school: &School, n: usize) -> Self {
        Self {
            id: school.machines[n],
            boot: school.clock.id(),
            span: school.clock.id(),
            booted_at: school.clock.monotonic(),
            seq: 0,
        }
    }

    /// Starts again: its clock from zero, its numbers go on.
    pub(crate) fn reboot(&mut self, school: &School) {
        self.boot = school.clock.id();
        self.booted_at = school.clock.monotonic();
    }

    pub(crate) fn now(&self, school: &School) -> Moment {
        let up = school.clock.monotonic().checked_sub(self.booted_at).unwrap();
        Moment { boot: self.boot, monotonic_ms: u64::try_from(up.as_millis()).unwrap() + 1_000_000 }
    }

    pub(crate) async fn connect(&self, school: &School) {
        let (machine, now, box_time) = (self.id, self.now(school), school.clock.now());
        school.tell(PresenceMessage::Connected { machine, now, box_time }).await;
    }

    pub(crate) async fn ping(&self, school: &School) {
        let (machine, moment, box_time) = (self.id, self.now(school), school.clock.now());
        school.tell(PresenceMessage::Clock { machine, moment, box_time }).await;
    }

    pub(crate) async fn disconnect(&self, school: &School) {
        let (machine, box_time) = (self.id, school.clock.now());
        school.tell(PresenceMessage::Gone { machine, box_time }).await;
    }

    /// Writes a mark down, as the machine does before it sends it.
    pub(crate) fn mark(&mut self, school: &School, kind: MarkKind) -> Mark {
        if kind == MarkKind::Opened {
            self.span = school.clock.id();
        }
        self.seq += 1;
        Mark { seq: self.seq, span: self.span, at: self.now(school), kind }
    }

    /// Sends marks and waits for the acknowledgement.
    pub(crate) async fn send(&self, school: &School, marks: Vec<Mark>) -> u64 {
        let (applied, acknowledged) = oneshot::channel();
        let marks = PresenceMessage::Marks { machine: self.id, marks, applied };
        school.opened.presence.send(marks).await.unwrap();
        acknowledged.await.unwrap()
    }

    pub(crate) async fn say(&mut self, school: &School, kind: MarkKind) {
        let mark = self.mark(school, kind);
        let through = self.send(school, vec![mark]).await;
        assert_eq!(through, self.seq);
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        let body = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status, status, "{body}");
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The stable code of a problem.
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode) -> String {
        self.expect(status)["code"].as_str().unwrap().to_owned()
    }
}

/// Waits until an event comes that `wanted` knows.
pub(crate) async fn until(listener: &mut Listener, mut wanted: impl FnMut(&Event) -> bool) {
    let waiting = async {
        while let Some(event) = listener.next().await {
            if wanted(&event) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

fn floor(dir: &tempfile::TempDir, clock: &Clock, set: impl FnOnce(&mut Config)) -> Floor {
    let db = Db::open(&dir.path().join("alfarid.db"), &dir.path().join("backups")).unwrap().db;
    let events = Events::default();
    let settings = dir.path().join("alfarid.toml");
    std::fs::write(&settings, "").unwrap();
    let mut config = Config::load(Some(&settings)).unwrap();
    dir.path().clone_into(&mut config.storage.state_dir);
    config.storage.recordings_dir = dir.path().join("recordings");
    config.storage.min_free_mb = 0;
    config.media.whip_listen = ([127, 0, 0, 1], 0).into();
    set(&mut config);
    Floor {
        config: Arc::new(config),
        clock: clock.clone(),
        db,
        health: Health::new(clock.clone(), events.clone()),
        events,
        box_id: clock.id(),
        started: clock.monotonic(),
    }
}

/// Starts every capability that a lesson asks, and the routes.
async fn open(floor: &Floor, pages: &Pages) -> Opened {
    let people = identity::Handle::new(floor.db.clone(), floor.clock.clone());
    let enrolment = enrolment::Handle::open(floor.clone(), people.clone()).await.unwrap();
    let (counts, _) = watch::channel(BTreeMap::new());
    let (machines, outlets, _) = machines::new(floor, enrolment, counts);
    let (broadcast, airing) = broadcast::new(floor, machines, outlets.media);
    let (recording, recorders) = recording::new(floor.clone());
    // What machines say comes from the tests and not over the network.
    let (presence, outlet) = mpsc::channel(64);
    let settings = settings::Handle::open(floor.db.clone(), floor.clock.clone()).await.unwrap();
    let students = attendance::Pages::new(floor.clock.clone());
    let (attendance, roll) = attendance::new(floor, settings.clone(), outlet, students.clone());
    let others = lesson::Others {
        attendance: attendance.clone(),
        broadcast: broadcast.clone(),
        recording: recording.clone(),
        events: floor.events.clone(),
    };
    let (lessons, life) = lesson::new(floor, settings, others, pages.subscribe());
    let stopping = CancellationToken::new();
    let tasks = vec![
        tokio::spawn(airing.run(stopping.clone())),
        tokio::spawn(roll.run(stopping.clone())),
        tokio::spawn(life.run(stopping.clone())),
    ];
    let state = Routed {
        lessons: lessons.clone(),
        attendance: attendance.clone(),
        roster: roster::Handle::open(floor, people.clone(), roster::Connected::channel().1)
            .await
            .unwrap(),
        people,
        live: Live::new(floor.events.clone(), floor.clock.clone(), students.clone()),
        viewing: viewing::Handle::new(
            floor.clock.clone(),
            floor.events.clone(),
            attendance.clone(),
            broadcast.clone(),
            recording.clone(),
        ),
    };
    let router = router(state, stopping.clone());
    let (running, recorders) = (Running { stopping, tasks }, Some(recorders));
    let pages = students;
    Opened {
        lessons,
        attendance,
        broadcast,
        recording,
        pages,
        presence,
        router,
        recorders,
        running,
    }
}

/// As a browser on the LAN sees it.
fn router(state: Routed, closing: CancellationToken) -> Router {
    let peer = Peer {
        address: SocketAddr::from(([10, 0, 0, 7], 50_000)),
        local: SocketAddr::from(([10, 0, 0, 1], 443)),
        certificate: None,
        closing,
    };
    let routes = lesson::routes::<Routed>()
        .merge(attendance::routes())
        .merge(identity::routes())
        .merge(roster::routes())
        .merge(viewing::routes())
        .merge(live::routes());
    Router::from(routes.with_state(state)).layer(Extension(peer))
}

impl Opened {
    fn start_recorders(&mut self) {
        let stopping = self.running.stopping.clone();
        let recorders = self.recorders.take().map(|service| tokio::spawn(service.run(stopping)));
        self.running.tasks.extend(recorders);
    }
}

/// A person whose session cookie is their name.
async fn hire(floor: &Floor, name: &'static str) -> TeacherId {
    let id: TeacherId = floor.clock.id();
    let role = if name == "admin" { "admin" } else { "teacher" };
    floor
        .db
        .write(move |tx| {
            tx.execute(
                "INSERT INTO teachers
                    (id, email, password_hash, full_name, role, created_at, updated_at)
                 VALUES (?1, ?2, '', ?2, ?3, 0, 0)",
                params![id.to_string(), name, role],
            )?;
            tx.execute(
                "INSERT INTO sessions (token_sha256, teacher_id, created_at, last_seen_at)
                 VALUES (?1, ?2, ?3, ?3)",
                params![Sha256::digest(name.as_bytes()).to_vec(), id.to_string(), NINE.0],
            )?;
            Ok::<_, DbError>(())
        })
        .await
        .unwrap();
    id
}

async fn furnish(
    floor: &Floor,
    teacher: TeacherId,
    room: RoomId,
    class: ClassId,
    students: &[StudentId],
    machines: &[MachineId],
) {
    let seats: Vec<_> = students.iter().copied().zip(machines.iter().copied()).collect();
    floor
        .db
        .write(move |tx| {
            tx.execute("INSERT INTO rooms VALUES (?1, 'Room 12', 0, 0)", [room.to_string()])?;
            tx.execute(
                "INSERT INTO classes (id, name, teacher_id, created_at, updated_at)
                 VALUES (?1, '7 B', ?2, 0, 0)",
                [class.to_string(), teacher.to_string()],
            )?;
            for (n, (student, machine)) in seats.iter().enumerate() {
                let (student, machine) = (student.to_string(), machine.to_string());
                tx.execute(
                    "INSERT INTO students
                        (id, student_id, full_name, class_id, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, 0, 0)",
                    params![
                        student,
                        format!("{n:03}"),
                        format!("Student {n:03}"),
                        class.to_string()
                    ],
                )?;
                tx.execute(
                    "INSERT INTO machines
                        (id, room_id, name, spki_sha256, is_approved, agent_version, enrolled_at,
                         last_seen_at)
                     VALUES (?1, ?2, ?3, ?4, 1, '0.1.0', 0, 0)",
                    params![machine, room.to_string(), format!("pc-{n:02}"), machine.as_bytes()],
                )?;
                tx.execute(
                    "INSERT INTO seatings VALUES (?1, ?2, ?3, ?4)",
                    [class.to_string(), room.to_string(), machine, student],
                )?;
            }
            Ok::<_, DbError>(())
        })
        .await
        .unwrap();
}
