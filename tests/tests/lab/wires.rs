//! Wires: who gets multicast, what is lost, what is counted.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::ensure;
use classroom::{Classroom, Host, Switch, eventually};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use crate::{SOON, shell};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 7, 7);
const PORT: u16 = 5004;

/// A socket of `host`; with room for everything that a test sends at once.
async fn socket_on(host: &Host, port: u16) -> UdpSocket {
    let bound = host.enter(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).await.unwrap().unwrap();
    setsockopt(&bound, sockopt::RcvBufForce, &(32 << 20)).unwrap();
    bound
}

async fn member_on(host: &Host) -> UdpSocket {
    let socket = socket_on(host, PORT).await;
    socket.join_multicast_v4(GROUP, host.address()).unwrap();
    socket
}

/// Sends numbered datagrams, then the end, often enough that a bad wire brings one. Returns what
/// tells them from those of an earlier round.
async fn send(from: &UdpSocket, to: impl Into<Ipv4Addr>, count: u32) -> u32 {
    static ROUND: AtomicU32 = AtomicU32::new(0);
    const ENDS: usize = 20;
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let to = SocketAddr::from((to.into(), PORT));
    for number in (0..count).chain([END; ENDS]) {
        from.send_to(&[round, number].map(u32::to_be_bytes).concat(), to).await.unwrap();
    }
    round
}

/// The number of a datagram that is the last of its round.
const END: u32 = u32::MAX;

/// How many of a round's datagrams came before its end. None of an earlier round may be among
/// them: wires keep their order, so what was to be lost then was not.
async fn received(socket: &UdpSocket, round: u32) -> usize {
    let mut numbers = BTreeSet::new();
    let mut datagram = [0; 8];
    let all = async {
        loop {
            socket.recv(&mut datagram).await.unwrap();
            let [its_round, number] =
                [0, 4].map(|at| u32::from_be_bytes(*datagram[at..].first_chunk().unwrap()));
            if number != END {
                assert_eq!(its_round, round, "what was cut off came");
                numbers.insert(number);
            } else if its_round == round {
                break;
            }
        }
    };
    timeout(SOON, all).await.expect("no end came");
    numbers.len()
}

/// Returns when the group's packets come: the switch has heard the member.
async fn wait_until_joined(socket: &UdpSocket, sender: &UdpSocket) {
    let came = async || {
        let round = send(sender, GROUP, 0).await;
        timeout(Duration::from_millis(100), received(socket, round)).await?;
        Ok(())
    };
    eventually("the group's packets", SOON, came).await.unwrap();
}

/// What `bystander` saw of the group while `count` datagrams went to it.
async fn seen_by_bystander(switch: Switch, count: u32) -> u64 {
    let classroom = Classroom::new().students(2).switch(switch).open().await.unwrap();
    let [member, bystander] = classroom.machines() else { panic!("two machines") };
    let traffic = bystander.count_traffic().unwrap();
    let sender = socket_on(classroom.the_box(), 0).await;
    let socket = member_on(member).await;
    let last = socket_on(bystander, PORT).await;
    wait_until_joined(&socket, &sender).await;

    let round = send(&sender, GROUP, count).await;
    assert_eq!(received(&socket, round).await, count as usize);
    // This takes the same way after them: when it is there, they are there or nowhere.
    let round = send(&sender, bystander.address(), 0).await;
    received(&last, round).await;

    let seen = traffic.so_far();
    classroom.close().unwrap();
    seen.received_for_groups.values().map(|tally| tally.packets).sum()
}

#[tokio::test]
async fn multicast_goes_to_members_alone_behind_a_snooping_switch() {
    assert_eq!(seen_by_bystander(Switch::Snooping, 500).await, 0);
}

#[tokio::test]
async fn multicast_goes_to_everyone_behind_a_flooding_switch() {
    assert!(seen_by_bystander(Switch::Flooding, 500).await >= 500);
}

#[tokio::test]
async fn a_wire_loses_about_what_it_was_told_to_and_nothing_when_restored() {
    let classroom = Classroom::new().students(1).open().await.unwrap();
    let machine = &classroom.machines()[0];
    let sender = socket_on(classroom.the_box(), 0).await;
    let socket = member_on(machine).await;

    machine.lose_percent(5.0).unwrap();
    let round = send(&sender, GROUP, 4000).await;
    let lost = 4000 - received(&socket, round).await;
    // The standard deviation is 14: five of them are less than one run in a million.
    assert!((130..270).contains(&lost), "{lost} of 4000 were lost at 5 %");

    machine.restore().unwrap();
    let round = send(&sender, GROUP, 4000).await;
    assert_eq!(received(&socket, round).await, 4000);
    classroom.close().unwrap();
}

