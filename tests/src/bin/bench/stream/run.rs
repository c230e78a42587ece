//! One lesson of a class in one climate: what was shown, what left the box, what it took.

use std::{cmp::Reverse, time::Duration};

use alfarid_stream::block::Kind;
use anyhow::{Context, Result};
use classroom::{
    air::{OnAir, Rate},
    school::School,
};

use super::{
    class::Class,
    crowd::{Crowd, Outcome, now},
    judge::{self, Shown, Stumble},
    weather::Climate,
    witness::Picture,
};
use crate::{
    lesson::{
        fanout::{Wire, bare_sendto},
        small_lesson,
        source::{self, Rates},
    },
    report::Report,
    usage,
};

/// How long the lesson is.
const LENGTH: Duration = Duration::from_mins(1);
/// What is not measured: at its beginning, until the box knows how much is lost, and at its end,
/// where the last pictures may still be on their way.
const SETTLING: Duration = Duration::from_secs(10);
const ENDING: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(90);
const SIZE: (u32, u32) = (1280, 720);
/// Where machines receive alone, the source begins small: all of it fifty times is more than is ever
/// asked for.
const BEFORE_ASKED_KBPS: u32 = 1_000;

#[derive(Debug)]
pub(super) struct Run {
    climate: Climate,
    rate: Rate,
    pub(super) outcome: Outcome,
    pub(super) pictures: Vec<Picture>,
    pub(super) shown: Shown,
    /// What is measured.
    from: Duration,
    until: Duration,
    /// IP bytes that left the box.
    sent: u64,
    /// Those of the same streams as plain RTP.
    plain: usize,
    /// Datagrams to the group, and the time that a bare loop takes to send them.
    pub(super) packets: usize,
    pub(super) bare: Duration,
    /// Processor time of the daemon, and of this process with the publisher's encoder in it.
    pub(super) cpu: Duration,
    harness: Duration,
}

impl Run {
    pub(super) async fn hold(
        school: &School,
        class: &Class,
        machines: usize,
        climate: Climate,
    ) -> Result<Self> {
        let the_box = school.classroom.the_box();
        let lesson = small_lesson(school).await?;
        let kbps = if climate.has_rungs() { BEFORE_ASKED_KBPS } else { source::KBPS };
        let publisher = source::of(school, &lesson, SIZE, kbps).await?;
        let crowd = Crowd::gather(class, &climate.places(machines)).await?;
        if climate.has_rungs() {
            source::follow(school, &lesson, &publisher, SIZE, machines).await?;
        }
        OnAir::watch(the_box)?.wait_for(SETTLING, LIMIT).await?;
        let wire = Wire::watch(the_box, school.classroom.teacher()?.address())?;
        let (from, cpu, harness) = (now(), usage::cpu(&school.daemon)?, usage::own_cpu()?);
        let on_air = OnAir::watch(the_box)?;
        on_air.wait_for(LENGTH.saturating_sub(SETTLING + ENDING), LIMIT).await?;
        let sent = wire.so_far();
        let until = now();
        let cpu = usage::cpu(&school.daemon)?.saturating_sub(cpu);
        let harness = usage::own_cpu()?.saturating_sub(harness);
        let rate = Rate::of(&on_air.frames()).context("pictures on the air")?;
        if !climate.has_rungs() {
            Rates::default().judge(climate.name, &on_air)?;
        }
        OnAir::watch(the_box)?.wait_for(ENDING, LIMIT).await?;
        let mut outcome = crowd.leave().await?;
        outcome.machines.truncate(machines);
        drop(publisher);
        school.end_lesson(&lesson).await?;
        drop(wire);
        let pictures = outcome.witness.pictures(from, until);
        Ok(Self {
            climate,
            rate,
            shown: Shown::of(&outcome, &pictures),
            plain: outcome.witness.plain_bytes(from, until),
            packets: sent.to_groups.len(),
            bare: bare_sendto(the_box, sent.to_groups).await?,
            sent: sent.sent,
            pictures,
            outcome,
            from,
            until,
            cpu,
            harness,
        })
    }

    pub(super) fn undecodable(&self) -> f64 {
        self.shown.undecodable()
    }

    pub(super) fn overhead(&self) -> f64 {
        as_f64(self.sent) / as_f64((self.plain * self.copies()) as u64) - 1.0
    }

    /// How often the stream leaves the box: for the group, and for each machine that receives alone.
    fn copies(&self) -> usize {
        let alone = if self.climate.has_rungs() { self.outcome.machines.len() } else { 0 };
        1 + alone
    }

    pub(super) fn repair_p95_ms(&self) -> f64 {
        judge::repair_p95_ms(&self.outcome, self.from, self.until)
    }

