//! Publishing by WHIP, and what reaches the network: a real publisher, a real UDP port, real
//! multicast on the loopback interface.

mod publisher;
mod stage;

use alfarid_protocol::grant::Codec;

use publisher::{ALL, encoder::Spec};
use stage::{Stage, reception::Reception};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_teacher_shares_reaches_the_group_without_a_gap() {
    for (spec, codec) in [(Spec::H264, Codec::H264), (Spec::VP8, Codec::Vp8)] {
        let stage = Stage::new().await;
        let mut machine = stage.machine().await;
        let _teacher = stage.publish("teacher", ALL, spec).await;
        let grant = machine.grant().await;
        assert_eq!(grant.video.as_ref().unwrap().codec, codec);
        let mut reception = Reception::begin(&mut machine, &grant).await;
        let frames = reception.frames(60).await;
        assert!(frames[0].is_keyframe);
        reception.assert_unbroken();
    }
}
