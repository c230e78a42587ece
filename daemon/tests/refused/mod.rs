//! What somebody sends who is not who they say, and what people are told of it.

use alfarid_protocol::control::{FromMachine, Report};
use alfarid_stream::feedback::{KeepAlive, Sealer};

use crate::{publisher::encoder::Spec, reception::own, share, stage::Stage};

#[tokio::test(flavor = "multi_thread")]
async fn the_teacher_is_told_what_is_forged_in_the_lesson() {
    let stage = Stage::new().await;
    let mut machine = stage.machine().await;
    let _teacher = share(&stage, "teacher", Spec::H264).await;
    let grant = machine.grant().await;
    let socket = own(&grant);
    let keep_alive = KeepAlive { is_wanted: false, from: None };
    let mut forger = Sealer::new(grant.serial, &[7; 16]).unwrap();
    let mut true_one = Sealer::new(grant.serial, grant.protection.feedback_key.bytes()).unwrap();
    let said = true_one.seal_keep_alive(keep_alive).unwrap();
    socket.send(&forger.seal_keep_alive(keep_alive).unwrap()).await.unwrap();
    for datagram in [&said, &said] {
        socket.send(datagram).await.unwrap();
    }
    socket.send(&[0x80; 30]).await.unwrap();
    stage
        .until_stream("what came to the box", |stream| {
            let refused = &stream["refused"];
            refused["forged"] == 1 && refused["replayed"] == 1 && refused["strange"] == 1
        })
        .await;

    // By the machine's own words, whose agent begins anew after the second.
    let mut report = Report { serial: grant.serial, ..Report::default() };
    for refused in [5, 9, 2] {
        report.refused = refused;
        machine.say(&FromMachine::Report(report.clone())).await;
    }
    stage.until_stream("what came to the machine", |s| s["refused"]["by_machines"] == 11).await;
}