    pub(super) fn keyframes_per_min(&self) -> f64 {
        let keyframes = self.pictures.iter().filter(|picture| picture.is_keyframe).count();
        as_f64(keyframes as u64) * 60.0 / self.seconds()
    }

    /// The share of a core that so much processor time is.
    pub(super) fn core(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() / self.seconds()
    }

    /// Of what the share of pictures is.
    pub(super) fn about(&self) -> String {
        let Shown { pictures, broken } = self.shown;
        format!(
            "{broken} of {pictures} pictures, by {} machines, D {} ms",
            self.outcome.machines.len(),
            self.outcome.witness.playout.as_millis()
        )
    }

    /// Of what the overhead is.
    pub(super) fn bytes(&self) -> String {
        let (sent, plain, copies) = (self.sent, self.plain, self.copies());
        format!(
            "{sent} B left the box over {plain} B of the same streams as plain RTP, {copies} times, \
             less 1"
        )
    }

    /// By which way the machines received, and of what.
    pub(super) fn ways(&self) -> String {
        let machines = &self.outcome.machines;
        let changes: usize = machines.iter().map(|machine| machine.changes).sum();
        let tunnels = machines.iter().filter(|machine| machine.wanted_tunnel).count();
        let mbps = as_f64(self.sent) * 8e-6 / self.seconds();
        format!(
            "each by a flow of its own, of {}, as the box asks for within its budget, {mbps:.1} \
             Mbit/s in all; {changes} changes of rung, {tunnels} machines wanted the tunnel",
            self.rate
        )
    }

    /// Tells what the run itself was like.
    pub(super) fn tell(&self, report: &mut Report) {
        let feedback: u64 = self.outcome.machines.iter().map(|machine| machine.feedback).sum();
        report.note(format!(
            "{}: {} machines, {:.1} s; over plain RTP: {}; {feedback} datagrams to the box; the box \
             takes {:.1} % of the two cores, the machines {:.1} % (what is signed is checked once for \
             many), all of the harness with its encoder {:.1} %; what a machine itself takes counts as \
             nothing; of what machines say one in a hundred comes over {:.1} ms late, for the harness \
             is behind",
            self.climate.name,
            self.outcome.machines.len(),
            self.seconds(),
            self.parts(),
            self.core(self.cpu) * 50.0,
            self.core(self.outcome.cpu) * 50.0,
            self.core(self.harness) * 50.0,
            judge::behind_p99_ms(&self.outcome, self.from, self.until),
        ));
        if self.shown.broken > 0 {
            report.note(format!("{}: broken {}", self.climate.name, self.stumbles()));
        }
        let sent_away: usize = self.outcome.machines.iter().map(|machine| machine.sent_away).sum();
        if sent_away > 0 && !self.climate.has_rungs() {
            report.note(format!(
                "{}: without rungs: {sent_away} times the box sent a machine away from the group, \
                 and it stayed; the box answers it alone then",
                self.climate.name
            ));
        }
    }

    /// When pictures were broken, the worst first.
    fn stumbles(&self) -> String {
        const TOLD: usize = 8;
        let mut stumbles = judge::stumbles(&self.outcome, &self.pictures);
        stumbles.sort_by_key(|stumble| Reverse(stumble.broken));
        let told = stumbles.iter().take(TOLD).map(|stumble| {
            let at = stumble.at.saturating_sub(self.from).as_secs_f64();
            let Stumble { pictures, broken, late, latest, .. } = stumble;
            let latest = latest.as_millis();
            format!("at {at:.1} s {broken} in {pictures} pictures ({late} late, by {latest} ms)")
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// What the overhead consists of, in percent of the plain bytes.
    fn parts(&self) -> String {
        let witness = &self.outcome.witness;
        let mut rest = self.sent.saturating_sub((self.plain * self.copies()) as u64);
        let mut part = |name: &str, kind| {
            let (bytes, count) = witness.repair_bytes(kind, self.from, self.until);
            rest = rest.saturating_sub(bytes as u64);
            format!("{name} {:.1} % ({count})", judge::ratio(bytes, self.plain) * 100.0)
        };
        let parts = [
            part("parity", Kind::Parity),
            part("manifests", Kind::Manifest),
            part("heartbeats", Kind::Heartbeat),
        ];
        let rest = as_f64(rest) / as_f64((self.plain * self.copies()) as u64) * 100.0;
        format!("{}, seals, answers to one machine and control {rest:.1} %", parts.join(", "))
    }

    fn seconds(&self) -> f64 {
        self.until.saturating_sub(self.from).as_secs_f64()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
