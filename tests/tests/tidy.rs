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

/// What every capability stands on, and which of the others each part of it may use: only such as
/// stand before it, so that there is no cycle.
const FLOOR: &[(&str, &[&str])] = &[
    ("code", &[]),
    ("files", &[]),
    ("logging", &[]),
    ("config", &["logging"]),
    ("db", &["files", "logging"]),
    ("clock", &[]),
    ("socket", &[]),
    ("events", &[]),
    ("bucket", &[]),
    ("health", &["clock", "events"]),
    ("http", &["health", "logging"]),
    ("field", &["http"]),
    ("floor", &["clock", "config", "db", "events", "health"]),
    ("lifecycle", &[]),
    ("timekeeping", &["clock", "db", "health"]),
];

/// Which capability may use which others, in the same way.
const CAPABILITIES: &[(&str, &[&str])] = &[
    ("identity", &[]),
    ("enrolment", &["identity"]),
    ("settings", &["identity"]),
    ("roster", &["identity"]),
    ("machines", &["enrolment", "identity"]),
    ("broadcast", &["identity", "machines"]),
    ("open_air", &["broadcast", "identity"]),
    ("recording", &["broadcast", "identity"]),
    ("attendance", &["identity", "machines", "roster", "settings"]),
    ("viewing", &["attendance", "broadcast", "identity", "recording"]),
    ("live", &["attendance", "identity"]),
    (
        "lesson",
        &["attendance", "broadcast", "identity", "machines", "recording", "roster", "settings"],
    ),
    ("discovery", &[]),
    ("system", &["enrolment", "identity"]),
];

/// What may use everything: it puts the box together.
const TOP: [&str; 3] = ["app", "lib", "main"];

struct Source {
    path: PathBuf,
    /// What is not the module's own tests.
    code: String,
    tests: String,
}

