//! `make bench`: how fast, how small, beside the peers in the same run.
//!
//! Each bench measures on real binaries in network namespaces, writes
//! `target/bench/<name>.json` and prints a table. A figure is compared with what it may be at
//! worst; a bench that falls short says so and fails at the end, after all figures are printed.
//! One that breaks off writes what it has, and that it broke off.

mod glass;
mod lesson;
mod report;
mod stream;
mod usage;
mod viewers;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use report::Report;

/// Measures the product.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which bench, or one part of `glass` or `stream`, as `stream.iid5`; all of them without it.
    name: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().name.as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentence is for whoever measures; a backtrace would lead into this file.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(wanted: Option<&str>) -> Result<()> {
    let mut reports: Vec<Report> = Vec::new();
    if wanted.is_none_or(|name| name == "lesson") {
        let mut report = Report::new("lesson");
        let outcome = lesson::measure(&mut report).await;
        report.end(outcome);
        reports.push(report);
    }
    if wanted.is_none_or(|name| name == "stream") {
        let mut report = Report::new("stream");
        let outcome = stream::measure(&mut report, None).await;
        report.end(outcome);
        reports.push(report);
    }
    if wanted.is_none_or(|name| name == "glass") {
        let mut report = Report::new("glass");
        let outcome = glass::measure(&mut report, None).await;
        report.end(outcome);
        reports.push(report);
    }
    if wanted.is_none_or(|name| name == "viewers") {
        let mut report = Report::new("viewers");
        let outcome = viewers::measure(&mut report).await;
        report.end(outcome);
        reports.push(report);
    }
    if let Some(part) = wanted.and_then(|name| name.strip_prefix("glass.")) {
        let mut report = Report::new("glass-part");
        let outcome = glass::measure(&mut report, Some(part)).await;
        report.end(outcome);
        reports.push(report);
    }
    if let Some(part) = wanted.and_then(|name| name.strip_prefix("stream.")) {
        let mut report = Report::new("stream-part");
        let outcome = stream::measure(&mut report, Some(part)).await;
        report.end(outcome);
        reports.push(report);
    }
    ensure!(!reports.is_empty(), "there is no such bench");
    for report in &reports {
        report.write()?;
        println!("{report}");
    }
    let complaints: Vec<_> = reports.iter().flat_map(Report::complaints).collect();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
