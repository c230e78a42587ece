//! Presence, by the real service: written down first, sent until acknowledged, never lost.

use std::{fs, io::Write, os::unix::net::UnixStream};

use alfarid_agent::feed::FromPlayer;
use alfarid_protocol::{
    control::{FromBox, FromMachine},
    span::{Mark, MarkKind},
};
use nix::sys::signal::Signal;

use crate::{enrolled::Enrolled, the_box::Connection};

/// Somebody sits at the machine: a player is attached and ready.
async fn sit_down(machine: &Enrolled) -> UnixStream {
    let mut player = machine.player_socket().await;
    player.write_all(&FromPlayer::Ready.encode()).unwrap();
    player
}

/// Collects marks until one is `wanted`; acknowledges as it goes if `acknowledge`.
async fn marks_until(
    connection: &mut Connection,
    acknowledge: bool,
    wanted: impl Fn(&Mark) -> bool,
) -> Vec<Mark> {
    let mut collected: Vec<Mark> = Vec::new();
    loop {
        let marks = connection
            .receive_if("marks", |message| match message {
                FromMachine::Marks { marks } => Some(marks),
                _ => None,
            })
            .await;
        collected.extend(marks);
        let through = collected.last().unwrap().seq;
        if acknowledge {
            connection.send(&FromBox::MarksAcked { through }).await;
        }
        if collected.last().is_some_and(&wanted) {
            return collected;
        }
    }
}

fn is(kind: MarkKind) -> impl Fn(&Mark) -> bool {
    move |mark| mark.kind == kind
}

#[tokio::test]
async fn a_span_opens_with_the_player_and_closes_with_it() {
    let mut machine = Enrolled::machine().await;
    let _agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let player = sit_down(&machine).await;
    let here = marks_until(&mut connection, true, is(MarkKind::Until)).await;
    assert_eq!(here[0].kind, MarkKind::Opened);
    drop(player);
    let gone = marks_until(&mut connection, true, is(MarkKind::Closed)).await;

    let all = [here, gone].concat();
    assert!(all.iter().all(|mark| mark.span == all[0].span && mark.at.boot == all[0].at.boot));
    assert!(all.iter().map(|mark| mark.seq).eq(1..=all.len() as u64), "each number once");
    assert!(all.is_sorted_by_key(|mark| mark.at.monotonic_ms));
}

/// Killed in mid-span, with nobody there to say goodbye: the span ends where it was last seen, and
/// what the box has not acknowledged comes again.
#[tokio::test]
async fn a_killed_agent_s_span_is_closed_at_its_last_checkpoint() {
    let mut machine = Enrolled::machine().await;
    let mut agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let _player = sit_down(&machine).await;
    let before = marks_until(&mut connection, false, is(MarkKind::Until)).await;
    agent.signal(Signal::SIGKILL);
    assert!(!agent.ended().await);

    let mut agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let again = marks_until(&mut connection, true, is(MarkKind::Closed)).await;
    assert!(again.starts_with(&before), "unacknowledged marks come again");
    let [.., last, closed] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!((closed.span, closed.at), (last.span, last.at));
    assert_eq!(closed.seq, last.seq + 1);

    agent.signal(Signal::SIGTERM);
    assert!(agent.ended().await);
}

/// The box was gone for a while and the machine was used meanwhile.
#[tokio::test]
async fn what_happens_without_a_box_is_told_when_it_is_back() {
    let mut machine = Enrolled::machine().await;
    let mut agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let player = sit_down(&machine).await;
    let first = marks_until(&mut connection, true, is(MarkKind::Opened)).await;
    let address = machine.the_box.address.parse().unwrap();
    machine.the_box = crate::the_box::TheBox::nowhere();
    drop((connection, player));
    let journal = || fs::read_to_string(machine.state().join("presence.journal")).unwrap();
    crate::within("the span to be closed on the disk", async {
        while !journal().contains("closed") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let _player = sit_down(&machine).await;
    crate::within("a second span on the disk", async {
        while journal().matches("opened").count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    machine.the_box = crate::the_box::TheBox::listen_at(address, machine.tls.clone()).await;
    let mut connection = machine.the_box.welcome(first.last().unwrap().seq).await;
    let closed = marks_until(&mut connection, true, is(MarkKind::Opened)).await;
    assert!(closed.iter().any(is(MarkKind::Closed)));
    assert!(closed[0].seq > first.last().unwrap().seq, "what the box has is not sent again");

    // The end of the agent is the end of the span, and the box hears of it at once.
    agent.signal(Signal::SIGTERM);
    marks_until(&mut connection, false, is(MarkKind::Closed)).await;
    assert!(agent.ended().await);
}

/// The box took nothing of what was sent, as it does when marks before it are missing: it hears
/// them again on the same connection.
#[tokio::test]
async fn marks_that_the_box_did_not_take_are_sent_again() {
    let mut machine = Enrolled::machine().await;
    let _agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let _player = sit_down(&machine).await;
    let first = marks_until(&mut connection, false, is(MarkKind::Opened)).await;
    connection.send(&FromBox::MarksAcked { through: 0 }).await;
    let again = marks_until(&mut connection, false, |_| true).await;
    assert!(again.starts_with(&first), "{again:?}");
}

/// A box that answers nothing is not told more and more.
#[tokio::test]
async fn a_box_that_takes_its_time_is_not_flooded() {
    let mut machine = Enrolled::machine().await;
    let _agent = machine.agent();
    let mut connection = machine.the_box.welcome(0).await;
    let _player = sit_down(&machine).await;
    let mut messages = 0;
    let mut pings = 0;
    // Long enough for the checkpoints of some seconds.
    while pings < 2 {
        match connection.receive().await {
            FromMachine::Marks { .. } => messages += 1,
            FromMachine::Ping { .. } => pings += 1,
            _ => {}
        }
    }
    assert!((1..=2).contains(&messages), "{messages} messages without an answer");
}

/// A journal that was damaged in mid-line costs that line, not the machine's presence.
#[tokio::test]
async fn a_half_written_journal_is_gone_on_with() {
    let mut machine = Enrolled::machine().await;
    let path = machine.state().join("presence.journal");
    fs::write(&path, "{\"begun\":{\"next_seq\":41,\"last\":null}}\n{\"mark\":{\"seq\":41,")
        .unwrap();
    let _agent = machine.agent();
    let mut connection = machine.the_box.welcome(40).await;
    let _player = sit_down(&machine).await;
    let marks = marks_until(&mut connection, true, is(MarkKind::Opened)).await;
    assert_eq!(marks[0].seq, 41);
}
