//! What a process takes of the machine, as the kernel counts it.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use classroom::process::Process;
use nix::{
    sys::resource::{UsageWho, getrusage},
    unistd::{SysconfVar, sysconf},
};

/// Resident memory in MB (10^6 bytes).
pub(crate) fn rss_mb(process: &Process) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Processor time so far, all threads, user and system.
pub(crate) fn cpu(process: &Process) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
    // The name in brackets may hold anything; fields are counted behind it (proc(5)): utime is
    // the 12th and stime the 13th from there.
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |n: usize| -> Result<u32> { Ok(fields.get(n).context("too few fields")?.parse()?) };
    let sum = ticks(11)? + ticks(12)?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("clock ticks")?;
    Ok(Duration::from_secs_f64(f64::from(sum) / f64::from(u32::try_from(per_second)?)))
}

/// Processor time of this process so far.
pub(crate) fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |time: nix::sys::time::TimeVal| {
        let (seconds, micros) = (time.tv_sec(), time.tv_usec());
        Duration::from_secs(seconds.unsigned_abs()) + Duration::from_micros(micros.unsigned_abs())
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}
