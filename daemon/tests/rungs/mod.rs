//! Machines that get the lesson alone: by a UDP flow of their own, and through the tunnel; what
//! people see of it, and what publishers are asked for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use alfarid_protocol::{
    control::{FromMachine, Report},
    grant::Grant,
    rung::{Rung, RungCause},
};
use alfarid_stream::{
    block::Kind,
    feedback::{KeepAlive, Sealer},
    rtp::Packet,
};
use bytes::Bytes;
use serde_json::json;
use tokio::net::UdpSocket;

use crate::{
    publisher::encoder::Spec,
    reception::own,
    share,
    stage::{
        PATIENCE, Stage,
        machine::{Machine, Tunnel},
    },
};

/// What is sent to one machine alone.
struct Flow {
    socket: UdpSocket,
    sealer: Sealer,
}

impl Flow {
    fn new(grant: &Grant) -> Self {
        let key = grant.protection.feedback_key.bytes();
        Self { socket: own(grant), sealer: Sealer::new(grant.serial, key).unwrap() }
    }

    async fn keep_alive(&mut self, is_wanted: bool) {
        let keep_alive = KeepAlive { is_wanted, from: None };
        let sealed = self.sealer.seal_keep_alive(keep_alive).unwrap();
        self.socket.send(&sealed).await.unwrap();
    }

    async fn next(&self) -> Bytes {
        let mut buffer = [0; 2048];
        let length = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        Bytes::copy_from_slice(&buffer[..length.expect("nothing comes").unwrap()])
    }

    /// Takes so many packets of the picture or its sound.
    async fn packets(&self, mut count: usize) {
        while count > 0 {
            count -= usize::from(Kind::of(&self.next().await).is_none());
        }
    }
}

/// Packets of the picture, from a keyframe on or from where the machine was.
async fn picture(tunnel: &mut Tunnel, grant: &Grant, count: usize) -> Vec<(u64, Packet)> {
    let ssrc = grant.video.as_ref().unwrap().ssrc;
    let mut packets = Vec::new();
    while packets.len() < count {
        let message = tunnel.next().await.expect("the tunnel ended");
        let read =
            message.into_iter().map(|(index, packet)| (index, Packet::parse(&packet).unwrap()));
        packets.extend(read.filter(|(_, packet)| packet.header.ssrc == ssrc));
    }
    packets
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_wants_it_gets_a_flow_until_it_wants_it_no_more() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut flow = Flow::new(&grant);
    flow.keep_alive(false).await;
    let answer = flow.next().await;
    assert_eq!(Kind::of(&answer), Some(Kind::Heartbeat), "that it would carry");
    assert!(flow.socket.try_recv(&mut [0; 2048]).is_err(), "and nothing else");

    flow.keep_alive(true).await;
    flow.packets(100).await;
    let (serial, rung, cause) = (grant.serial, Rung::Unicast, Some(RungCause::GroupSilent));
    machine.say(&FromMachine::Rung { serial, rung, cause }).await;
    let stream = stage
        .until_stream("one machine on unicast", |stream| {
            stream["egress"]["machines"] == 1 && stream["machines"][0]["rung"] == "unicast"
        })
        .await;
    assert_eq!(stream["machines"][0]["rung_cause"], "group_silent");
    assert_eq!(stream["egress"]["is_lowered"], false);

    flow.keep_alive(false).await;
    let other = FromMachine::Rung { serial: serial + 7, rung: Rung::Tunnel, cause: None };
    machine.say(&other).await;
    stage.until_stream("nobody alone", |stream| stream["egress"]["machines"] == 0).await;
    let report = Report { serial, rung: Some(Rung::Multicast), ..Report::default() };
    machine.say(&FromMachine::Report(report)).await;
    let stream = stage
        .until_stream("multicast, by its report", |s| s["machines"][0]["rung"] == "multicast")
        .await;
    assert_eq!(stream["machines"][0]["rung_cause"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tunnel_begins_with_a_keyframe_and_goes_on_where_a_machine_was() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut tunnel = machine.tunnel(&stage, grant.serial, None).await.ok().unwrap();
    let packets = picture(&mut tunnel, &grant, 60).await;
    let kind = packets[0].1.payload[0] & 0x1f;
    assert!([7, 24].contains(&kind), "parameter sets come first, alone or together: {kind}");
    let indices: Vec<_> = packets.iter().map(|(index, _)| *index).collect();
    assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 1), "{indices:?}");
    stage.until_stream("one machine alone", |stream| stream["egress"]["machines"] == 1).await;

    let from = indices[indices.len() - 1] + 1;
    let mut next = machine.tunnel(&stage, grant.serial, Some(from)).await.ok().unwrap();
    assert_eq!(picture(&mut next, &grant, 5).await[0].0, from, "without a gap");
    while tunnel.next().await.is_some() {}
    stage.until_stream("still one machine", |stream| stream["egress"]["machines"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_for_the_machine_that_was_granted_it_alone() {
    let stage = Stage::new().await;
    let (mut machine, other) = (stage.machine().await, stage.machine().await);
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let mut others = other.tunnel(&stage, grant.serial, None).await.ok().unwrap();
    assert!(others.next().await.is_none(), "another machine's grant opens nothing");
    let refused = Machine::stranger(&stage).tunnel(&stage, grant.serial, None).await;
    assert_eq!(refused.err(), Some(403));
    let waiting = Machine::enrolled(&stage, false).await;
    assert_eq!(waiting.tunnel(&stage, grant.serial, None).await.err(), Some(403));

    let mut tunnel = machine.tunnel(&stage, grant.serial, None).await.ok().unwrap();
    picture(&mut tunnel, &grant, 1).await;
    stage.broadcast.close(stage.lesson).await.unwrap();
    while tunnel.next().await.is_some() {}
}

/// Half of what the picture wants is left for it, and no more than is left is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn publishers_are_asked_for_less_when_machines_that_receive_alone_cost_too_much() {
    let stage = Stage::with(|media| media.unicast_mbps = 3).await;
    let mut machine = stage.machine().await;
    let mut teacher = share(&stage, "teacher", Spec::H264).await;
    teacher.until("the profile's limit", |seen| seen.limit_bps == Some(4_000_000)).await;
    let grant = machine.grant().await;
    let mut flow = Flow::new(&grant);
    flow.keep_alive(true).await;
    let stream = stage
        .until_stream("a smaller picture", |stream| stream["egress"]["is_lowered"] == true)
        .await;
    let limit = stream["limits"]["max_bitrate_bps"].as_u64().unwrap();
    assert!((2_000_000..3_000_000).contains(&limit), "{limit}");
    let asked = teacher.until("less", |seen| seen.limit_bps.is_some_and(|bps| bps < 4_000_000));
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it is asked within seconds");
}
