//! The service and its box: found, kept, found again.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alfarid_agent::{
    clock::{self, Clock, Readings},
    exchange::exchanges,
    feed::{FromPlayer, Idle, ToPlayer},
    identity::StateDir,
    link::Link,
    reception::Reception,
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    grant::{Codec, Grant, Track},
    version,
};
use nix::sys::signal::Signal;
use rcgen::ExtendedKeyUsagePurpose;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    air,
    enrolled::{Enrolled, player_socket},
    player::{Feed, stage},
    process::Process,
    site::{NOWADAYS, Site},
    the_box::{Connection, TheBox, hang_up},
    within,
};

#[tokio::test]
async fn a_machine_says_who_it_is_and_pings() {
    let mut machine = Enrolled::machine().await;
    let _agent = machine.agent();
    let mut connection = machine.the_box.connection().await;
    assert!(connection.has_certificate);
    let hello = connection.receive().await;
    let FromMachine::Hello { protocol, agent_version, name, .. } = hello else {
        panic!("{hello:?}")
    };
    assert_eq!(protocol, version::CURRENT);
    assert_eq!(agent_version, alfarid_agent::AGENT_VERSION);
    assert!(!name.is_empty());
    drop(connection);
    let mut connection = machine.the_box.welcome(0).await;
    connection.receive_if("a ping", |m| matches!(m, FromMachine::Ping { .. }).then_some(())).await;
}

/// A box that restarts has its machines back within two seconds.
#[tokio::test]
async fn a_restarted_box_is_found_within_two_seconds() {
    let mut machine = Enrolled::machine().await;
    let _agent = machine.agent();
    let connection = machine.the_box.welcome(0).await;
    let address: SocketAddr = machine.the_box.address.parse().unwrap();
    machine.the_box = TheBox::nowhere();
    drop(connection);
    // By then the waits have grown as far as they may.
    hang_up(address, 5).await;
    machine.the_box = TheBox::listen_at(address, machine.tls.clone()).await;
    let restarted = clock::monotonic();
    machine.the_box.welcome(0).await;
    let took = clock::monotonic().saturating_sub(restarted);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// How long the machine of this test has slept. The kernel's own clocks cannot be made to differ.
static SLEPT_MS: AtomicU64 = AtomicU64::new(0);

fn with_sleep() -> Readings {
    let Readings { boottime, monotonic } = Readings::of_the_kernel();
    let slept = Duration::from_millis(SLEPT_MS.load(Ordering::SeqCst));
    Readings { boottime: boottime + slept, monotonic }
}

/// A machine that wakes does not wait for a connection that its box has long given up: it dials in
/// anew, and is in the lesson again.
#[tokio::test]
async fn a_machine_that_slept_connects_anew_and_is_granted_the_lesson_again() {
    let mut machine = Enrolled::machine().await;
    let feed = Feed::open();
    let (orders, ordered) = mpsc::channel(16);
    let (said, outgoing) = mpsc::channel(16);
    let (acknowledged, _marks) = mpsc::channel(4);
    let (_recorder, batch) = watch::channel(Vec::new());
    let (exchanges, box_clock) = exchanges();
    let link = Link {
        clock: Clock::reading(with_sleep).unwrap(),
        state: StateDir::new(machine.state()),
        discovery: false,
        orders,
        outgoing,
        batch,
        acknowledged,
        exchanges,
    };
    tokio::spawn(Reception::new(feed.players.clone(), said, None, box_clock).run(ordered));
    tokio::spawn(link.run(CancellationToken::new()));
    let mut connection = machine.the_box.welcome(0).await;
    granted(&mut connection, 1).await;

    // A wink is nothing to TCP.
    SLEPT_MS.store(1_500, Ordering::SeqCst);
    connection.receive_if("a ping", |m| matches!(m, FromMachine::Ping { .. }).then_some(())).await;
    SLEPT_MS.store(60_000, Ordering::SeqCst);
    while connection.try_receive().await.is_some() {}
    let mut connection = machine.the_box.welcome(0).await;
    granted(&mut connection, 2).await;
}

/// Grants a lesson, and waits until the machine reports on it.
async fn granted(connection: &mut Connection, serial: u32) {
    let track =
        Track { codec: Codec::H264, ssrc: 1, payload_type: 96, clock_rate: 90_000, next_index: 0 };
    let grant = Grant {
        serial,
        lesson: stage().lesson,
        group: Ipv4Addr::new(239, 255, 77, 99),
        port: 25_400,
        source: Ipv4Addr::LOCALHOST,
        video: Some(track),
        audio: None,
        protection: air::silence(serial),
        wifi_multicast: false,
    };
    connection.send(&FromBox::Stage(stage())).await;
    connection.send(&FromBox::Grant(grant)).await;
    let of_this_grant = |message| match message {
        FromMachine::Report(report) => (report.serial == serial).then_some(()),
        _ => None,
    };
    connection.receive_if("a report", of_this_grant).await;
}

/// Somebody else's box stands at the known address: it learns nothing of this machine.
#[tokio::test]
async fn a_box_of_another_site_is_hung_up_on() {
    let mut machine = Enrolled::machine().await;
    let address: SocketAddr = machine.the_box.address.parse().unwrap();
    machine.the_box = TheBox::nowhere();
    let other = Site::new(NOWADAYS).server_config(ExtendedKeyUsagePurpose::ServerAuth);
    let mut stranger = TheBox::listen_at(address, other).await;
    let mut agent = machine.agent();
    stranger.hung_up_on().await;
    stranger.hung_up_on().await;
    assert!(stranger.nobody_has_connected());
    agent.signal(Signal::SIGTERM);
    assert!(agent.ended().await);
}

#[tokio::test]
async fn a_refused_machine_does_not_hammer_and_ends_in_good_order() {
    let mut machine = Enrolled::machine().await;
    let mut agent = machine.agent();
    let mut connection = machine.the_box.connection().await;
    let refusal = FromBox::Refused { code: RefusalCode::MachineRevoked, detail: String::new() };
    connection.send(&refusal).await;
    while connection.try_receive().await.is_some() {}
    agent.signal(Signal::SIGTERM);
    assert!(agent.ended().await);
    assert!(machine.the_box.nobody_has_connected());
}

/// What the player is told while there is no lesson.
struct Told(UnixStream);

impl Told {
    async fn by(machine: &Enrolled) -> Self {
        Self::over(machine.player_socket().await)
    }

    fn over(mut player: UnixStream) -> Self {
        player.write_all(&FromPlayer::Ready.encode()).unwrap();
        Self(player)
    }

    /// Waits until it is `idle`; what was said before is out of date.
    async fn until(&mut self, idle: Idle) {
        let mut player = self.0.try_clone().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            while ToPlayer::read(&mut player).unwrap() != ToPlayer::Idle(idle) {}
        });
        within(&format!("{idle:?}"), read).await.unwrap();
    }
}

