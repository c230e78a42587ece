//! The control connection: found, kept, found again.
//!
//! ```text
//!              ┌──────────── all failed: wait (backoff), or an address is heard ───┐
//!              ▼                                                                   │
//!   searching ─┴─▶ secured ── Hello ──▶ greeted ── Welcome ──▶ serving             │
//!       ▲                                  │ Refused             │ lost, silent,   │
//!       └──────────────────────────────────┴─────────────────────┴ woken ──────────┘
//! ```
//!
//! Invariants: one connection at a time; nothing is said before the pin has decided; marks are
//! sent in order, and again until they are acknowledged: on each connection, and on the same one
//! when the box answers that it took less, or does not answer. A peer that is silent for three
//! pings is gone. After a suspend the connection is given up at once: the box has long done so.

use std::time::Duration;

use alfarid_protocol::{
    control::{FromBox, FromMachine, PING_EVERY_MS, RefusalCode},
    span::Mark,
    version,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AGENT_VERSION,
    backoff::Backoff,
    channel::{Channel, ChannelError, Dial, Received, Secured},
    clock::{self, Clock},
    exchange::Exchanges,
    feed::Idle,
    find::Search,
    host_name,
    identity::{Identity, StateDir},
    reception::Order,
};

const PING_EVERY: Duration = Duration::from_millis(PING_EVERY_MS);
const GONE_AFTER: Duration = Duration::from_millis(PING_EVERY_MS * 3);

/// How long a box gets for its first answer.
const WELCOME_WITHIN: Duration = Duration::from_secs(5);

/// A sleep longer than this broke the connection: shorter ones TCP lives through.
const SLEPT: Duration = Duration::from_secs(2);

/// The box's clock has gone on for longer than this while the machine's stood still: what was known
/// of it is wrong.
const NAPPED: Duration = Duration::from_millis(20);

/// How often the machine looks whether it slept, and whether it has been enrolled.
const LOOK: Duration = Duration::from_secs(1);

/// A box that refuses this machine is asked again this much later: somebody has to act first.
const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// Messages of marks that are sent before the first is answered. The box writes down one while it
/// keeps another.
const UNANSWERED: usize = 2;

/// How long the box gets to answer marks, which it writes to its disk in its own time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// How long the last marks get when the agent ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, Error)]
enum Ended {
    #[error("the connection to the box failed")]
    Channel(#[from] ChannelError),
    #[error("the box said nothing for {} s", GONE_AFTER.as_secs())]
    Silent,
    #[error("the box refuses this machine ({code:?}): {detail}")]
    Refused { code: RefusalCode, detail: String },
    #[error("the machine was asleep")]
    Slept,
    #[error("the agent ends")]
    Stopped,
}

impl Ended {
    /// Why the box refuses this machine, if that stays so until somebody does something.
    fn is_for_somebody_to_solve(&self) -> Option<RefusalCode> {
        match self {
            Self::Refused { code, .. } if *code != RefusalCode::TryLater => Some(*code),
            _ => None,
        }
    }
}

/// The keeper of the control connection.
#[derive(Debug)]
pub struct Link {
    pub clock: Clock,
    pub state: StateDir,
    /// Listen to mDNS while no box is connected.
    pub discovery: bool,
    /// What the box says about lessons. When it is full the box waits: TCP says so.
    pub orders: mpsc::Sender<Order>,
    /// What reception has to say. Kept over a lost connection, where it is stale and dropped.
    pub outgoing: mpsc::Receiver<FromMachine>,
    /// The marks to send next, and the way back for their acknowledgement.
    pub batch: watch::Receiver<Vec<Mark>>,
    pub acknowledged: mpsc::Sender<u64>,
    /// What is learnt of the box's clock.
    pub exchanges: Exchanges,
}

impl Link {
    /// Runs until `stop`; the marks of the moment are sent before it returns, if a box is there.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut away_since = clock::monotonic();
        while !stop.is_cancelled() {
            let found = tokio::select! {
                () = stop.cancelled() => return,
                found = self.search(&mut backoff, away_since) => found,
            };
            let address = found.address.clone();
            let began = clock::monotonic();
            let mut session = Session::new(&mut self);
            let ended = session.run(found, &stop).await;
            if matches!(ended, Ended::Slept) {
                session.link.exchanges.forget();
            }
            if session.welcomed {
                away_since = clock::monotonic();
                backoff.lost_after(away_since.saturating_sub(began));
                self.order(Order::BoxLost).await;
            }
            log_end(&ended, &address);
            if let Some(code) = ended.is_for_somebody_to_solve() {
                self.order(Order::NotServed(Idle::Refused(code))).await;
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(REFUSED_WAIT) => {}
                }
            }
        }
    }

    /// Tries until a box of the site answers.
    async fn search(&mut self, backoff: &mut Backoff, away_since: Duration) -> Secured {
        let identity = self.identity().await;
        let mut search: Option<Search> = None;
        loop {
            let away = clock::monotonic().saturating_sub(away_since);
            let wait = backoff.next(away, random());
            match &mut search {
                None => sleep(wait).await,
                Some(search) => tokio::select! {
                    () = sleep(wait) => {}
                    _ = search.hear() => {}
                },
            }
            let search = search.get_or_insert_with(|| Search::start(self.discovery));
            let known = self.known_addresses(&identity);
            match search.attempt(&known, &identity.tls).await {
                Ok(found) => return found,
                Err(failures) => {
                    self.order(Order::NotServed(Idle::NoBox)).await;
                    for error in failures {
                        let error = &error as &dyn std::error::Error;
                        tracing::debug!(error, "no box there");
                    }
                }
            }
        }
    }

    fn known_addresses(&self, identity: &Identity) -> Vec<String> {
        let mut addresses = identity.enrolled_at.addresses.clone();
        addresses.extend(self.state.last_address());
        addresses
    }

    /// This machine's identity, read anew for each search, for it may have been enrolled again.
    async fn identity(&self) -> Identity {
        let mut told = false;
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            match self.state.load() {
                Ok(identity) => return identity,
                Err(error) if !told => {
                    told = true;
                    self.order(Order::NotServed(Idle::NotEnrolled)).await;
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "waiting until this machine is enrolled");
                }
                Err(_) => {}
            }
        }
    }

    async fn order(&self, order: Order) {
        // Reception ends only together with the agent.
        let _ = self.orders.send(order).await;
    }
}

