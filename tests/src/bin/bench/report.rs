//! Figures, what they may be at worst, and how they are shown.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::json;

/// What a figure may be at worst.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worst {
    AtMost(f64),
    /// Printed, for people to judge.
    Print,
}

#[derive(Debug)]
struct Figure {
    key: &'static str,
    value: f64,
    worst: Worst,
    about: String,
}

#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new(), notes: Vec::new() }
    }

    /// Keeps a figure, and prints it at once: a long bench shows how far it is.
    pub(crate) fn figure(
        &mut self,
        key: &'static str,
        value: f64,
        worst: Worst,
        about: impl Into<String>,
    ) {
        let figure = Figure { key, value, worst, about: about.into() };
        eprintln!("{figure}");
        self.figures.push(figure);
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Keys that are worse than they may be.
    pub(crate) fn short(&self) -> Vec<String> {
        let short = self.figures.iter().filter(|figure| !figure.is_well());
        short.map(|figure| format!("{}.{}", self.name, figure.key)).collect()
    }

    /// To `target/bench/<name>.json`.
    pub(crate) fn write(&self) -> Result<()> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        fs::create_dir_all(&dir)?;
        let figures: BTreeMap<_, _> = self.figures.iter().map(|f| (f.key, f.value)).collect();
        let report = json!({
            "name": self.name,
            "figures": figures,
            "machine": machine(),
            "notes": self.notes,
        });
        let path = dir.join(format!("{}.json", self.name));
        fs::write(&path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("write {}", path.display()))
    }
}

impl Figure {
    fn is_well(&self) -> bool {
        match self.worst {
            Worst::AtMost(most) => self.value <= most,
            Worst::Print => true,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = match self.worst {
            Worst::AtMost(most) => format!("<= {most}"),
            Worst::Print => String::new(),
        };
        let verdict = if self.is_well() { "" } else { "  FELL SHORT" };
        write!(f, "{:<20} {:>10.3} {worst:<10} {}{verdict}", self.key, self.value, self.about)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} on {}", self.name, machine())?;
        for figure in &self.figures {
            writeln!(f, "  {figure}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

/// Processor, cores and kernel, as the machine itself says.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
    let model = models.first().and_then(|line| line.split_once(": ")).map_or("?", |(_, name)| name);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {} cores, Linux {}", models.len(), kernel.trim())
}

/// The value below which that share of the samples lies (nearest rank); 0 of none.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within the samples"
    )]
    let rank = ((samples.len() as f64 * share).ceil() as usize).saturating_sub(1);
    samples.get(rank).copied().unwrap_or_default()
}
