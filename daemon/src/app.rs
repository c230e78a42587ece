//! The composition root: builds the capabilities in dependency order and runs them until the
//! process is told to stop.
//!
//! What must be there for the box to be of any use is there first: the ports, then what lies on its
//! disk ([`Opened`]). A port that somebody else has ends the start with a word on what to do. A
//! disk or a database that cannot be used does not: the box then serves its page alone, which says
//! so ([`degraded`]).

mod degraded;
mod listen;
mod routes;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use alfarid_protocol::id::{BoxId, RoomId};
use anyhow::Context;
use axum::extract::FromRef;
use tokio::sync::watch;
use uuid::Uuid;

pub use self::routes::openapi_document;
use self::{listen::Ports, routes::Web};
use crate::{
    attendance, broadcast,
    clock::{Clock, Evidence},
    config::Config,
    db::{self, Db, Story},
    discovery::{self, Announcement},
    enrolment,
    events::Events,
    files,
    floor::Floor,
    health::{FaultCode, Health, Severity},
    http, identity, lesson,
    lifecycle::{Lifecycle, Phase},
    live, machines, open_air, recording, roster, settings, system,
    timekeeping::{doubt, keep},
    viewing,
};

/// What handlers may ask for. A handler extracts only the handle it uses.
#[derive(Clone, Debug, FromRef)]
pub struct AppState {
    pub floor: Floor,
    pub live: live::Live,
    pub identity: identity::Handle,
    pub enrolment: enrolment::Handle,
    pub settings: settings::Handle,
    pub roster: roster::Handle,
    pub machines: machines::Handle,
    pub broadcast: broadcast::Handle,
    pub recording: recording::Handle,
    pub attendance: attendance::Handle,
    pub open_air: open_air::Handle,
    pub viewing: viewing::Handle,
    pub lesson: lesson::Handle,
}

/// Runs the box until it is told to stop. At each SIGHUP `reload` reads the settings again; what of
/// them can change while the box runs does, the rest waits for the next start.
pub async fn run(
    config: Config,
    mut reload: impl FnMut() -> Option<Config>,
) -> anyhow::Result<ExitCode> {
    let ports = Ports::bind(&config).await?;
    let config = Arc::new(config);
    let lifecycle = Lifecycle::default();
    let lessons = match Opened::open(Arc::clone(&config)).await {
        Ok(opened) => Some(start(opened, ports, &lifecycle)?),
        Err(error) => {
            degraded::serve(&config, ports.web, &error, &lifecycle)?;
            None
        }
    };
    let hang_up = move || {
        if let (Some(config), Some(lessons)) = (reload(), &lessons) {
            lessons.set_end_after_minutes(config.lesson.end_after_minutes);
        }
    };
    Ok(lifecycle.run(hang_up).await?)
}

/// The directory that only the box itself may look into, and in it the one where an admin puts
/// videos that lessons may show.
fn prepare(state_dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    for dir in [state_dir, &state_dir.join("videos")] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    }
    Ok(())
}

/// All that a start reads from the disk and writes to it. Nothing of it runs yet.
struct Opened {
    floor: Floor,
    identity: identity::Handle,
    enrolment: enrolment::Handle,
    settings: settings::Handle,
    roster: roster::Handle,
    /// For whoever holds the connections of the machines.
    connected: watch::Sender<BTreeMap<RoomId, u32>>,
}

impl Opened {
    async fn open(config: Arc<Config>) -> anyhow::Result<Self> {
        let floor = lay_floor(config).await?;
        let identity = identity::Handle::new(floor.db.clone(), floor.clock.clone());
        let enrolment = enrolment::Handle::open(floor.clone(), identity.clone()).await?;
        let settings = settings::Handle::open(floor.db.clone(), floor.clock.clone()).await?;
        let (connected, counts) = roster::Connected::channel();
        let roster = roster::Handle::open(&floor, identity.clone(), counts).await?;
        Ok(Self { floor, identity, enrolment, settings, roster, connected })
    }
}

async fn open_database(config: &Config) -> anyhow::Result<db::Opened> {
    let path = config.storage.state_dir.join("alfarid.db");
    let backups = config.storage.state_dir.join("backups");
    Ok(tokio::task::spawn_blocking(move || Db::open(&path, &backups)).await??)
}

/// Opens what everything stands on.
async fn lay_floor(config: Arc<Config>) -> anyhow::Result<Floor> {
    prepare(&config.storage.state_dir)?;
    let opened = open_database(&config).await?;
    let db = opened.db;
    let clock = Clock::start(Evidence::gather(db.read(keep::saved).await?));
    let events = Events::default();
    let health = Health::new(clock.clone(), events.clone());
    if let Story::Restored { aside, backup } = opened.story {
        let kept = match aside {
            Some(aside) => format!("was damaged, and is kept as {}", aside.display()),
            None => "was gone".to_owned(),
        };
        let detail = format!(
            "The database {kept}. {} took its place: what came after that copy is missing.",
            backup.display(),
        );
        health.raise(FaultCode::DatabaseRestored, Severity::Error, detail);
    }
    let box_id = box_id(&config.storage.state_dir, &clock)?;
    let started = clock.monotonic();
    Ok(Floor { config, clock, db, events, health, box_id, started })
}