#[tokio::test]
async fn a_cut_takes_what_it_names_and_nothing_else() {
    let classroom = Classroom::new().students(1).open().await.unwrap();
    let machine = &classroom.machines()[0];
    let sender = socket_on(classroom.the_box(), 0).await;
    let socket = member_on(machine).await;

    machine.cut_multicast().unwrap();
    send(&sender, GROUP, 100).await;
    let round = send(&sender, machine.address(), 7).await;
    assert_eq!(received(&socket, round).await, 7, "unicast goes on");

    machine.restore().unwrap();
    machine.cut_udp().unwrap();
    send(&sender, machine.address(), 100).await;
    let (listener, port) = listen(machine).await;
    let to = (machine.address(), port);
    let dialled = classroom.the_box().enter(TcpStream::connect(to)).await.unwrap();
    dialled.expect("TCP goes on");
    drop(listener);

    machine.restore().unwrap();
    let round = send(&sender, machine.address(), 3).await;
    assert_eq!(received(&socket, round).await, 3);
    classroom.close().unwrap();
}

async fn listen(host: &Host) -> (TcpListener, u16) {
    let listener = host.enter(TcpListener::bind((host.address(), 0))).await.unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn an_unplugged_machine_keeps_its_address_and_comes_back_with_its_group() {
    let classroom = Classroom::new().students(2).switch(Switch::Snooping).open().await.unwrap();
    let machine = &classroom.machines()[0];
    let sender = socket_on(classroom.the_box(), 0).await;
    let socket = member_on(machine).await;
    wait_until_joined(&socket, &sender).await;

    machine.unplug().unwrap();
    eventually("the carrier to go", SOON, async || {
        let mut carrier = Command::new("cat");
        carrier.arg("/sys/class/net/eth0/carrier");
        let carrier = machine.run_well(carrier, "", SOON).await?;
        ensure!(carrier.trim() == "0", "it is there still");
        Ok(())
    })
    .await
    .unwrap();

    machine.plug().unwrap();
    wait_until_joined(&socket, &sender).await;
    classroom.close().unwrap();
}

/// One multicast stream, made and played by real programmes, seen on both ends of the wire.
#[tokio::test]
async fn a_stream_of_real_programmes_is_counted_on_the_wire() {
    let classroom = Classroom::new().students(2).switch(Switch::Snooping).open().await.unwrap();
    let the_box = classroom.the_box();
    let traffic = the_box.count_traffic().unwrap();
    let launch = |pipeline: &str| shell(&format!("exec gst-launch-1.0 -v {pipeline}"));
    let players: Vec<_> = classroom
        .machines()
        .iter()
        .map(|machine| {
            let pipeline = format!(
                "udpsrc address={GROUP} port={PORT} caps='application/x-rtp,media=video,\
                 clock-rate=90000,encoding-name=VP8' ! rtpvp8depay ! vp8dec ! \
                 fakesink silent=false sync=false"
            );
            machine.spawn("player", launch(&pipeline)).unwrap()
        })
        .collect();
    let source = format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1 ! \
         vp8enc deadline=1 keyframe-max-dist=15 ! rtpvp8pay ! \
         udpsink host={GROUP} port={PORT} ttl-mc=1"
    );
    let source = the_box.spawn("source", launch(&source)).unwrap();
    for player in &players {
        let mut lines = player.lines();
        for _ in 0..10 {
            lines.find(|line| line.contains("chain"), SOON * 2).await.unwrap();
        }
    }
    let earlier = traffic.so_far();
    players[0].new_lines().find(|line| line.contains("chain"), SOON).await.unwrap();
    let since = traffic.so_far() - &earlier;
    source.terminate().await.unwrap();

    let groups: Vec<_> = traffic.so_far().sent_to_groups.into_keys().collect();
    assert_eq!(groups, [SocketAddr::from((GROUP, PORT))], "two players, one stream");
    assert!(since.sent_to_groups.len() <= 1 && since.sent.bytes >= since.sent.packets * 28);
    classroom.close().unwrap();
}
