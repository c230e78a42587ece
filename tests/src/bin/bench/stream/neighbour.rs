//! What a machine on a worn cable does to everybody else: its wire lets 64 kbit/s through, then all
//! again, five times.
//!
//! It is a real agent, which falls as far as it must; the others are the harness's own machines behind
//! no weather at all. A picture's delay is from its last packet's coming to the box until it is whole
//! at the machine.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    air::OnAir,
    calendar,
    host::Host,
    school::{Options, Seat},
};
use nix::time::ClockId;

use super::{
    class::Class,
    crowd::{Crowd, Outcome, now},
    weather::Climate,
};
use crate::{
    lesson::{relay::Delay, school, small_lesson, source},
    report::{Report, Worst, percentile},
};

const MACHINES: usize = 10;
const SIZE: (u32, u32) = (1280, 720);
const THROTTLED_KBPS: u32 = 64;
const PAIRS: usize = 5;
/// Until a change has come to all, and what is looked at then.
const SETTLING: Duration = Duration::from_secs(2);
const SPAN: Duration = Duration::from_secs(6);
const LIMIT: Duration = Duration::from_mins(1);
/// Of 180 pictures on ten machines.
const ENOUGH: usize = 1_000;

/// From when on, and until when.
type Span = (Duration, Duration);

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let options = Options { without_players: true, ..Options::default() };
    let school = school(2, &options).await?;
    let the_box = school.classroom.the_box();
    let class = Class::enrol(&school, MACHINES).await?;
    let Seat { host: slow, agent, .. } = school.seats.get(1).context("a second seat")?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, SIZE).await?;
    let crowd = Crowd::gather(&class, &Climate::NONE.places(MACHINES)).await?;
    let delay = Delay::watch(the_box, school.classroom.teacher()?.address())?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let whole = span(the_box).await?;
        slow.throttle(THROTTLED_KBPS)?;
        // From the first moment on: the fall itself is what may harm others.
        let throttled = look(the_box).await?;
        slow.unthrottle()?;
        // A climb waits for 30 s, and longer each time: the machine begins anew instead.
        agent.restart().await?;
        pairs.push((whole, throttled));
    }
    OnAir::watch(the_box)?.wait_for(SETTLING, LIMIT).await?;
    let outcome = crowd.leave().await?;
    tell(report, &outcome, &delay.came(), &pairs)?;
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}

async fn span(the_box: &Host) -> Result<Span> {
    OnAir::watch(the_box)?.wait_for(SETTLING, LIMIT).await?;
    look(the_box).await
}

async fn look(the_box: &Host) -> Result<Span> {
    let from = now();
    OnAir::watch(the_box)?.wait_for(SPAN, LIMIT).await?;
    Ok((from, now()))
}

fn tell(
    report: &mut Report,
    outcome: &Outcome,
    came: &BTreeMap<u32, Duration>,
    pairs: &[(Span, Span)],
) -> Result<()> {
    let came: BTreeMap<u32, Duration> =
        came.iter().map(|(rtp_time, at)| (*rtp_time, since_start(*at))).collect();
    let (mut ratios, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for (whole, throttled) in pairs {
        let (without, with) =
            (p95_ms(outcome, &came, *whole)?, p95_ms(outcome, &came, *throttled)?);
        ratios.push(with / without);
        alone.push(without);
        beside.push(with);
    }
    let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    let (without, with) = (percentile(&mut alone, 0.5), percentile(&mut beside, 0.5));
    let about = format!(
        "everybody else's p95 delay with one machine at {THROTTLED_KBPS} kbit/s over without, \
         median of {PAIRS} pairs ({}): {with:.2} ms and {without:.2} ms, {MACHINES} machines; one \
         millisecond more is let pass",
        each.join(", ")
    );
    let most = f64::max(1.05, 1.0 + 1.0 / without);
    let ratio = percentile(&mut ratios, 0.5);
    report.figure("neighbour_delay_ratio", ratio, Worst::AtMost(most), about);
    Ok(())
}

/// The 95th percentile of the delay of what came to the box in this span, on all machines.
fn p95_ms(outcome: &Outcome, came: &BTreeMap<u32, Duration>, (from, until): Span) -> Result<f64> {
    let mut delays = Vec::new();
    for machine in &outcome.machines {
        for (rtp_time, whole) in &machine.pictures {
            let came = came.get(rtp_time).filter(|at| (from..until).contains(*at));
            delays.extend(came.map(|at| whole.saturating_sub(*at).as_secs_f64() * 1e3));
        }
    }
    ensure!(delays.len() >= ENOUGH, "only {} pictures were followed", delays.len());
    Ok(percentile(&mut delays, 0.95))
}

/// When by the crowd's clock the kernel saw a packet at that time.
fn since_start(at: Duration) -> Duration {
    calendar::by(ClockId::CLOCK_BOOTTIME, at)
}
