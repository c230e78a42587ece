//! The lesson as it arrives: groups joined, packets made sure of and repaired, frames made whole,
//! handed to the player, reported.
//!
//! ```text
//!   no lesson ── Stage ──▶ calm ── Grant ──▶ joined ── first packet, or 150 ms ──▶ WantKept
//!       ▲                    ▲                  │                                      │
//!       │                    │     new Grant ───┘            kept pictures, then live ◀┘
//!       │ Withdraw, or the box came back without the lesson, or was away for long
//!       └──────────────────────────────────────────────────────────────────────────────
//! ```
//!
//! A lost control connection changes nothing at first: the group may well go on. When the box is
//! back and does not grant the lesson again, it is over.
//!
//! By which way it comes (the group, a UDP flow of the machine's own, TLS) is decided here, each
//! moment anew: see [`climbing`].

pub mod broadcast;
mod climbing;
mod ears;
mod group;
mod lesson;
mod playout;
pub mod rungs;
pub mod track;
mod tunnel;

use std::{net::SocketAddr, time::Duration};

use alfarid_protocol::{
    control::FromMachine,
    grant::{EpochKey, Grant, Stage},
    id::LessonId,
    kept::Kept,
};
use alfarid_stream::{playout::BoxClock, rung::Rung};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

pub use self::lesson::Heard;
use self::{lesson::Lesson, rungs::Rungs, tunnel::Tunnel};
use crate::{
    channel::Dial,
    clock,
    feed::{Idle, ToPlayer},
    players::{Attached, Players},
};

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How long the last picture stays when the box is not in reach.
const AWAY_FOR_LONG: Duration = Duration::from_secs(10);

/// How long a box that came back gets to grant the lesson again.
const GRANTED_AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// What the box wants of reception, as the link hands it on.
#[derive(Debug)]
pub enum Order {
    /// A box serves this machine; this is the machine's end of the connection.
    BoxReached {
        local: SocketAddr,
        /// `false`: there will be no lesson before an admin has let the machine in.
        approved: bool,
        /// How to reach the same box once more.
        dial: Dial,
    },
    BoxLost,
    /// Why no box serves this machine, as it is now.
    NotServed(Idle),
    Stage(Stage),
    Grant(Grant),
    /// The key that the lesson goes on to.
    Epoch(LessonId, EpochKey),
    Withdraw(LessonId),
    /// The machine of this grant alone loses what all others pay for.
    LeaveGroup(u32),
    /// One message of `alfarid_protocol::kept`.
    Kept(Bytes),
}

/// The task that receives lessons.
#[derive(Debug)]
pub struct Reception {
    players: Players,
    attached: watch::Receiver<Attached>,
    /// Whether the last report said that a player is attached, and that a keyframe would help.
    reported_player: bool,
    reported_wish: bool,
    /// To the box by the link. When it is full, reports are dropped: the next says the same.
    outgoing: mpsc::Sender<FromMachine>,
    /// The interface an admin chose, if any.
    interface: Option<String>,
    box_clock: watch::Receiver<BoxClock>,
    local: Option<SocketAddr>,
    dial: Option<Dial>,
    stage: Option<Stage>,
    lesson: Option<Lesson>,
    /// Outlives a grant.
    rungs: Option<Rungs>,
    tunnel: Option<Tunnel>,
    /// No other tunnel is opened before, and no group joined that could not be.
    tunnel_again: Duration,
    join_again: Duration,
    deadline: Option<Deadline>,
    /// What players were told last, while there is no lesson.
    idle: Idle,
}

/// When to give up on the lesson if nothing changes until then.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Duration,
    /// What to show instead.
    idle: Idle,
    /// How much had been received when this was set: a lesson that goes on is not given up only
    /// because the box does not answer.
    received: u64,
}

/// What woke the task.
enum Wake {
    Order(Option<Order>),
    Tunnel(tunnel::Event),
    Report,
    Look,
}

impl Reception {
    pub fn new(
        players: Players,
        outgoing: mpsc::Sender<FromMachine>,
        interface: Option<String>,
        box_clock: watch::Receiver<BoxClock>,
    ) -> Self {
        let attached = players.attached();
        group::check_room();
        Self {
            players,
            attached,
            reported_player: false,
            reported_wish: false,
            outgoing,
            interface,
            box_clock,
            local: None,
            dial: None,
            stage: None,
            lesson: None,
            rungs: None,
            tunnel: None,
            tunnel_again: Duration::ZERO,
            join_again: Duration::ZERO,
            deadline: None,
            idle: Idle::default(),
        }
    }

