use std::{sync::OnceLock, time::Duration};

use aws_lc_rs::signature::Ed25519KeyPair;

use super::{Attack, Lesson, Plan};
use crate::{
    block::SigningKey,
    lab::{Gilbert, Weather},
};

/// Not the box's.
pub(super) fn other_key() -> SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    let key = || SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap());
    KEY.get_or_init(key).clone()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DEADLINE: Duration = Duration::from_millis(250);

fn losing(loss: u64, mean: u64) -> Plan {
    let gilbert = Gilbert { loss, mean };
    let jitter = Duration::from_millis(1);
    let downlink = Weather { gilbert, jitter, in_order: true, ..Weather::default() };
    // What machines say is so far apart that no burst takes two of it.
    let gilbert = Gilbert { loss, mean: 0 };
    let uplink = Weather { gilbert, jitter, ..Weather::default() };
    Plan { downlink, uplink, ..Plan::default() }
}

#[test]
fn big() {
    let size = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
    };
    let (receivers, length) =
        (u32::try_from(size("RECEIVERS", 3)).unwrap(), secs(size("LENGTH", 4)));
    let from = secs(size("FROM", 2));
    let random = size("RANDOM", 0);
    for (loss, mean) in [(0, 0), (50, 0), (50, 5), (200, 0)] {
        if size("SCEN", loss * 10 + mean) != loss * 10 + mean {
            continue;
        }
        let mut plan = losing(loss, mean);
        if random == 1 {
            plan.downlink.jitter = Duration::from_millis(15);
            plan.downlink.in_order = false;
            plan.uplink.jitter = Duration::from_millis(15);
            plan.delay = (Duration::from_millis(5), Duration::from_millis(5));
        }
        let sound = usize::try_from(size("SOUND", 160)).unwrap();
        let plan = Plan { receivers, length, sound, mark: from, seed: size("SEED", 1), ..plan };
        let lesson = Lesson::hold(plan);
        println!("loss {loss} mean {mean} sound {sound}: {}", lesson.figures(from, DEADLINE));
        let (p, r) = (lesson.protect.stats(), lesson.repair.stats());
        let (mp, mr) = lesson.mark.unwrap();
        println!("   blocks {} parity {}", p.blocks - mp.blocks, p.parity - mp.parity);
        println!(
            "   requests {} crossed {} limited {} rounds {} alone {} datagrams {} dropped {}",
            r.requests - mr.requests,
            r.crossed - mr.crossed,
            r.limited - mr.limited,
            r.rounds - mr.rounds,
            r.alone - mr.alone,
            r.datagrams - mr.datagrams,
            r.dropped - mr.dropped
        );
        println!("   {:?}", lesson.machines[0].restore.stats());
    }
}

#[test]
fn attacks() {
    for attack in Attack::EACH.into_iter().chain([Attack::All]) {
        let lesson = Lesson::hold(Plan {
            attack: Some(attack),
            receivers: 3,
            length: secs(4),
            ..losing(50, 0)
        });
        println!("{attack:?}: {}", lesson.figures(secs(1), DEADLINE));
        println!("   {:?}", lesson.machines[0].restore.stats());
    }
}
