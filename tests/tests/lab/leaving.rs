//! The lab is apart from this machine, and leaves nothing behind.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::ensure;
use classroom::{Classroom, eventually, lab::Lab, scratch::Scratch};

use crate::{SOON, shell};

#[test]
fn the_lab_sees_neither_the_machines_interfaces_nor_its_processes_nor_its_run() {
    let lab = Lab::open().unwrap();
    let printed =
        |script: &str| String::from_utf8(lab.command(shell(script), "").unwrap()).unwrap();

    assert_eq!(printed("ip -br link | wc -l").trim(), "1");
    assert_eq!(printed("exec ps -e -o comm="), "bash\nps\n", "init, and itself");
    assert_eq!(printed("ls /run").trim(), "netns");
}

#[test]
fn a_failed_command_says_what_it_was_and_what_it_complained_of() {
    let lab = Lab::open().unwrap();
    let mut command = Command::new("ip");
    command.args(["link", "set", "dev", "nothing", "up"]);

    let error = format!("{:#}", lab.command(command, "").unwrap_err());

    assert!(error.contains("\"nothing\"") && error.contains("Cannot find device"), "{error}");
}

#[test]
fn a_closed_lab_refuses_jobs() {
    let lab = Lab::open().unwrap();
    lab.close();

    assert!(lab.run(|| ()).is_err());
}

/// The processes of this machine that are in a network namespace, by its number.
fn processes_in(namespace: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let link = fs::read_link(entry.path().join("ns/net"));
            link.is_ok_and(|link| link.to_string_lossy() == namespace)
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Those of `processes` that are still there: another lab may have got the namespace's number.
fn left_of(processes: &[String], namespace: &str) -> Vec<String> {
    processes_in(namespace).into_iter().filter(|process| processes.contains(process)).collect()
}

fn interfaces() -> BTreeSet<String> {
    let names = fs::read_dir("/sys/class/net").unwrap().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A process that has a child in a session of its own, which no signal to its parent reaches.
async fn settle(classroom: &Classroom) -> String {
    let script = "setsid sleep 1000 & echo up; exec sleep 1000";
    let process = classroom.machines()[0].spawn("settler", shell(script)).unwrap();
    process.wait_for_line(|line| line == "up", SOON).await.unwrap();
    let namespace = fs::read_link(format!("/proc/{}/ns/net", process.pid())).unwrap();
    namespace.to_string_lossy().into_owned()
}

#[tokio::test]
async fn nothing_is_left_behind_when_a_classroom_is_closed_or_dropped() {
    let before = interfaces();
    for is_closed in [true, false] {
        let classroom = Classroom::new().students(1).teacher().open().await.unwrap();
        let namespace = settle(&classroom).await;
        let dir = classroom.dir().to_owned();
        let ours = processes_in(&namespace);
        assert!(ours.len() >= 2 && dir.is_dir());

        if is_closed {
            classroom.close().unwrap();
        } else {
            drop(classroom);
        }

        assert_eq!(left_of(&ours, &namespace), Vec::<String>::new());
        assert!(!dir.exists(), "{} is left", dir.display());
        assert_eq!(interfaces(), before);
        assert!(!Path::new("/run/netns/machine-1").exists());
    }
}

/// One half is the test; the other is the process that it kills, which is this test again.
#[tokio::test]
async fn nothing_is_left_behind_when_the_test_itself_is_killed() {
    const VICTIM: &str = "CLASSROOM_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        let classroom = Classroom::new().students(1).open().await.unwrap();
        println!("\nvictim {} {}", settle(&classroom).await, classroom.dir().display());
        return std::future::pending().await;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "leaving::nothing_is_left_behind_when_the_test_itself_is_killed",
            "--nocapture",
        ])
        .env(VICTIM, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).find(|line| line.starts_with("victim")).unwrap();
    let [_, namespace, dir] = said.split(' ').collect::<Vec<_>>()[..] else { panic!("{said}") };
    let its = processes_in(namespace);
    assert!(its.len() >= 2);

    victim.kill().unwrap();
    victim.wait().unwrap();

    eventually("the end of its processes", SOON, async || {
        let left = left_of(&its, namespace);
        ensure!(left.is_empty(), "{left:?} are left");
        Ok(())
    })
    .await
    .unwrap();
    assert!(Path::new(dir).exists(), "nobody was there to remove it");
    drop(Scratch::new().unwrap());
    assert!(!Path::new(dir).exists(), "the next classroom sweeps it up");
}
