//! The invariants of ARCHITECTURE.md that a machine can keep, checked over the source itself.
//!
//! Each test names the rule it keeps. A rule that must bend has its exception here, with a reason,
//! where a reviewer sees it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const CRATES: [&str; 5] = ["protocol", "stream", "daemon", "agent", "tests"];

/// Which capability may use which, downwards. What stands on the right of nobody is on top.
const USES: &[(&str, &[&str])] = &[
    ("identity", &[]),
    ("enrolment", &["identity"]),
    ("settings", &["identity"]),
    ("roster", &["identity"]),
    ("machines", &["enrolment", "identity"]),
    ("broadcast", &["identity", "machines"]),
    ("recording", &["broadcast", "identity"]),
    ("attendance", &["identity", "machines", "roster", "settings"]),
    (
        "lesson",
        &["attendance", "broadcast", "identity", "machines", "recording", "roster", "settings"],
    ),
    ("system", &["enrolment", "identity"]),
];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The part that is not the module's own tests.
    fn code(&self) -> &str {
        self.text.split("\n#[cfg(test)]").next().unwrap_or(&self.text)
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.code().lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.path.components().any(|part| part.as_os_str() == "tests")
            && !self.path.starts_with("tests/src")
            || name == "tests.rs"
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for name in CRATES {
        collect(&root().join(name), &mut found);
    }
    assert!(found.len() > 50, "tidy looks in the wrong place: {} files", found.len());
    found
}

fn collect(dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !["target", "node_modules", "corpus", "artifacts"].iter().any(|skip| name == *skip) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_owned();
            found.push(Source { path, text });
        }
    }
}

fn offenders(rule: &str, bad: impl IntoIterator<Item = String>) {
    let bad: Vec<_> = bad.into_iter().collect();
    assert!(bad.is_empty(), "{rule}:\n  {}", bad.join("\n  "));
}

fn places(sources: &[Source], wrong: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources {
        for line in source.lines().filter(|line| wrong(source, line)) {
            bad.push(format!("{}: {}", source.path.display(), line.trim()));
        }
    }
    bad
}

#[test]
fn every_module_says_why_it_exists() {
    let silent = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!") && !source.text.starts_with("#!["))
        .map(|source| source.path.display().to_string());
    offenders("a module opens with //!", silent);
}

#[test]
fn a_file_is_one_room() {
    let long = sources().into_iter().filter(|source| !source.is_test()).filter_map(|source| {
        let lines = source.code().lines().count();
        (lines > 700).then(|| format!("{}: {lines} lines", source.path.display()))
    });
    offenders("files are split by what they do before 700 lines", long);
}

#[test]
fn the_capability_graph_goes_down() {
    let allowed: BTreeMap<&str, &[&str]> = USES.iter().copied().collect();
    let mut bad = Vec::new();
    for source in sources() {
        let Ok(inside) = source.path.strip_prefix("daemon/src") else { continue };
        let owner = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        let owner = owner.trim_end_matches(".rs");
        let Some(uses) = allowed.get(owner) else { continue };
        for other in used_capabilities(source.code()) {
            if other != owner && allowed.contains_key(other.as_str()) && !uses.contains(&&*other) {
                bad.push(format!("{} uses {other}", source.path.display()));
            }
        }
    }
    offenders("capabilities use each other downwards only", bad);
}

/// Every `crate::name`, also inside braces: `use crate::{a, b::C}`.
fn used_capabilities(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut at_start = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    c if depth == 0 && at_start && (c.is_alphanumeric() || c == '_') => {
                        word.push(c);
                    }
                    _ if depth == 0 && !word.is_empty() => {
                        used.insert(std::mem::take(&mut word));
                        at_start = false;
                    }
                    _ => {}
                }
                if c == ',' && depth == 0 && !word.is_empty() {
                    used.insert(std::mem::take(&mut word));
                }
            }
            if !word.is_empty() {
                used.insert(word);
            }
        } else {
            let word: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            used.insert(word);
        }
    }
    used
}

