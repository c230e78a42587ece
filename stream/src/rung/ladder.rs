//! The state machine of the ladder. Its drawing and its rules are with the module.

use std::{collections::VecDeque, time::Duration};

use super::{
    Action, Cause, Change, KEEP_ALIVE, Link, Rung, SILENCE, Wants, loss::Loss, wait::Wait,
};

/// From here on silence is prepared for.
const UNEASY: Duration = Duration::from_millis(250);

/// Keep-alives go so often while it matters ...
const URGENT: Duration = Duration::from_millis(100);

/// ... which it does for so long. Then once a second: nothing carries, and the box may be off.
const URGENT_FOR: Duration = Duration::from_secs(2);
const STARVED: Duration = Duration::from_secs(1);

/// When something carries again after everything was silent, what is better gets so long to be
/// heard as well: a heartbeat and a half. It was the link then, and not multicast.
const GRACE: Duration = Duration::from_millis(150);

/// A tunnel that opens as fast as this shows that the link was there all the time.
const PROMPT: Duration = Duration::from_millis(300);

/// A tried rung must be heard after this: joining takes a switch a moment.
const FIRST_HEARD: Duration = Duration::from_secs(1);

/// For so long a tried rung must carry without a silence.
const TRIAL_GROUP: Duration = Duration::from_secs(5);
const TRIAL_FLOW: Duration = Duration::from_secs(1);

/// A tried group may lose one of so many before repair. Repair bears twice as much, at a cost to
/// all.
const TRIAL_LOSS_ONE_OF: u64 = 10;

/// One machine's ladder on one link, while a lesson is on air: it outlives a grant.
#[derive(Clone, Debug)]
pub struct Ladder {
    rung: Rung,
    is_allowed: bool,
    phase: Phase,
    group: Ear,
    flow: Ear,
    /// The newest sign that the flow carries.
    answered: Option<Duration>,
    asked: Option<Duration>,
    /// Since the group was last heard.
    has_rejoined: bool,
    /// The group stays joined on a lower rung: it was silent and costs nothing, and a switch that
    /// asks gets its answer.
    stays_joined: bool,
    loss: Loss,
    /// A reason to fall that is no silence.
    trouble: Option<Cause>,
    to_multicast: Wait,
    to_unicast: Wait,
    /// At most a handful: judged only when it is empty.
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Steady,
    Falling {
        cause: Cause,
        since: Duration,
        /// When the tunnel is opened, and whether it is.
        tunnel_from: Duration,
        tunnel: bool,
        /// What carries again, and when it will do if nothing better comes.
        carries: Option<(Rung, Duration)>,
    },
    /// The next rung is tried; it has been heard since.
    Trial {
        since: Duration,
        received: u64,
        lost: u64,
    },
}

/// When a way was last heard; `has_heard` is false if only listened to since.
#[derive(Clone, Copy, Debug)]
struct Ear {
    heard: Duration,
    has_heard: bool,
}

impl Ladder {
    /// `is_allowed`: the box sends multicast where this machine is, and it may use it.
    pub fn new(now: Duration, link: Link, is_allowed: bool) -> Self {
        let starts_high = is_allowed && link == Link::Wired;
        let ear = Ear { heard: now, has_heard: false };
        Self {
            rung: if starts_high { Rung::Multicast } else { Rung::Unicast },
            is_allowed,
            phase: Phase::Steady,
            group: ear,
            flow: ear,
            answered: None,
            asked: None,
            has_rejoined: false,
            stays_joined: false,
            loss: Loss::new(now),
            trouble: None,
            to_multicast: Wait::new(now),
            to_unicast: Wait::new(now),
            actions: VecDeque::new(),
        }
    }

    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// A verified heartbeat or packet came by the group.
    pub fn group_heard(&mut self, now: Duration) {
        self.begin_counting(now, Rung::Unicast, self.group);
        self.group = Ear { heard: now, has_heard: true };
        self.has_rejoined = false;
        if matches!(self.phase, Phase::Falling { cause: Cause::GroupSilent, .. }) {
            self.recover(now);
        }
    }

