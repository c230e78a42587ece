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

use anyhow::{Result, anyhow, ensure};
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
    let (wanted, part) = match wanted.map(|name| name.split_once('.').ok_or(name)) {
        Some(Ok((bench, part))) => (Some(bench), Some(part)),
        Some(Err(bench)) => (Some(bench), None),
        None => (None, None),
    };
    for (bench, of_part) in [
        ("lesson", "lesson-part"),
        ("stream", "stream-part"),
        ("glass", "glass-part"),
        ("viewers", "viewers-part"),
    ] {
        if wanted.is_some_and(|wanted| wanted != bench) {
            continue;
        }
        let mut report = Report::new(if part.is_some() { of_part } else { bench });
        let outcome = match (bench, part) {
            ("lesson", None) => lesson::measure(&mut report).await,
            ("stream", part) => stream::measure(&mut report, part).await,
            ("glass", part) => glass::measure(&mut report, part).await,
            ("viewers", None) => viewers::measure(&mut report).await,
            _ => Err(anyhow!("{bench} has no parts")),
        };
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
