//! Processes: what they say, and that their end is known.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use classroom::{Classroom, eventually};

use crate::{SOON, shell};

#[tokio::test]
async fn a_host_has_a_name_a_home_and_no_one_elses_environment() {
    let classroom = Classroom::new().students(2).open().await.unwrap();
    let machine = &classroom.machines()[1];

    let said = machine.run_well(shell("hostname; echo $HOME; env"), "", SOON).await.unwrap();

    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("machine-2"));
    assert_eq!(lines.next().map(Path::new), Some(&*machine.dir().join("home")));
    assert!(!said.contains("CARGO"), "{said}");
    classroom.close().unwrap();
}

#[tokio::test]
async fn a_process_is_heard_restarted_and_ended() {
    let classroom = Classroom::new().open().await.unwrap();
    let script =
        "echo up; echo oops >&2; while read -r line; do echo \"heard $line\"; done; echo bye";
    let process = classroom.the_box().spawn("parrot", shell(script)).unwrap();

    process.wait_for_line(|line| line == "up", SOON).await.unwrap();
    process.wait_for_line(|line| line == "oops", SOON).await.unwrap();
    process.say("one").await.unwrap();
    process.wait_for_line(|line| line == "heard one", SOON).await.unwrap();

    let first = process.pid();
    process.restart().await.unwrap();
    assert_ne!(process.pid(), first);
    process.say("two").await.unwrap();
    let next = process.lines().find(|line| line.starts_with("heard"), SOON).await.unwrap();
    assert_eq!(next, "heard two", "the lines of an earlier life are not those of this one");

    process.close_stdin();
    process.wait_for_line(|line| line == "bye", SOON).await.unwrap();
    assert!(process.wait_for_exit(SOON).await.unwrap().success());

    let stubborn = "trap '' TERM; echo up; read -r _";
    let stubborn = classroom.the_box().spawn("stubborn", shell(stubborn)).unwrap();
    stubborn.wait_for_line(|line| line == "up", SOON).await.unwrap();
    assert!(!stubborn.kill().await.unwrap().success());
    classroom.close().unwrap();
}

#[tokio::test]
async fn an_exit_is_noticed_at_once_and_told_with_the_last_words() {
    let classroom = Classroom::new().open().await.unwrap();
    let process = classroom.the_box().spawn("daemon", shell("echo disk is full; exit 3")).unwrap();
    let never = Duration::from_hours(1);

    let waited = process.wait_for_line(|line| line == "ready", never).await;
    let pending = process.while_up(std::future::pending::<Result<()>>()).await;

    for error in [waited.unwrap_err(), pending.unwrap_err()].map(|error| format!("{error:#}")) {
        assert!(error.contains("box/daemon ended: exit status: 3"), "{error}");
        assert!(error.contains("disk is full"), "{error}");
    }
    let unnoticed = format!("{:#}", classroom.close().unwrap_err());
    assert!(unnoticed.contains("box/daemon"), "{unnoticed}");
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_killed() {
    let classroom = Classroom::new().open().await.unwrap();
    let script = "echo $$ >pid; exec sleep 1000";
    let run = classroom.the_box().run(shell(script), "", Duration::from_millis(500)).await;
    assert!(format!("{:#}", run.unwrap_err()).contains("longer than 500ms"));

    let probe = "kill -0 $(cat pid)";
    eventually("its end", SOON, async || {
        let probe = classroom.the_box().run(shell(probe), "", SOON).await?;
        ensure!(!probe.status.success(), "it is there still");
        Ok(())
    })
    .await
    .unwrap();
    classroom.close().unwrap();
}
