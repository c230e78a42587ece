//! What a lesson will ask of the school's network, before anybody buys a switch. Pure.
//!
//! ```text
//!   box ──wire──▶ switch ──┬──▶ wired machines      one copy for all of them, by multicast
//!                          └──▶ access point ~~▶ Wi-Fi machines     a copy each, alone
//! ```
//!
//! The figures are the product's own: the quality profile, what the egress budget makes of it for
//! so many machines alone, and what protection costs as the laboratory measures it. Two things are
//! rules of thumb, and the page says so: how much of a wire is wise to use, and what an access
//! point of a class really carries.

use alfarid_stream::egress::{self, Ask, Egress, Overhead, on_wire};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Profile;
use crate::field::{FieldCode, Invalid};

/// Machines that a question may be about: more than any room has.
pub(super) const MOST_MACHINES: u32 = 500;

/// What a wire may have, in Mbit/s.
const LEAST_WIRE: u32 = 10;
const MOST_WIRE: u32 = 100_000;

/// Percent of a link that a lesson may take without being noticed, and what it can take at all:
/// something else is always going on, and bursts need room.
const WISE: u64 = 60;
const MOST: u64 = 90;

/// What the box itself allows, from its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Of machines that receive alone, together.
    pub budget_bps: u64,
    /// Machines on Wi-Fi may receive by multicast.
    pub wifi_multicast: bool,
}

/// A room as somebody thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub machines: u32,
    /// Of these, on Wi-Fi.
    pub on_wifi: u32,
    pub profile: Profile,
    /// The box's own link, in Mbit/s.
    pub wire_mbps: u32,
    pub wifi: Wifi,
}

/// The generation of an access point; a room has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WifiGeneration)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wifi {
    /// Wi-Fi 4 (802.11n), 2.4 GHz.
    Wifi4,
    /// Wi-Fi 5 (802.11ac), 5 GHz.
    Wifi5,
    /// Wi-Fi 6 (802.11ax), 5 GHz.
    Wifi6,
}

impl Wifi {
    /// What a room full of machines gets out of it together: a rule of thumb, about a quarter of
    /// what stands on the box it came in.
    const fn carries_bps(self) -> u64 {
        match self {
            Self::Wifi4 => 40_000_000,
            Self::Wifi5 => 150_000_000,
            Self::Wifi6 => 300_000_000,
        }
    }
}

/// What a lesson in such a room costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Bandwidth {
    pub machines_by_multicast: u32,
    /// Each of them is sent a copy of its own.
    pub machines_alone: u32,
    /// What the publisher is asked for: picture, sound, frames.
    pub max_bitrate_bps: u32,
    pub max_audio_bitrate_bps: u32,
    pub max_fps: u32,
    /// Without loss, then with one packet in twenty lost.
    pub costs: Vec<Cost>,
    /// The box's link and the access point's air, at the greatest of these costs.
    pub wire: LinkLoad,
    /// Nothing, without machines on Wi-Fi.
    #[schema(required)]
    pub wifi: Option<LinkLoad>,
    pub budget: Budget,
}

/// What the box sends, everything counted, in bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BandwidthCost)]
pub(super) struct Cost {
    pub loss_percent: u32,
    /// To all that receive by multicast together.
    pub multicast_bps: u64,
    /// To all that receive alone.
    pub unicast_bps: u64,
    pub total_bps: u64,
    /// What it would be, with the same picture, were there no multicast.
    pub without_multicast_bps: u64,
}

/// How much of a link it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LinkLoad {
    pub load_bps: u64,
    pub carries_bps: u64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LinkVerdict)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Carries,
    /// It works while nothing else goes on.
    Tight,
    TooSmall,
}

/// What becomes of the box's budget for machines that receive alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UnicastBudget)]
pub(super) struct Budget {
    pub allowed_bps: u64,
    pub verdict: BudgetVerdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BudgetVerdict {
    Carries,
    /// The picture is made smaller for all, as far as it takes.
    Lowers,
    /// Even the smallest picture is too much.
    TooSmall,
}

impl Room {
    /// Refuses what no school has.
    pub(super) fn check(self) -> Result<Self, Invalid> {
        let out_of_range = |field, detail| Invalid { field, code: FieldCode::OutOfRange, detail };
        if !(1..=MOST_MACHINES).contains(&self.machines) {
            return Err(out_of_range("machines", "must be from 1 to 500"));
        }
        if self.on_wifi > self.machines {
            return Err(out_of_range("on_wifi", "must not be more than there are machines"));
        }
        if !(LEAST_WIRE..=MOST_WIRE).contains(&self.wire_mbps) {
            return Err(out_of_range("wire_mbps", "must be from 10 to 100000"));
        }
        Ok(self)
    }