    /// A verified heartbeat or packet came on the flow.
    pub fn flow_heard(&mut self, now: Duration) {
        self.begin_counting(now, Rung::Tunnel, self.flow);
        self.flow_answered(now);
        self.flow = Ear { heard: now, has_heard: true };
    }

    /// The box answered a keep-alive.
    pub fn flow_answered(&mut self, now: Duration) {
        self.answered = Some(now);
        let Phase::Falling { cause, carries, .. } = &mut self.phase else { return };
        match (self.rung, *cause) {
            (Rung::Multicast, Cause::GroupSilent) => {
                let until = carries.map_or(now + GRACE, |(_, until)| until);
                *carries = Some((Rung::Unicast, until));
            }
            (Rung::Multicast, _) => self.fall_to(now, Rung::Unicast),
            (Rung::Unicast, Cause::UdpSilent) => {
                self.flow.heard = now;
                self.recover(now);
            }
            _ => {}
        }
    }

    /// The tunnel that was wanted is open.
    pub fn tunnel_opened(&mut self, now: Duration) {
        let Phase::Falling { tunnel: true, tunnel_from, carries, .. } = &mut self.phase else {
            return;
        };
        if now.saturating_sub(*tunnel_from) < PROMPT {
            self.fall_to(now, Rung::Tunnel);
        } else {
            carries.get_or_insert((Rung::Tunnel, now + GRACE));
        }
    }

    /// Packets of the present rung that came, and that are lost for good, since the last count.
    /// About once a second; heard or not.
    pub fn counted(&mut self, now: Duration, received: u64, lost: u64) {
        let is_falling = matches!(self.phase, Phase::Falling { .. });
        if !is_falling && self.loss.counted(now, received, lost) {
            self.trouble = match self.rung {
                Rung::Multicast => Some(Cause::GroupLossy),
                Rung::Unicast => Some(Cause::UdpLossy),
                Rung::Tunnel => None,
            };
        }
    }

    /// Packets that came by the group, and that did not, before any repair: while it is tried.
    pub fn group_counted(&mut self, received: u64, lost: u64) {
        if let Phase::Trial { received: all, lost: gone, .. } = &mut self.phase {
            *all = all.saturating_add(received);
            *gone = gone.saturating_add(lost);
        }
    }

    /// The box says that this machine alone makes the group pay.
    pub fn ordered(&mut self) {
        if self.rung == Rung::Multicast {
            self.trouble = Some(Cause::AloneShort);
        }
    }

    /// The box says whether multicast is allowed, if that has changed.
    pub fn allowed(&mut self, now: Duration, is_allowed: bool) {
        self.is_allowed = is_allowed;
        match (self.rung, self.phase) {
            (Rung::Multicast, _) if !is_allowed => self.trouble = Some(Cause::NotAllowed),
            (Rung::Unicast, Phase::Trial { .. }) if !is_allowed => self.fail_trial(now),
            _ => {}
        }
    }

    pub fn wants(&self) -> Wants {
        let is_trial = matches!(self.phase, Phase::Trial { .. });
        let opens_tunnel = matches!(self.phase, Phase::Falling { tunnel: true, .. });
        let tries_group = is_trial && self.rung == Rung::Unicast;
        let tries_flow = is_trial && self.rung == Rung::Tunnel;
        Wants {
            group: self.rung == Rung::Multicast
                || self.is_allowed && (tries_group || self.stays_joined),
            flow: self.rung == Rung::Unicast || tries_flow,
            tunnel: self.rung == Rung::Tunnel || opens_tunnel,
        }
    }