    /// Receives until the link is gone.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut report = interval(REPORT_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut attached = self.attached.clone();
        loop {
            let (until_timeout, reported) = (self.until_timeout(), self.reported_player);
            let wake = tokio::select! {
                order = orders.recv() => Wake::Order(order),
                () = take_in(&mut self.lesson) => Wake::Look,
                event = tunnel::next(&mut self.tunnel) => Wake::Tunnel(event),
                () = sleep(until_timeout) => Wake::Look,
                _ = report.tick() => Wake::Report,
                Ok(_) = attached.wait_for(|now| now.user.is_some() != reported) => Wake::Report,
            };
            match wake {
                Wake::Order(None) => return,
                Wake::Order(Some(order)) => self.obey(order).await,
                Wake::Tunnel(event) => self.take_tunnelled(event),
                Wake::Report => {
                    self.listen_if_needed();
                    self.report();
                }
                Wake::Look => {}
            }
            self.turn().await;
        }
    }

    /// What follows from the passing of time and from what has arrived.
    async fn turn(&mut self) {
        if let Some(lesson) = &mut self.lesson {
            lesson.take_in_what_is_there();
        }
        let now = clock::monotonic();
        if let Some(deadline) = self.deadline.take_if(|deadline| deadline.at <= now) {
            if deadline.idle == Idle::NoBox && self.received() > deadline.received {
                self.give_up_after(AWAY_FOR_LONG, Idle::NoBox);
            } else {
                self.end(deadline.idle).await;
            }
        }
        self.climb(now);
        let Some(lesson) = &mut self.lesson else { return };
        if let Some(wanted) = lesson.want_kept(now) {
            // When the link has no room the connection is about to be lost; the next one grants
            // anew.
            let _ = self.outgoing.try_send(wanted);
        }
        lesson.speak(now);
        while let Some(frame) = lesson.poll(now) {
            self.players.send(frame).await;
        }
        let is_tunnelled =
            self.rungs.as_ref().is_some_and(|rungs| rungs.ladder.rung() == Rung::Tunnel);
        if lesson.wants_keyframe() && !is_tunnelled && !self.reported_wish {
            // Each moment that the box learns of it later is one more without a picture.
            self.report();
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::BoxReached { local, approved, dial } => {
                (self.local, self.dial) = (Some(local), Some(dial));
                let idle = if approved { Idle::NoLesson } else { Idle::NotLetIn };
                self.rest_after(GRANTED_AGAIN_WITHIN, idle).await;
            }
            Order::BoxLost => self.give_up_after(AWAY_FOR_LONG, Idle::NoBox),
            Order::NotServed(idle) => match &mut self.deadline {
                // A box that was just lost may be back in a moment.
                Some(deadline) if idle == Idle::NoBox => deadline.idle = idle,
                Some(deadline) if self.stage.is_some() => deadline.idle = idle,
                _ => self.rest_after(AWAY_FOR_LONG, idle).await,
            },
            Order::Stage(stage) => {
                self.deadline = None;
                self.stage = Some(stage.clone());
                self.players.send(ToPlayer::Stage(stage)).await;
            }
            Order::Grant(grant) => {
                self.deadline = None;
                self.admit(grant);
            }
            Order::Epoch(lesson, epoch) => self.take_epoch(lesson, &epoch),
            Order::Withdraw(lesson) => {
                if self.lesson.take_if(|granted| granted.grant.lesson == lesson).is_some() {
                    (self.rungs, self.tunnel) = (None, None);
                }
                // Another lesson may have come to the stage meanwhile.
                if self.stage.as_ref().is_none_or(|stage| stage.lesson == lesson) {
                    self.end(Idle::NoLesson).await;
                }
            }
            Order::LeaveGroup(serial) => self.leave_group(serial),
            Order::Kept(message) => self.take_kept(&message),
        }
    }

    /// Shows why there is no lesson: at once, or where one is on show only after a while.
    async fn rest_after(&mut self, wait: Duration, idle: Idle) {
        if self.stage.is_some() || self.lesson.is_some() {
            self.give_up_after(wait, idle);
        } else {
            self.deadline = None;
            if self.idle != idle {
                self.end(idle).await;
            }
        }
    }

    fn give_up_after(&mut self, wait: Duration, idle: Idle) {
        let at = clock::monotonic() + wait;
        self.deadline = Some(Deadline { at, idle, received: self.received() });
    }

    fn received(&self) -> u64 {
        self.lesson.as_ref().map(Lesson::received).unwrap_or_default()
    }

    /// Starts to receive what `grant` says, if it is not received already.
    fn admit(&mut self, grant: Grant) {
        let now = clock::monotonic();
        let lesson = grant.lesson;
        let epochs: Vec<_> = grant.protection.epochs.iter().map(|epoch| epoch.number).collect();
        let admitted = match &mut self.lesson {
            Some(lesson) if lesson.is(&grant) => lesson.granted_again(now, grant),
            _ => {
                let shown_before = self.attached.borrow().shown;
                let new = Lesson::new(grant, now, shown_before, self.box_clock.clone());
                new.map(|new| self.lesson = Some(new))
            }
        };
        match admitted {
            Ok(()) => epochs.into_iter().for_each(|number| self.has_epoch(lesson, number)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the lesson cannot be received by its grant");
            }
        }
        // What keeps the flow alive is said by the ears.
        self.listen_if_needed();
        self.stand_again();
    }

    fn take_epoch(&mut self, lesson: LessonId, epoch: &EpochKey) {
        let Some(granted) = self.lesson.as_mut().filter(|own| own.grant.lesson == lesson) else {
            return;
        };
        match granted.take_epoch(epoch) {
            Ok(()) => self.has_epoch(lesson, epoch.number),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the lesson's next key cannot be used");
            }
        }
    }

    /// Tells the box that it need not wait for this machine. When there is no room, it does not
    /// wait for long.
    fn has_epoch(&self, lesson: LessonId, number: u32) {
        let _ = self.outgoing.try_send(FromMachine::HasEpoch { lesson, number });
    }

    fn leave_group(&mut self, serial: u32) {
        let is_present = self.lesson.as_ref().is_some_and(|lesson| lesson.grant.serial == serial);
        if let Some(rungs) = self.rungs.as_mut().filter(|_| is_present) {
            rungs.ladder.ordered();
        }
    }

    fn take_kept(&mut self, message: &[u8]) {
        match (Kept::parse(message), &mut self.lesson) {
            (Ok(kept), Some(lesson)) => lesson.take_kept(clock::monotonic(), &kept),
            (Ok(_), None) => {}
            (Err(error), _) => tracing::warn!(%error, "kept pictures were dropped"),
        }
    }

    fn report(&mut self) {
        let attached = *self.attached.borrow();
        self.reported_player = attached.user.is_some();
        let Some(lesson) = &mut self.lesson else { return };
        let now = clock::monotonic();
        lesson.tell_refused(now);
        let rung = self.rungs.as_ref().map(|rungs| rungs.ladder.rung());
        let report = lesson.report(now, attached, rung);
        self.reported_wish = report.wants_keyframe;
        let _ = self.outgoing.try_send(FromMachine::Report(report));
    }

    /// The lesson is over for this machine: the groups are left, the calm line comes back.
    async fn end(&mut self, idle: Idle) {
        self.lesson = None;
        self.rungs = None;
        self.tunnel = None;
        self.stage = None;
        self.deadline = None;
        self.idle = idle;
        self.players.send(ToPlayer::Idle(idle)).await;
    }

    fn until_timeout(&self) -> Duration {
        let lesson = self.lesson.as_ref().and_then(Lesson::next_timeout);
        let is_heard = self.lesson.as_ref().is_some_and(|lesson| lesson.on().is_some());
        let rungs = self.rungs.as_ref().filter(|_| is_heard).map(Rungs::next_timeout);
        lesson
            .into_iter()
            .chain(rungs)
            .chain(self.deadline.map(|deadline| deadline.at))
            .min()
            // Without anything to wait for, waking up each report is often enough.
            .map_or(REPORT_EVERY, |at| at.saturating_sub(clock::monotonic()))
    }
}

/// Waits until the lesson has taken something in; for ever without one.
async fn take_in(lesson: &mut Option<Lesson>) {
    match lesson {
        Some(lesson) => lesson.take_in().await,
        None => std::future::pending().await,
    }
}