#[test]
fn gstreamer_stays_where_it_belongs() {
    let homes = [
        "daemon/src/broadcast/pipeline",
        "daemon/src/recording/pipeline",
        "agent/src/bin/alfarid-player",
    ];
    let sources = sources();
    let strayed = places(&sources, |source, line| {
        (line.contains("gstreamer") || line.contains("gst::"))
            && !source.is_test()
            && !source.path.starts_with("tests")
            && !homes.iter().any(|home| source.path.to_string_lossy().starts_with(home))
    });
    offenders("GStreamer stays inside the pipelines and the player", strayed);
}

#[test]
fn sql_stays_in_the_stores() {
    let sources = sources();
    let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
    let strayed = places(&sources, |source, line| {
        let path = source.path.to_string_lossy();
        source.path.starts_with("daemon/src")
            && !path.contains("store")
            && !path.starts_with("daemon/src/db")
            // What a clock remembers of itself is one row, below every capability.
            && !path.ends_with("timekeeping/keep.rs")
            && verbs.iter().any(|verb| line.trim_start().trim_start_matches('"').starts_with(verb))
    });
    offenders("all SQL of a capability is in its store", strayed);
}

#[test]
fn every_queue_is_bounded() {
    let sources = sources();
    let unbounded = places(&sources, |_, line| {
        line.contains("unbounded_channel") || line.contains("mpsc::channel()")
    });
    offenders(
        "every queue is bounded",
        unbounded.into_iter().filter(|bad| !bad.contains("tidy.rs")),
    );
}

#[test]
fn protocol_and_stream_know_no_world() {
    let sources = sources();
    let worldly = places(&sources, |source, line| {
        (source.path.starts_with("protocol/src") || source.path.starts_with("stream/src"))
            && ["tokio", "UdpSocket", "TcpStream", "Instant::now", "SystemTime", "std::fs"]
                .iter()
                .any(|world| line.contains(world))
    });
    offenders("protocol and stream know no runtime, no socket and no clock", worldly);
}

#[test]
fn there_is_no_unsafe_code() {
    let sources = sources();
    let found = places(&sources, |source, line| {
        (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
            && !source.path.ends_with("tidy.rs")
    });
    offenders("no unsafe outside a socket module (there is none yet)", found);
}

#[test]
fn tests_wait_for_events_and_are_never_skipped() {
    let sources = sources();
    let mut bad = Vec::new();
    for source in &sources {
        if source.path.ends_with("tidy.rs") {
            continue;
        }
        let tests = source.text.split("\n#[cfg(test)]").nth(1).unwrap_or_default();
        let text = if source.is_test() { source.text.as_str() } else { tests };
        for line in text.lines() {
            if line.contains("thread::sleep")
                || line.contains("time::sleep(")
                || line.contains("#[ignore")
            {
                bad.push(format!("{}: {}", source.path.display(), line.trim()));
            }
        }
    }
    offenders("tests wait for the event, and none is ignored", bad);
}

#[test]
fn names_say_what_a_thing_is() {
    let vague = ["Manager", "Helper", "Util", "Utils"];
    let sources = sources();
    let found = places(&sources, |_, line| {
        let line = line.trim_start().trim_start_matches("pub ");
        ["struct ", "enum ", "trait "].iter().any(|kind| {
            line.strip_prefix(kind).is_some_and(|rest| {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                vague.iter().any(|word| name.ends_with(word))
            })
        })
    });
    offenders("no Manager, Helper or Util", found);
}

#[test]
fn every_migration_is_compiled_in_and_numbered_without_a_gap() {
    let listed = fs::read_to_string(root().join("daemon/src/db/migrate.rs")).unwrap();
    let mut names: Vec<_> = fs::read_dir(root().join("daemon/migrations"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".sql").to_owned())
        .collect();
    names.sort();
    for (n, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", n + 1)), "{name} is number {}", n + 1);
        assert!(listed.contains(&format!("\"{name}\"")), "{name} is not in STEPS");
    }
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("make demo") && readme.contains("make test"));
}