    /// What is to be done now. To be called until it gives `None`, after everything that is said
    /// here and at each timeout; [`Self::wants`] may have changed then.
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        if self.actions.is_empty() {
            self.judge(now);
        }
        self.actions.pop_front()
    }

    /// When to poll again if nothing is said before. May lie in the past: poll then.
    pub fn next_timeout(&self) -> Duration {
        let is_falling = matches!(self.phase, Phase::Falling { .. });
        let at_once = !self.actions.is_empty() || self.trouble.is_some() && !is_falling;
        let phase = match self.phase {
            Phase::Steady => [self.silent_at(), self.probe_at()],
            Phase::Falling { tunnel_from, tunnel, carries, .. } => {
                [(!tunnel).then_some(tunnel_from), carries.map(|(_, until)| until)]
            }
            Phase::Trial { .. } => [self.silent_at(), Some(self.trial_at())],
        };
        let rest = [at_once.then_some(Duration::ZERO), self.keep_alive_at(), self.rejoin_at()];
        let next = phase.into_iter().chain(rest).flatten().min();
        // There is always a probe, a silence or a keep-alive to come.
        next.unwrap_or_default()
    }

    fn judge(&mut self, now: Duration) {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        match &mut self.phase {
            Phase::Falling { tunnel_from, tunnel, carries, .. } => {
                *tunnel |= *tunnel_from <= now;
                if let Some((to, _)) = carries.filter(|(_, until)| *until <= now) {
                    self.fall_to(now, to);
                }
            }
            Phase::Steady | Phase::Trial { .. } => {
                if let Some(cause) = self.trouble.take() {
                    self.fall(now, cause, now + SILENCE);
                } else if is_due(self.silent_at()) {
                    let is_group = self.rung == Rung::Multicast;
                    let cause = if is_group { Cause::GroupSilent } else { Cause::UdpSilent };
                    self.fall(now, cause, now);
                } else if matches!(self.phase, Phase::Trial { .. }) {
                    self.judge_trial(now);
                } else if is_due(self.probe_at()) {
                    self.begin_trial(now);
                }
            }
        }
        if is_due(self.rejoin_at()) {
            self.has_rejoined = true;
            self.actions.push_back(Action::Rejoin);
        }
        if is_due(self.keep_alive_at()) {
            self.keep_alive(now);
        }
    }

    fn fall(&mut self, now: Duration, cause: Cause, tunnel_from: Duration) {
        if matches!(self.phase, Phase::Trial { .. }) {
            self.fail_trial(now);
        }
        // What answered before the silence says nothing of the flow now.
        let carries = self.answered.is_some_and(|at| at >= self.group.heard + UNEASY);
        if cause == Cause::GroupSilent && carries {
            return self.change(now, Rung::Unicast, cause);
        }
        // A lossy flow answers, and still does not do.
        let tunnel_from = if cause == Cause::UdpLossy { now } else { tunnel_from };
        let tunnel = tunnel_from <= now;
        self.phase = Phase::Falling { cause, since: now, tunnel_from, tunnel, carries: None };
        self.asked = None;
    }

    /// The present rung does after all. What was lost in the pause was no fault of its own.
    fn recover(&mut self, now: Duration) {
        self.phase = Phase::Steady;
        self.loss = Loss::new(now);
    }

    fn fall_to(&mut self, now: Duration, to: Rung) {
        let Phase::Falling { cause, .. } = self.phase else { return };
        // Where a lossy group led to the tunnel, that the flow does not answer is the reason.
        let is_udp = to == Rung::Tunnel && cause != Cause::UdpLossy;
        self.change(now, to, if is_udp { Cause::UdpSilent } else { cause });
    }

    fn begin_trial(&mut self, now: Duration) {
        let ear = Ear { heard: now, has_heard: false };
        self.phase = Phase::Trial { since: now, received: 0, lost: 0 };
        if self.rung == Rung::Unicast {
            self.group = ear;
            self.actions.push_back(Action::Rejoin);
        } else {
            self.flow = ear;
            self.asked = None;
        }
    }

    /// The first that is heard of a tried rung begins its proof.
    fn begin_counting(&mut self, now: Duration, on: Rung, ear: Ear) {
        if let Phase::Trial { since, .. } = &mut self.phase
            && self.rung == on
            && !ear.has_heard
        {
            *since = now;
        }
    }

    fn judge_trial(&mut self, now: Duration) {
        let Phase::Trial { received, lost, .. } = self.phase else { return };
        if now < self.trial_at() {
            return;
        }
        let ear = self.tried();
        let is_silent = now.saturating_sub(ear.heard) >= SILENCE;
        let is_lossy = lost.saturating_mul(TRIAL_LOSS_ONE_OF) > received.saturating_add(lost);
        if !ear.has_heard || is_silent || is_lossy {
            self.fail_trial(now);
            self.stays_joined = false;
            self.keep_alive(now);
        } else {
            let above = if self.rung == Rung::Tunnel { Rung::Unicast } else { Rung::Multicast };
            self.change(now, above, Cause::Carries);
        }
    }

    fn fail_trial(&mut self, now: Duration) {
        self.phase = Phase::Steady;
        match self.rung {
            Rung::Tunnel => self.to_unicast.failed(now),
            Rung::Unicast | Rung::Multicast => self.to_multicast.failed(now),
        }
    }

    fn change(&mut self, now: Duration, to: Rung, cause: Cause) {
        let from = std::mem::replace(&mut self.rung, to);
        let climbs = to > from;
        if from == Rung::Multicast {
            self.to_multicast.fell(now);
        }
        match to {
            Rung::Tunnel => self.to_unicast.fell(now),
            Rung::Unicast if climbs => self.to_unicast.climbed(now),
            Rung::Unicast => {}
            Rung::Multicast => self.to_multicast.climbed(now),
        }
        if !climbs && to == Rung::Unicast {
            self.flow = Ear { heard: now, has_heard: false };
        }
        let was_silent = matches!(cause, Cause::GroupSilent | Cause::UdpSilent);
        self.stays_joined = !climbs && was_silent && (from == Rung::Multicast || self.stays_joined);
        self.phase = Phase::Steady;
        self.trouble = None;
        self.loss = Loss::new(now);
        self.actions.push_back(Action::Changed(Change { from, to, cause }));
        // The box learns at once what is wanted on the flow now.
        self.keep_alive(now);
    }

    fn keep_alive(&mut self, now: Duration) {
        self.asked = Some(now);
        self.actions.push_back(Action::KeepAlive);
    }

    /// The way that is tried.
    fn tried(&self) -> Ear {
        if self.rung == Rung::Tunnel { self.flow } else { self.group }
    }

    /// When the trial is decided, if nothing is heard before.
    fn trial_at(&self) -> Duration {
        let Phase::Trial { since, .. } = self.phase else { return Duration::MAX };
        let ear = self.tried();
        let length = if self.rung == Rung::Tunnel { TRIAL_FLOW } else { TRIAL_GROUP };
        if ear.has_heard {
            (since + length).min(ear.heard + SILENCE)
        } else {
            ear.heard + FIRST_HEARD
        }
    }

    /// When the present rung has been silent for too long. The tunnel never is: there is nothing
    /// below.
    fn silent_at(&self) -> Option<Duration> {
        match self.rung {
            Rung::Multicast => Some(self.group.heard + SILENCE),
            Rung::Unicast => Some(self.flow.heard + SILENCE),
            Rung::Tunnel => None,
        }
    }

    fn probe_at(&self) -> Option<Duration> {
        match self.rung {
            Rung::Multicast => None,
            Rung::Unicast => self.is_allowed.then_some(self.to_multicast.until()),
            Rung::Tunnel => Some(self.to_unicast.until()),
        }
    }

    fn rejoin_at(&self) -> Option<Duration> {
        let is_due = self.rung == Rung::Multicast && !self.has_rejoined;
        is_due.then_some(self.group.heard + UNEASY)
    }

    fn keep_alive_at(&self) -> Option<Duration> {
        let asked = |every: Duration| self.asked.map_or(Duration::ZERO, |asked| asked + every);
        let calm = |ear: Ear| asked(KEEP_ALIVE).min(asked(URGENT).max(ear.heard + UNEASY));
        match (self.phase, self.rung) {
            (Phase::Falling { since, .. }, _) => {
                let is_urgent = self.asked.is_none_or(|asked| asked < since + URGENT_FOR);
                Some(asked(if is_urgent { URGENT } else { STARVED }))
            }
            (_, Rung::Multicast) => Some(calm(self.group)),
            (Phase::Steady, Rung::Tunnel) => None,
            (_, Rung::Unicast | Rung::Tunnel) if !self.flow.has_heard => Some(asked(URGENT)),
            (_, Rung::Unicast | Rung::Tunnel) => Some(calm(self.flow)),
        }
    }
}