impl Source {
    /// The module's own tests are those that it has inside; it may have others in files of theirs.
    fn new(path: PathBuf, text: &str) -> Self {
        const TESTS: &str = "\n#[cfg(test)]\nmod tests {\n";
        const END: &str = "\n}\n";
        let (mut code, mut tests) = (text.to_owned(), String::new());
        if let Some(at) = text.find(TESTS) {
            let inside = at + TESTS.len();
            let end = inside + text[inside..].find(END).unwrap() + END.len();
            text[at..end].clone_into(&mut tests);
            code.replace_range(at..end, "\n");
        }
        Self { path, code, tests }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.code.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Every path that the code brings in or names from its root: `crate::…`, `axum::…`.
    fn paths(&self) -> Vec<String> {
        let code: String = self.lines().flat_map(|line| [line, "\n"]).collect();
        let mut paths = Vec::new();
        for (_, tree) in code.split(';').filter_map(|statement| statement.rsplit_once("use ")) {
            spread("", tree, &mut paths);
        }
        let named = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
        paths.extend(code.split(named).filter(|word| word.contains("::")).map(str::to_owned));
        paths
    }

    fn is_test(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.path.components().any(|part| part.as_os_str() == "tests")
            && !self.path.starts_with("tests/src")
            || name == "tests.rs"
    }
}

/// `a::{b, c::{self, d as e}}` is `a::b`, `a::c::self` and `a::c::d`.
fn spread(stem: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(' ').next().unwrap_or_default();
        return paths.push(format!("{stem}{path}"));
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let branches = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for branch in branches.filter(|branch| !branch.trim().is_empty()) {
        spread(&format!("{stem}{head}"), branch, paths);
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
            found.push(Source::new(path.strip_prefix(root()).unwrap().to_owned(), &text));
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
        .filter(|source| !source.code.starts_with("//!") && !source.code.starts_with("#!["))
        .map(|source| source.path.display().to_string());
    offenders("a module opens with //!", silent);
}

#[test]
fn a_file_is_one_room() {
    let long = sources().into_iter().filter(|source| !source.is_test()).filter_map(|source| {
        let lines = source.code.lines().count();
        (lines > 700).then(|| format!("{}: {lines} lines", source.path.display()))
    });
    offenders("files are split by what they do before 700 lines", long);
}

#[test]
fn the_parts_of_the_daemon_use_each_other_downwards() {
    let mut bad = Vec::new();
    let parts = [FLOOR, CAPABILITIES].concat();
    for (n, (owner, uses)) in parts.iter().enumerate() {
        let below: BTreeSet<_> = parts[..n].iter().map(|(name, _)| name).collect();
        let upwards = uses.iter().filter(|other| !below.contains(other));
        bad.extend(upwards.map(|other| format!("{owner} stands before {other}")));
    }
    let allowed: BTreeMap<_, _> = parts.into_iter().collect();
    let floor: BTreeSet<_> = FLOOR.iter().map(|(name, _)| *name).collect();
    for source in sources() {
        let Ok(inside) = source.path.strip_prefix("daemon/src") else { continue };
        let owner = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        let owner = owner.trim_end_matches(".rs");
        if TOP.contains(&owner) || source.is_test() {
            continue;
        }
        let Some(uses) = allowed.get(owner) else {
            bad.push(format!("{owner} stands neither on the floor nor among the capabilities"));
            continue;
        };
        let paths = source.paths();
        let others =
            paths.iter().filter_map(|path| path.strip_prefix("crate::")?.split("::").next());
        for other in others.filter(|other| !other.is_empty()).collect::<BTreeSet<_>>() {
            let is_below = floor.contains(other) && !floor.contains(owner);
            if other != owner && !uses.contains(&other) && !is_below {
                bad.push(format!("{} uses {other}", source.path.display()));
            }
        }
    }
    offenders("the parts of the daemon use each other downwards only", bad);
}

/// Axum's own answer what they cannot read by a line of plain text.
#[test]
fn requests_are_read_by_our_own_extractors() {
    let theirs = ["Bytes", "Form", "Json", "Path", "Query"];
    let strayed = sources().into_iter().filter(|source| {
        source.path.starts_with("daemon/src") && !source.path.ends_with("http/extract.rs")
    });
    let strayed = strayed.flat_map(|source| {
        let paths = source.paths().into_iter();
        let axum = paths.filter(|path| path.starts_with("axum::"));
        let bad =
            axum.filter(|path| theirs.iter().any(|name| path.ends_with(&format!("::{name}"))));
        bad.map(|path| format!("{}: {path}", source.path.display())).collect::<Vec<_>>()
    });
    offenders("a request is read by http::extract", strayed);
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
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "PRAGMA "];
    let strayed = places(&sources, |source, line| {
        let path = source.path.to_string_lossy();
        source.path.starts_with("daemon/src")
            && !path.contains("store")
            && !path.starts_with("daemon/src/db")
            // What a clock remembers of itself is one row, below every capability.
            && !path.ends_with("timekeeping/keep.rs")
            && verbs.iter().any(|verb| line.contains(verb))
    });
    offenders("all SQL of a capability is in its store", strayed);
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
fn there_is_unsafe_code_in_the_one_socket_module_alone() {
    let sources = sources();
    let found = places(&sources, |source, line| {
        (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
            && !source.path.ends_with("tidy.rs")
            && source.path != Path::new("daemon/src/socket.rs")
    });
    offenders("no unsafe outside the one socket module", found);
}

#[test]
fn tests_wait_for_events_and_are_never_skipped() {
    let sources = sources();
    let mut bad = Vec::new();
    for source in &sources {
        if source.path.ends_with("tidy.rs") {
            continue;
        }
        let tests = if source.is_test() { &source.code } else { &source.tests };
        for line in tests.lines() {
            if calls(line, "sleep") || line.contains("#[ignore") {
                bad.push(format!("{}: {}", source.path.display(), line.trim()));
            }
        }
    }
    offenders("tests wait for the event, and none is ignored", bad);
}

fn calls(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}(")).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
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