/// A player gets its calm line before any box is in reach, and before the machine is enrolled.
#[tokio::test]
async fn a_machine_that_is_not_enrolled_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (state, runtime) = (dir.path().join("state"), dir.path().join("runtime"));
    std::fs::create_dir(&state).unwrap();
    let mut agent = Process::agent(&state, &runtime);
    Told::over(player_socket(&runtime).await).until(Idle::NotEnrolled).await;
    agent.signal(Signal::SIGTERM);
    assert!(agent.ended().await);
}

/// "No lesson yet" is said by a box and by nobody else.
#[tokio::test]
async fn a_machine_says_why_it_is_not_served() {
    let mut machine = Enrolled::machine().await;
    let address: SocketAddr = machine.the_box.address.parse().unwrap();
    machine.the_box = TheBox::nowhere();
    let _agent = machine.agent();
    let mut told = Told::by(&machine).await;
    told.until(Idle::NoBox).await;

    machine.the_box = TheBox::listen_at(address, machine.tls.clone()).await;
    let connection = machine.the_box.welcome_as(0, false).await;
    told.until(Idle::NotLetIn).await;
    drop(connection);
    let mut connection = machine.the_box.welcome(0).await;
    told.until(Idle::NoLesson).await;

    let code = RefusalCode::AgentTooOld;
    connection.send(&FromBox::Refused { code, detail: "update alfarid-agent".into() }).await;
    told.until(Idle::Refused(code)).await;
}