    pub(super) fn bandwidth(&self, allowance: Allowance) -> Bandwidth {
        let alone = if allowance.wifi_multicast { 0 } else { self.on_wifi };
        let by_multicast = self.machines - alone;
        let mut egress = self.egress(allowance);
        let Ask { bitrate_bps, fps } = egress.settle(alone);
        let sound_bps = self.profile.limits().max_audio_bitrate_bps;
        let stream_bps = u64::from(bitrate_bps) + u64::from(sound_bps);
        let costs = [(0, Overhead::CALM), (5, Overhead::LOSSY)].map(|(loss_percent, overhead)| {
            cost(loss_percent, overhead, stream_bps, by_multicast, alone)
        });
        let on_wire = costs.map(|cost| cost.total_bps).into_iter().max().unwrap_or(0);
        // An access point that takes multicast makes a copy of it for each of its machines.
        let copies = if allowance.wifi_multicast { u64::from(self.on_wifi) } else { 0 };
        let in_air = |cost: &Cost| cost.unicast_bps + cost.multicast_bps * copies;
        let in_air = costs.iter().map(in_air).max().unwrap_or(0);
        let wire_bps = u64::from(self.wire_mbps) * 1_000_000;
        Bandwidth {
            machines_by_multicast: by_multicast,
            machines_alone: alone,
            max_bitrate_bps: bitrate_bps,
            max_audio_bitrate_bps: sound_bps,
            max_fps: fps,
            wire: LinkLoad::new(on_wire, wire_bps),
            wifi: (self.on_wifi > 0).then(|| LinkLoad::new(in_air, self.wifi.carries_bps())),
            costs: costs.to_vec(),
            budget: Budget {
                allowed_bps: allowance.budget_bps,
                verdict: match (egress.is_lowered(), egress.bears(stream_bps)) {
                    (_, false) => BudgetVerdict::TooSmall,
                    (true, true) => BudgetVerdict::Lowers,
                    (false, true) => BudgetVerdict::Carries,
                },
            },
        }
    }