/// One connection, from Hello to its end.
struct Session<'a> {
    link: &'a mut Link,
    welcomed: bool,
    /// The highest mark sent on this connection, if the box has not said since that it took less.
    marks_sent: u64,
    /// Messages of marks that the box has not answered, and when the newest was sent.
    unanswered: usize,
    told: Duration,
}

impl<'a> Session<'a> {
    fn new(link: &'a mut Link) -> Self {
        Self { link, welcomed: false, marks_sent: 0, unanswered: 0, told: Duration::ZERO }
    }

    async fn run(&mut self, found: Secured, stop: &CancellationToken) -> Ended {
        match self.serve(found, stop).await {
            Ok(ended) => ended,
            Err(error) => Ended::Channel(error),
        }
    }

    async fn serve(
        &mut self,
        found: Secured,
        stop: &CancellationToken,
    ) -> Result<Ended, ChannelError> {
        let (address, dial) = (found.address.clone(), found.dial());
        let mut channel = Channel::open(found).await?;
        let hello = FromMachine::Hello {
            protocol: version::CURRENT,
            agent_version: AGENT_VERSION.to_owned(),
            name: host_name(),
            now: self.link.clock.now(),
        };
        channel.send(&hello).await?;
        let Ok(ended) = timeout(WELCOME_WITHIN, self.greeted(&mut channel, dial)).await else {
            return Ok(Ended::Silent);
        };
        if let Some(ended) = ended? {
            return Ok(ended);
        }
        tracing::info!(address, "connected to the box");
        self.link.state.note_address(&address);
        self.converse(&mut channel, stop).await
    }

    /// Waits for the Welcome. `Some`: the box refuses.
    async fn greeted(
        &mut self,
        channel: &mut Channel,
        dial: Dial,
    ) -> Result<Option<Ended>, ChannelError> {
        loop {
            match channel.receive().await? {
                Received::Message(FromBox::Welcome { approved, marks_through, room, .. }) => {
                    if !approved {
                        tracing::warn!(room, "known to the box; an admin has still to let it in");
                    }
                    self.welcomed = true;
                    self.acknowledge(marks_through).await;
                    let local = channel.local;
                    self.link.order(Order::BoxReached { local, approved, dial }).await;
                    // What was said to a box that is gone means nothing to this one.
                    while self.link.outgoing.try_recv().is_ok() {}
                    self.link.batch.mark_changed();
                    return Ok(None);
                }
                Received::Message(FromBox::Refused { code, detail }) => {
                    return Ok(Some(Ended::Refused { code, detail }));
                }
                Received::Message(_) | Received::Kept(_) | Received::Unknown => {}
            }
        }
    }