/// Who this box is: made once, kept beside the database so that neither costs the other.
fn box_id(state_dir: &Path, clock: &Clock) -> anyhow::Result<BoxId> {
    let path: PathBuf = state_dir.join("box-id");
    // A power cut at the first start may have left it empty.
    let text = fs::read_to_string(&path).unwrap_or_default();
    if !text.trim().is_empty() {
        let id = text.trim().parse::<Uuid>();
        return Ok(id.with_context(|| format!("{} holds no id", path.display()))?.into());
    }
    let id: BoxId = clock.id();
    files::replace(&path, id.to_string().as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(id)
}

/// Builds the other capabilities, from the lowest up, and starts what runs.
fn start(opened: Opened, ports: Ports, lifecycle: &Lifecycle) -> anyhow::Result<lesson::Handle> {
    let Opened { floor, identity, enrolment, settings, roster, connected } = opened;
    let (machines, outlets, agents) = machines::new(&floor, enrolment.clone(), connected);
    let (broadcast, broadcasting) = broadcast::new(&floor, machines.clone(), outlets.media);
    let (recording, recorders) = recording::new(floor.clone());
    let pages = attendance::Pages::new(floor.clock.clone());
    let (attendance, keeping) =
        attendance::new(&floor, settings.clone(), outlets.presence, pages.clone());
    let live = live::Live::new(floor.events.clone(), floor.clock.clone(), pages);
    let (clock, events) = (floor.clock.clone(), floor.events.clone());
    let (open_air, opening) = open_air::new(&floor, broadcast.clone());
    lifecycle.spawn(Phase::Lessons, "open air", |stopping| opening.run(stopping));
    let viewing = viewing::Handle::new(
        clock,
        events,
        attendance.clone(),
        broadcast.clone(),
        recording.clone(),
    );
    let others = lesson::Others {
        attendance: attendance.clone(),
        broadcast: broadcast.clone(),
        recording: recording.clone(),
        events: floor.events.clone(),
    };
    let (lesson, lessons) = lesson::new(&floor, settings.clone(), others, live.here());

    keep_floor(&floor, enrolment.clone(), lifecycle);
    lifecycle.spawn(Phase::Lessons, "broadcast", |stopping| broadcasting.run(stopping));
    lifecycle.spawn(Phase::Lessons, "attendance", |stopping| keeping.run(stopping));
    lifecycle.spawn(Phase::Lessons, "lesson", |stopping| lessons.run(stopping));
    lifecycle.spawn(Phase::Recordings, "recording", |stopping| recorders.run(stopping));
    if floor.config.discovery.mdns {
        let announcement = Announcement {
            box_id: floor.box_id,
            host_name: enrolment::host_name(),
            agent_port: ports.agents.local_addr()?.port(),
            web_port: ports.web.local_addr()?.port(),
        };
        let health = floor.health.clone();
        lifecycle.spawn(Phase::Doors, "mdns", |stopping| {
            discovery::announce(announcement, health, stopping)
        });
    }
    if let Some(listen) = floor.config.http.redirect_listen {
        let (https, health) = (ports.web.local_addr()?.port(), floor.health.clone());
        lifecycle.spawn(Phase::Doors, "redirect", |stopping| {
            http::redirect(listen, https, health, stopping)
        });
    }
    let (web_tls, agent_tls) = (enrolment.web_tls(), enrolment.agent_tls());
    let state = AppState {
        floor,
        live,
        identity,
        enrolment,
        settings,
        roster,
        machines,
        broadcast,
        recording,
        attendance,
        open_air,
        viewing,
        lesson,
    };
    let lessons = state.lesson.clone();
    let pages = Web::new(&state.floor.config).router(state);
    lifecycle.spawn(Phase::Doors, "agent port", |stopping| {
        http::serve(ports.agents, agent_tls, agents, stopping)
    });
    lifecycle
        .spawn(Phase::Doors, "pages", |stopping| http::serve(ports.web, web_tls, pages, stopping));
    Ok(lessons)
}

/// What looks after the box itself.
fn keep_floor(floor: &Floor, enrolment: enrolment::Handle, lifecycle: &Lifecycle) {
    let Floor { db, clock, health, .. } = floor.clone();
    let told = health.clone();
    lifecycle.spawn(Phase::Floor, "clock", |stopping| keep::keep(db, clock, told, stopping));
    let (doubted, told) = (floor.clock.clone(), health.clone());
    lifecycle.spawn(Phase::Floor, "doubt", |stopping| doubt::doubt(doubted, told, stopping));
    let (db, backups) = (floor.db.clone(), floor.state_dir().join("backups"));
    lifecycle.spawn(Phase::Floor, "backup", |stopping| db::keep_backups(db, backups, stopping));
    let storage = floor.config.storage.clone();
    lifecycle.spawn(Phase::Floor, "disk", |stopping| system::watch_disk(storage, health, stopping));
    lifecycle.spawn(Phase::Floor, "certificate", |stopping| enrolment.run(stopping));
}
