//! A machine of a real lesson is moved through all rungs and back, as in the test of the same name:
//! its multicast is cut, then its UDP, then both are given back.
//!
//! The decision is when the agent says so in its log; a picture is lost if it left the box after that
//! and was never shown. The picture is live again with the first one that left the box after the cut
//! and was shown no later than a class may wait for it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use classroom::{
    air::{Frame, OnAir},
    rungs::{longest_pause, stands, times},
    school::{Options, School, Seat},
    trace::{Shown, Trace},
    traffic,
};

use crate::{
    lesson::{now, school, small_lesson, source},
    report::{Report, Worst},
};

const SIZE: (u32, u32) = (1280, 720);
const LIMIT: Duration = Duration::from_secs(20);
/// Climbing waits its real 30 s.
const CLIMB: Duration = Duration::from_secs(75);
/// Pictures on show after each switch: three seconds, in which the losses of a switch are over.
const LOOKED_AT: usize = 90;
const LOOK: Duration = Duration::from_secs(2);
/// From the box to the screen: the most that a class waits for its slowest machine.
const LIVE: Duration = Duration::from_millis(250);

/// A machine that receives in another way now.
struct Switch {
    to: &'static str,
    /// Before what changed its network, and when that was done; of a climb nothing changes.
    cut: Option<(Duration, Duration)>,
    decided: Duration,
}

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let school = school(2, &Options::default()).await?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, SIZE).await?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    // The other one keeps the group on the air.
    let [moved, _other] = &school.seats[..] else { bail!("two seats") };
    let trace = Trace::at(moved.trace_path());
    trace.wait_for_more(LOOKED_AT, LIMIT).await?;
    stands(&school, &lesson, moved, "multicast", None).await?;

    let switches = all_rungs(&school, &lesson, moved, &trace).await?;
    tell(report, &switches, &trace.read()?, &on_air.frames())?;
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}

async fn all_rungs(
    school: &School,
    lesson: &str,
    moved: &Seat,
    trace: &Trace,
) -> Result<Vec<Switch>> {
    let host = &moved.host;
    let by_unicast = fall(moved, "Unicast", || host.cut_multicast()).await?;
    stands(school, lesson, moved, "unicast", Some("group_silent")).await?;
    trace.wait_for_more(LOOKED_AT, LIMIT).await?;
    let by_tunnel = fall(moved, "Tunnel", || host.cut_udp()).await?;
    stands(school, lesson, moved, "tunnel", Some("udp_silent")).await?;
    trace.wait_for_more(LOOKED_AT, LIMIT).await?;

    let mut lines = moved.agent.new_lines();
    host.restore()?;
    let mut switches = vec![by_unicast, by_tunnel];
    for to in ["Unicast", "Multicast"] {
        lines.find(|line| comes_by(line, to), CLIMB).await?;
        switches.push(Switch { to, cut: None, decided: now() });
    }
    stands(school, lesson, moved, "multicast", Some("carries")).await?;
    trace.wait_for_more(LOOKED_AT, LIMIT).await?;
    Ok(switches)
}

async fn fall(moved: &Seat, to: &'static str, cut: impl FnOnce() -> Result<()>) -> Result<Switch> {
    let mut lines = moved.agent.new_lines();
    let before = now();
    cut()?;
    let after = now();
    lines.find(|line| comes_by(line, to), LIMIT).await?;
    Ok(Switch { to, cut: Some((before, after)), decided: now() })
}

fn comes_by(line: &str, rung: &str) -> bool {
    line.contains(&format!("the lesson comes by {rung} now"))
}

fn tell(
    report: &mut Report,
    switches: &[Switch],
    shown: &[Shown],
    sent: &BTreeMap<u32, Frame>,
) -> Result<()> {
    let left: BTreeMap<u32, Duration> =
        sent.iter().map(|(time, frame)| (*time, traffic::monotonic(frame.first_at))).collect();
    let lost: Vec<_> =
        switches.iter().map(|switch| (switch.to, switch.lost(shown, &left))).collect();
    let most = lost.iter().map(|(_, lost)| *lost).max().context("a switch")?;
    let each: Vec<_> = lost.iter().map(|(to, lost)| format!("to {to} {lost}")).collect();
    let about = format!(
        "the most of {} switches; pictures that left the box in the {} s after the decision and \
         were never shown: {}",
        switches.len(),
        LOOK.as_secs(),
        each.join(", ")
    );
    report.figure("rung_switch_frames", f64::from(u32::try_from(most)?), Worst::AtMost(1.0), about);

    let (mut stalls, mut each) = (Vec::new(), Vec::new());
    for switch in switches {
        let Some((before, after)) = switch.cut else { continue };
        let live = live_again(shown, &left, after)?;
        let stall = live.saturating_sub(before);
        let near: Vec<_> =
            shown.iter().filter(|shown| (before..=live).contains(&shown.at)).cloned().collect();
        let pause = longest_pause(&near)?;
        let decided = switch.decided.saturating_sub(before);
        each.push(format!(
            "to {} {stall:.0?}, decided after {decided:.0?}, no picture at all for {pause:.0?}",
            switch.to
        ));
        stalls.push(stall.as_secs_f64() * 1e3);
    }
    let most = stalls.into_iter().fold(0.0, f64::max);
    let about =
        format!("the longer of the falls, from the cut to live picture: {}", each.join("; "));
    report.figure("rung_stall_ms", most, Worst::AtMost(900.0), about);
    Ok(())
}

impl Switch {
    fn lost(&self, shown: &[Shown], left: &BTreeMap<u32, Duration>) -> usize {
        let shown = times(shown);
        let after = self.decided..self.decided + LOOK;
        left.iter().filter(|(time, at)| after.contains(*at) && !shown.contains(time)).count()
    }
}

/// When the first picture was shown that left the box after the cut and came in time.
fn live_again(shown: &[Shown], left: &BTreeMap<u32, Duration>, cut: Duration) -> Result<Duration> {
    #[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
    let is_live = |shown: &&Shown| {
        let left = left.get(&(shown.rtp_time as u32));
        left.is_some_and(|left| *left > cut && shown.at.saturating_sub(*left) <= LIVE)
    };
    Ok(shown.iter().find(is_live).context("a live picture")?.at)
}
