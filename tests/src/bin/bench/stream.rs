//! The bench `stream`: the protected broadcast on bad networks, beside its peers.
//!
//! ```text
//!   publisher ─▶ box ─▶ wire ─┬─▶ 50 machines, each behind its own weather, by its own clock
//!                             └─▶ witness ─▶ the same pictures as plain RTP ─▶ peers
//! ```
//!
//! A picture counts as shown when it is whole, verified and there D after it was due at the box;
//! one that depends on a lost one is lost too, for peers as well.

mod changes;
mod class;
mod crowd;
mod judge;
mod machine;
mod neighbour;
mod peers;
mod playout;
mod run;
mod rungs;
mod weather;
mod witness;

use anyhow::{Result, ensure};
use classroom::{
    Classroom, Switch,
    school::{Options, School},
};

use self::{class::Class, run::Run, weather::Climate};
use crate::{
    lesson::{relay, seat, source::Rates},
    report::{Report, Worst},
};

/// Machines of the class.
const MACHINES: usize = 50;

/// Measures all of it, or only the run of this name.
pub(crate) async fn measure(report: &mut Report, part: Option<&str>) -> Result<()> {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let of_class = ["calm", "changes", "iid5", "burst5", "iid20", "wifi"];
    let of_real_machines = ["ways", "playout", "rungs", "neighbour"];
    let known = [&of_class[..], &of_real_machines].concat();
    ensure!(part.is_none_or(|part| known.contains(&part)), "one of {}", known.join(", "));
    if of_class.into_iter().any(wanted) {
        with_class(report, part).await?;
    }
    if wanted("ways") {
        ways(report).await?;
    }
    if wanted("playout") {
        playout::measure(report).await?;
    }
    if wanted("rungs") {
        rungs::measure(report).await?;
    }
    if wanted("neighbour") {
        neighbour::measure(report).await?;
    }
    Ok(())
}

/// What is measured by a class of the harness's own machines.
async fn with_class(report: &mut Report, part: Option<&str>) -> Result<()> {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let options = Options { without_players: true, without_agents: true, ..Options::default() };
    let classroom = Classroom::new().students(1).teacher().switch(Switch::Snooping);
    let school = School::open(classroom, &options).await?;
    let class = Class::enrol(&school, MACHINES + 1).await?;
    if wanted("calm") {
        calm(report, &school, &class).await?;
    }
    if wanted("iid5") {
        let run = Run::hold(&school, &class, MACHINES, Climate::IID5).await?;
        run.tell(report);
        report.figure("undecodable_iid5", run.undecodable(), Worst::AtMost(0.0001), run.about());
        report.figure("overhead_iid5", run.overhead(), Worst::AtMost(0.24), run.bytes());
        let about = "the 95th percentile of the delay that repair adds to what was lost";
        report.figure("repair_p95_ms", run.repair_p95_ms(), Worst::AtMost(150.0), about);
        let about = "frozen or broken, of each machine's hour";
        let seconds = run.undecodable() * 3_600.0;
        report.figure("broken_s_per_h_iid5", seconds, Worst::AtMost(1.0), about);
        let about = "on air, all of them asked for";
        report.figure("keyframes_per_min", run.keyframes_per_min(), Worst::Print, about);
        let about = "of a core: relay, keys, repair, recording, at 5 % loss";
        report.figure("cpu_core_50", run.core(run.cpu), Worst::AtMost(0.10), about);
        peers::measure(report, &run, Climate::IID5)?;
    }
    if wanted("burst5") {
        let run = Run::hold(&school, &class, MACHINES, Climate::BURST5).await?;
        run.tell(report);
        report.figure("undecodable_burst5", run.undecodable(), Worst::AtMost(0.001), run.about());
        report.figure("overhead_burst5", run.overhead(), Worst::AtMost(0.65), run.bytes());
    }
    if wanted("iid20") {
        let run = Run::hold(&school, &class, MACHINES, Climate::IID20).await?;
        run.tell(report);
        report.figure("undecodable_iid20", run.undecodable(), Worst::AtMost(0.001), run.about());
        report.figure("overhead_iid20", run.overhead(), Worst::AtMost(0.60), run.bytes());
    }
    if wanted("wifi") {
        let run = Run::hold(&school, &class, MACHINES, Climate::WIFI).await?;
        run.tell(report);
        let about = format!("{}, {}", run.about(), run.ways());
        report.figure("undecodable_wifi", run.undecodable(), Worst::AtMost(0.002), about);
        report.figure("overhead_wifi", run.overhead(), Worst::Print, run.bytes());
        let one = Run::hold(&school, &class, 1, Climate::WIFI).await?;
        one.tell(report);
        let about = format!("the same with one machine: {}, {}", one.about(), one.ways());
        report.figure("undecodable_wifi_1", one.undecodable(), Worst::Print, about);
    }
    // Last, for it revokes a machine.
    if wanted("changes") {
        changes::measure(report, &school, &class).await?;
    }
    school.classroom.close()
}

/// What a packet and a machine's joining take: as in the bench `lesson`, by what is asked of the
/// broadcast.
async fn ways(report: &mut Report) -> Result<()> {
    let mut rates = Rates::default();
    let (p99, about) = relay::p99_ms(&mut rates).await?;
    report.figure("relay_p99_ms", p99, Worst::AtMost(1.0), about);
    let (p95, about) = seat::join_p95_ms().await?;
    report.figure("join_p95_ms", p95, Worst::AtMost(300.0), about);
    Ok(())
}

/// On a perfect wire: what protection costs, and that a class costs what one machine does.
async fn calm(report: &mut Report, school: &School, class: &Class) -> Result<()> {
    let one = Run::hold(school, class, 1, Climate::CALM).await?;
    one.tell(report);
    let all = Run::hold(school, class, MACHINES, Climate::CALM).await?;
    all.tell(report);
    report.figure("overhead_0", all.overhead(), Worst::AtMost(0.06), all.bytes());
    let ratio = (1.0 + all.overhead()) / (1.0 + one.overhead());
    let about = format!(
        "what leaves the box with {MACHINES} machines over with 1, each over its own stream as \
         plain RTP: no encoder makes the same bytes twice"
    );
    report.figure("egress_ratio_50", ratio, Worst::AtMost(1.01), about);
    let about = "of a core, the same without loss";
    report.figure("cpu_core_50_calm", all.core(all.cpu), Worst::Print, about);
    let about = format!("a bare sendto loop of the same {} packets, to nobody", all.packets);
    report.figure("cpu_core_50_bare", all.core(all.bare), Worst::Print, about);
    Ok(())
}
