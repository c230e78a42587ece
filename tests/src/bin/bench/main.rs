//! `make bench`: how fast, how small, beside the peers in the same run.
//!
//! Each bench measures on real binaries in network namespaces, writes
//! `target/bench/<name>.json` and prints a table. A figure is compared with what it may be at
//! worst; a bench that falls short says so and fails at the end, after all figures are printed.

mod lesson;
mod report;
mod usage;

use anyhow::{Result, ensure};
use clap::Parser;
use report::Report;

/// Measures the product.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which bench; all of them without it.
    name: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = Arguments::parse().name;
    let mut reports: Vec<Report> = Vec::new();
    if wanted.as_deref().is_none_or(|name| name == "lesson") {
        reports.push(lesson::measure().await?);
    }
    ensure!(!reports.is_empty(), "there is no such bench");
    let mut short = Vec::new();
    for report in &reports {
        report.write()?;
        println!("{report}");
        short.extend(report.short());
    }
    ensure!(short.is_empty(), "fell short: {}", short.join(", "));
    Ok(())
}
