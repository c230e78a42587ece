//! Figures, what they may be at worst, and how they are shown.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What a figure may be at worst.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worst {
    AtLeast(f64),
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
    /// Why it did not come to its end.
    broken_off: Option<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new(), notes: Vec::new(), broken_off: None }
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

    /// How the bench ended: what was measured before a failure is worth having.
    pub(crate) fn end(&mut self, outcome: Result<()>) {
        self.broken_off = outcome.err().map(|error| format!("{error:#}"));
    }

    /// What is wrong with it, a sentence each: the keys that are worse than they may be, and that
    /// it broke off.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let name = self.name;
        let short = self.figures.iter().filter(|figure| !figure.is_well());
        let short: Vec<_> = short.map(|figure| format!("{name}.{}", figure.key)).collect();
        let fell_short = (!short.is_empty()).then(|| format!("fell short: {}", short.join(", ")));
        let broke_off = self.broken_off.as_ref().map(|why| format!("{name} broke off: {why}"));
        fell_short.into_iter().chain(broke_off).collect()
    }

    /// To `target/bench/<name>.json`.
    pub(crate) fn write(&self) -> Result<()> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{}.json", self.name));
        fs::write(&path, serde_json::to_string_pretty(&self.to_json())?)
            .with_context(|| format!("write {}", path.display()))
    }

    /// A figure is a number; what it is of stands in the notes, by its key.
    fn to_json(&self) -> Value {
        let figures: BTreeMap<_, _> = self.figures.iter().map(|f| (f.key, f.value)).collect();
        let abouts = self.figures.iter().map(|figure| format!("{}: {}", figure.key, figure.about));
        let broken_off = self.broken_off.iter().map(|why| format!("broken off: {why}"));
        let notes: Vec<_> = broken_off.chain(abouts).chain(self.notes.iter().cloned()).collect();
        json!({ "name": self.name, "figures": figures, "machine": machine(), "notes": notes })
    }
}

impl Figure {
    fn is_well(&self) -> bool {
        match self.worst {
            Worst::AtLeast(least) => self.value >= least,
            Worst::AtMost(most) => self.value <= most,
            Worst::Print => true,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = match self.worst {
            Worst::AtLeast(least) => format!(">= {least}"),
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
        if let Some(why) = &self.broken_off {
            writeln!(f, "  broken off: {why}")?;
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

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn report() -> Report {
        let mut report = Report::new("walk");
        report.figure("steps", 12.0, Worst::AtMost(10.0), "from door to door");
        report.figure("breaths", 3.0, Worst::Print, "meanwhile");
        report.note("uphill");
        report
    }

    #[test]
    fn what_a_figure_is_of_stands_in_the_notes() {
        let json = report().to_json();

        assert_eq!(json["figures"], json!({ "steps": 12.0, "breaths": 3.0 }));
        let notes = json!(["steps: from door to door", "breaths: meanwhile", "uphill"]);
        assert_eq!(json["notes"], notes);
    }

    #[test]
    fn a_bench_that_breaks_off_keeps_what_it_has_and_says_why() {
        let mut report = report();
        report.end(Err(anyhow!("it rained").context("on the bridge")));

        let json = report.to_json();
        assert_eq!(json["figures"]["breaths"], 3.0);
        assert_eq!(json["notes"][0], "broken off: on the bridge: it rained");
        let complaints = ["fell short: walk.steps", "walk broke off: on the bridge: it rained"];
        assert_eq!(report.complaints(), complaints);
    }

    #[test]
    fn a_bench_that_ends_well_has_nothing_to_complain_of() {
        let mut report = Report::new("walk");
        report.figure("steps", 10.0, Worst::AtMost(10.0), "from door to door");
        report.end(Ok(()));

        assert_eq!(report.complaints(), Vec::<String>::new());
    }
}