    /// What the box itself reckons with in a lesson.
    fn egress(&self, allowance: Allowance) -> Egress {
        let limits = self.profile.limits();
        let profile = egress::Profile {
            bitrate_bps: limits.max_bitrate_bps,
            fps: limits.max_fps,
            sound_bps: limits.max_audio_bitrate_bps,
        };
        Egress::new(allowance.budget_bps, profile)
    }
}

fn cost(
    loss_percent: u32,
    overhead: Overhead,
    stream_bps: u64,
    by_multicast: u32,
    alone: u32,
) -> Cost {
    let one_alone = on_wire(stream_bps, overhead.alone);
    let group = on_wire(stream_bps, overhead.multicast);
    let multicast_bps = if by_multicast > 0 { group } else { 0 };
    let unicast_bps = one_alone * u64::from(alone);
    Cost {
        loss_percent,
        multicast_bps,
        unicast_bps,
        total_bps: multicast_bps + unicast_bps,
        without_multicast_bps: one_alone * u64::from(by_multicast + alone),
    }
}

impl LinkLoad {
    fn new(load_bps: u64, carries_bps: u64) -> Self {
        let percent = |of: u64| carries_bps / 100 * of;
        let verdict = if load_bps <= percent(WISE) {
            Verdict::Carries
        } else if load_bps <= percent(MOST) {
            Verdict::Tight
        } else {
            Verdict::TooSmall
        };
        Self { load_bps, carries_bps, verdict }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance { budget_bps: 60_000_000, wifi_multicast: false };

    fn room(machines: u32, on_wifi: u32, profile: Profile) -> Room {
        Room { machines, on_wifi, profile, wire_mbps: 1_000, wifi: Wifi::Wifi5 }
    }

    #[test]
    fn a_wired_class_costs_one_copy_however_large_it_is() {
        let few = room(10, 0, Profile::Small).bandwidth(ALLOWANCE);
        let many = room(50, 0, Profile::Small).bandwidth(ALLOWANCE);
        let total = |bandwidth: &Bandwidth| bandwidth.costs[1].total_bps;
        assert_eq!((total(&few), total(&many)), (5_448_960, 5_448_960));
        assert_eq!(many.costs[0].multicast_bps, 4_540_800, "4 Mbit/s and 128 kbit/s, and 10 %");
        assert_eq!(many.costs[0].without_multicast_bps, 50 * 4_540_800);
        assert_eq!((many.costs[0].unicast_bps, many.wifi), (0, None));
        assert_eq!(many.wire.verdict, Verdict::Carries);
        assert_eq!(many.budget.verdict, BudgetVerdict::Carries);
    }

    #[test]
    fn machines_on_wifi_cost_a_copy_each_and_lower_the_picture() {
        let half = room(30, 15, Profile::Small).bandwidth(ALLOWANCE);
        assert_eq!((half.machines_by_multicast, half.machines_alone), (15, 15));
        assert_eq!((half.max_bitrate_bps, half.max_fps), (3_350_000, 30));
        assert_eq!(half.budget.verdict, BudgetVerdict::Lowers);
        let [calm, lossy] = half.costs[..] else { panic!("{half:?}") };
        assert_eq!((calm.loss_percent, lossy.loss_percent), (0, 5));
        assert_eq!(calm.unicast_bps, 15 * (3_478_000 + 347_800));
        assert_eq!(half.wifi.unwrap().load_bps, lossy.unicast_bps);
        assert_eq!(half.wire.load_bps, lossy.total_bps);
        let none_is_left = room(500, 500, Profile::Large).bandwidth(ALLOWANCE);
        assert_eq!(none_is_left.budget.verdict, BudgetVerdict::TooSmall);
        assert_eq!(none_is_left.costs[0].multicast_bps, 0, "nobody is there to hear it");
    }

    #[test]
    fn where_wifi_takes_multicast_the_wire_has_one_copy_and_the_air_one_each() {
        let allowance = Allowance { wifi_multicast: true, ..ALLOWANCE };
        let all = room(30, 30, Profile::Small).bandwidth(allowance);
        assert_eq!((all.machines_alone, all.costs[1].unicast_bps), (0, 0));
        assert_eq!(all.wifi.unwrap().load_bps, 30 * all.costs[1].multicast_bps);
    }

    #[test]
    fn a_link_is_judged_at_the_worst() {
        let verdict = |wire_mbps, wifi| {
            let room = Room { wire_mbps, wifi, ..room(13, 13, Profile::Small) };
            let bandwidth = room.bandwidth(ALLOWANCE);
            (bandwidth.wire.verdict, bandwidth.wifi.unwrap().verdict)
        };
        assert_eq!(verdict(1_000, Wifi::Wifi6), (Verdict::Carries, Verdict::Carries));
        assert_eq!(verdict(100, Wifi::Wifi5), (Verdict::Tight, Verdict::Carries));
        assert_eq!(verdict(10, Wifi::Wifi4), (Verdict::TooSmall, Verdict::TooSmall));
    }

    #[test]
    fn what_no_school_has_is_refused_by_its_name() {
        let good = room(30, 10, Profile::Small);
        assert_eq!(good.check().unwrap(), good);
        for (room, field) in [
            (Room { machines: 0, on_wifi: 0, ..good }, "machines"),
            (Room { machines: 501, ..good }, "machines"),
            (Room { on_wifi: 31, ..good }, "on_wifi"),
            (Room { wire_mbps: 9, ..good }, "wire_mbps"),
            (Room { wire_mbps: u32::MAX, ..good }, "wire_mbps"),
        ] {
            let invalid = room.check().unwrap_err();
            assert_eq!((invalid.field, invalid.code), (field, FieldCode::OutOfRange));
        }
    }

    proptest! {
        #[test]
        fn more_machines_never_get_a_better_picture(
            machines in 1..MOST_MACHINES, wired in 0..MOST_MACHINES, wire_mbps in 10..2_000_u32,
        ) {
            let of = |machines: u32| {
                let on_wifi = machines.saturating_sub(wired);
                Room { wire_mbps, ..room(machines, on_wifi, Profile::Medium) }.bandwidth(ALLOWANCE)
            };
            let (fewer, more) = (of(machines), of(machines + 1));
            prop_assert!(fewer.max_bitrate_bps >= more.max_bitrate_bps);
            prop_assert_eq!(fewer.machines_by_multicast + fewer.machines_alone, machines);
            prop_assert!(fewer.costs[0].total_bps <= fewer.costs[1].total_bps);
        }
    }
}
