//! What `make install-box` and `make install-machine` put in place is whole: programs where the
//! units look for them, users that the units name, limits that the agent asks for, and a sandbox
//! that lets little through.
//!
//! The programs are those of this build; building them anew is the part of the two targets that is
//! left out here.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use classroom::binaries;

/// What systemd's own tool may find open at most, in tenths of its points: its "OK" ends at 50.
const EXPOSURE: &str = "19";

struct Installed(tempfile::TempDir);

impl Installed {
    fn here() -> Self {
        let root = tempfile::tempdir().unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = PathBuf::from(binaries::daemon().unwrap().get_program());
        let mut make = Command::new("make");
        make.arg("-C").arg(repository).args(["place-box", "place-machine"]);
        make.arg(format!("DESTDIR={}", root.path().display()));
        make.arg(format!("BUILT={}", built.parent().unwrap().display()));
        run(make);
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }
}

/// What it printed, both ways. Fails unless it succeeds.
fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn the_units_name_users_that_are_made() {
    let installed = Installed::here();
    let mut sysusers = Command::new("systemd-sysusers");
    sysusers.arg(format!("--root={}", installed.0.path().display()));
    run(sysusers);
    let users = installed.read("etc/passwd");
    for unit in ["alfarid-daemon", "alfarid-agent"] {
        let unit = installed.read(&format!("usr/lib/systemd/system/{unit}.service"));
        let user = unit.lines().find_map(|line| line.strip_prefix("User=")).unwrap();
        assert!(users.lines().any(|line| line.starts_with(&format!("{user}:"))), "{users}");
    }
}

/// The machine as it is, with what was installed laid over it: in a mount namespace of its own.
#[test]
fn systemd_takes_the_units_as_they_are() {
    let installed = Installed::here();
    let script = format!(
        "mount -t overlay overlay -o lowerdir={}:/usr /usr && \
         systemd-analyze verify --man=no alfarid-daemon.service alfarid-agent.service && \
         XDG_RUNTIME_DIR=/run systemd-analyze verify --user --man=no alfarid-player.service",
        installed.path("usr").display()
    );
    let mut verify = Command::new("unshare");
    verify.args(["--mount", "bash", "-c", &script]);
    assert_eq!(run(verify), "", "a warning is a mistake too");
}

#[test]
fn the_services_can_do_little_else() {
    let installed = Installed::here();
    for unit in ["alfarid-daemon.service", "alfarid-agent.service"] {
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE, unit]);
        security.arg(format!("--root={}", installed.0.path().display()));
        run(security);
    }
}

#[test]
fn the_services_may_have_the_room_they_ask_for() {
    let installed = Installed::here();
    for (service, limit) in [("agent", "rmem_max"), ("daemon", "rmem_max"), ("daemon", "wmem_max")]
    {
        let limits = installed.read(&format!("usr/lib/sysctl.d/10-alfarid-{service}.conf"));
        let wanted = format!("net.core.{limit} = 4194304");
        assert!(limits.lines().any(|line| line == wanted), "{limits}");
    }
}

#[test]
fn each_desktop_starts_the_player_of_its_student() {
    let installed = Installed::here();
    for place in ["etc/xdg/autostart", "usr/share/applications"] {
        let entry = installed.read(&format!("{place}/alfarid-player.desktop"));
        assert!(entry.contains("systemctl --user start alfarid-player.service"), "{entry}");
    }
}