    async fn converse(
        &mut self,
        channel: &mut Channel,
        stop: &CancellationToken,
    ) -> Result<Ended, ChannelError> {
        self.link.exchanges.connects();
        let mut ping = interval(PING_EVERY);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let slept = self.link.clock.slept();
        let mut napped = slept;
        let mut heard = clock::monotonic();
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.unanswered = 0;
                    let _ = timeout(FAREWELL, self.send_marks(channel)).await;
                    return Ok(Ended::Stopped);
                }
                received = channel.receive() => {
                    heard = clock::monotonic();
                    if let Some(ended) = self.take(heard, received?).await {
                        return Ok(ended);
                    }
                }
                _ = ping.tick() => {
                    ping.reset_after(self.link.exchanges.asks());
                    channel.send(&self.ping()).await?;
                }
                Some(message) = self.link.outgoing.recv() => channel.send(&message).await?,
                Ok(()) = self.link.batch.changed() => self.send_marks(channel).await?,
                _ = look.tick() => {
                    if self.link.clock.slept().saturating_sub(slept) > SLEPT {
                        return Ok(Ended::Slept);
                    }
                    if self.link.clock.slept().saturating_sub(napped) > NAPPED {
                        napped = self.link.clock.slept();
                        self.link.exchanges.forget();
                        ping.reset_immediately();
                    }
                    if clock::monotonic().saturating_sub(heard) > GONE_AFTER {
                        return Ok(Ended::Silent);
                    }
                    if self.unanswered > 0
                        && clock::monotonic().saturating_sub(self.told) > ANSWERED_WITHIN
                    {
                        (self.unanswered, self.marks_sent) = (0, 0);
                        self.send_marks(channel).await?;
                    }
                }
            }
        }
    }

    fn ping(&self) -> FromMachine {
        let now = self.link.clock.now();
        let sent_ns = u64::try_from(clock::monotonic().as_nanos()).ok();
        FromMachine::Ping { now, sent_ns }
    }

    /// Takes in one message that came at `now`. `Some`: the connection is over.
    async fn take(&mut self, now: Duration, received: Received) -> Option<Ended> {
        let order = match received {
            Received::Message(FromBox::Stage(stage)) => Order::Stage(stage),
            Received::Message(FromBox::Grant(grant)) => Order::Grant(grant),
            Received::Message(FromBox::Epoch { lesson, epoch }) => Order::Epoch(lesson, epoch),
            Received::Message(FromBox::Withdraw { lesson }) => Order::Withdraw(lesson),
            Received::Message(FromBox::LeaveGroup { serial }) => Order::LeaveGroup(serial),
            Received::Kept(bytes) => Order::Kept(bytes),
            Received::Message(FromBox::Refused { code, detail }) => {
                return Some(Ended::Refused { code, detail });
            }
            Received::Message(FromBox::MarksAcked { through }) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                if self.unanswered == 0 {
                    self.marks_sent = self.marks_sent.min(through);
                }
                self.acknowledge(through).await;
                return None;
            }
            Received::Message(FromBox::Pong { ticks, .. }) => {
                if let Some(ticks) = ticks {
                    self.link.exchanges.answered(now, &ticks);
                }
                return None;
            }
            // A second Welcome says that an admin has let the machine in; what follows from it
            // comes as a Stage and a Grant.
            Received::Message(FromBox::Welcome { .. } | FromBox::Enrolled { .. }) => return None,
            Received::Unknown => {
                tracing::debug!("the box said something that this build does not know");
                return None;
            }
        };
        self.link.order(order).await;
        None
    }

    async fn acknowledge(&mut self, through: u64) {
        // The recorder ends only together with the agent.
        let _ = self.link.acknowledged.send(through).await;
    }

    /// Sends what has not been sent on this connection yet, unless the box has enough to answer:
    /// its answer, which is written down, makes this be called again.
    async fn send_marks(&mut self, channel: &mut Channel) -> Result<(), ChannelError> {
        if self.unanswered >= UNANSWERED {
            return Ok(());
        }
        let mut marks = self.link.batch.borrow_and_update().clone();
        marks.retain(|mark| mark.seq > self.marks_sent);
        let Some(newest) = marks.last().map(|mark| mark.seq) else { return Ok(()) };
        channel.send(&FromMachine::Marks { marks }).await?;
        self.marks_sent = newest;
        self.unanswered += 1;
        self.told = clock::monotonic();
        Ok(())
    }
}

fn log_end(ended: &Ended, address: &str) {
    let error = ended as &dyn std::error::Error;
    match ended {
        Ended::Stopped => tracing::info!(address, "disconnected"),
        Ended::Refused { code: RefusalCode::AgentTooOld, .. } => {
            tracing::error!(address, error, "update alfarid-agent on this machine");
        }
        Ended::Refused { .. } => tracing::error!(address, error, "the box refuses this machine"),
        Ended::Channel(_) | Ended::Silent | Ended::Slept => {
            tracing::warn!(address, error, "the box is lost and looked for again");
        }
    }
}

/// Spreads the waits of a class; nothing depends on it being hard to guess.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
