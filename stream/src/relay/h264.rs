//! The gate of an H.264 source.
//!
//! Whether an access unit is an IDR picture shows only at its first slice, behind a prefix of
//! delimiter, parameter sets and SEI that encoders pack in many ways:
//!
//! ```text
//!   Chromium     STAP-A(SPS PPS) FU-A(IDR).. *
//!   OBS          SPS  PPS  (SEI)  FU-A(IDR).. *          * marker
//!   x264enc      AUD  SPS  PPS  SEI  slice  slice.. *
//!   hardware     (SPS PPS *)  AUD  FU-A(IDR).. *
//! ```
//!
//! So the prefix waits here until its slice comes.

use super::{
    Format, Stats,
    feed::{Malformed, Passed},
};
use crate::{
    h264::{ParameterSets, kind, units},
    rtp::{Header, Packet},
};

/// Most packets that wait for a slice; real prefixes have up to five. Full: what follows is
/// treated as unreadable, which closes the gate and lets the prefix go.
const MAX_PREFIX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: bool,
    /// The newest sets of this source.
    known: ParameterSets,
    /// The packet before this one; `None` after a loss.
    previous: Option<Header>,
    unit: Unit,
}

/// The present access unit.
#[derive(Debug, Default)]
struct Unit {
    /// Its very first packet was seen, and nothing was lost since.
    has_start: bool,
    /// A slice was seen: what follows belongs to the picture.
    has_slice: bool,
    /// What came before the first slice and waits for it.
    prefix: Vec<Packet>,
    /// The sets in `prefix` and in the packet with the first slice.
    sets: ParameterSets,
}

/// What one packet holds.
#[derive(Debug, Default)]
struct Contents {
    has_slice: bool,
    starts_idr: bool,
}

impl Gate {
    pub(super) fn is_closed(&self) -> bool {
        !self.is_open
    }

    pub(super) fn close(&mut self, stats: &mut Stats) {
        let unit = std::mem::take(&mut self.unit);
        stats.held_back += unit.prefix.len() as u64;
        self.known.merge(&unit.sets);
        self.is_open = false;
        self.previous = None;
    }

    pub(super) fn push(
        &mut self,
        packet: Packet,
        stats: &mut Stats,
    ) -> Result<Vec<Passed>, Malformed> {
        let previous = self.previous.replace(packet.header);
        if previous.is_some_and(|last| last.marker || last.timestamp != packet.header.timestamp) {
            // A prefix without a slice was an access unit of its own. It travels with the next.
            self.unit.has_start = true;
            self.unit.has_slice = false;
        }
        let contents = self.look_into(&packet)?;
        if !contents.has_slice && !self.unit.has_slice {
            if self.unit.prefix.len() == MAX_PREFIX {
                return Err(Malformed);
            }
            self.unit.prefix.push(packet);
            return Ok(Vec::new());
        }
        if std::mem::replace(&mut self.unit.has_slice, true) {
            return Ok(self.pass_or_drop(vec![packet], stats));
        }
        Ok(self.first_slice(packet, contents.starts_idr, stats))
    }

    /// Reads a packet and remembers its parameter sets.
    fn look_into(&mut self, packet: &Packet) -> Result<Contents, Malformed> {
        let mut contents = Contents::default();
        for unit in units(&packet.payload).map_err(|_| Malformed)? {
            contents.has_slice |= unit.is_slice();
            contents.starts_idr |= unit.starts_idr();
            if unit.is_whole() && matches!(unit.kind(), kind::SPS | kind::PPS) {
                let nal = [&[unit.header], unit.body].concat();
                self.unit.sets.insert(&nal).map_err(|_| Malformed)?;
            }
        }
        Ok(contents)
    }

    /// The access unit shows what it is, and its prefix goes the same way.
    fn first_slice(&mut self, slice: Packet, is_idr: bool, stats: &mut Stats) -> Vec<Passed> {
        let Unit { has_start, prefix, sets, .. } =
            std::mem::replace(&mut self.unit, Unit { has_slice: true, ..Unit::default() });
        let carries_sets = sets.is_complete();
        if is_idr && carries_sets {
            // The access unit says all that counts from here on.
            self.known = sets;
        } else {
            self.known.merge(&sets);
        }
        // After a loss, the sets of this very access unit may be what was lost: an IDR picture
        // whose start is not certain must carry its own.
        self.is_open |= is_idr && (carries_sets || has_start && self.known.is_complete());

        // Sets that were an access unit of their own had a time and a marker of their own.
        let header = Header { marker: false, ..slice.header };
        let mut packets: Vec<_> =
            prefix.into_iter().map(|packet| Packet { header, ..packet }).collect();
        if self.is_open && is_idr && !carries_sets {
            // H.264 §7.4.1.2.3: a delimiter stays the first of its access unit. One that shares its
            // packet with the slice ends up behind the sets, which decoders take.
            let at = packets.iter().take_while(|packet| is_delimiter(packet)).count();
            packets.insert(at, Packet { header, payload: self.known.stap_a() });
            stats.parameter_sets_repeated += 1;
        }
        packets.push(slice);
        let mut passed = self.pass_or_drop(packets, stats);
        if let Some(first) = passed.first_mut().filter(|_| is_idr) {
            first.keyframe =
                Some(Format { size: self.known.size(), parameter_sets: Some(self.known.clone()) });
        }
        passed
    }

    fn pass_or_drop(&self, packets: Vec<Packet>, stats: &mut Stats) -> Vec<Passed> {
        if self.is_open {
            packets.into_iter().map(|packet| Passed { packet, ..Passed::default() }).collect()
        } else {
            stats.held_back += packets.len() as u64;
            Vec::new()
        }
    }
}

fn is_delimiter(packet: &Packet) -> bool {
    packet.payload.first().is_some_and(|byte| byte & 0x1f == kind::DELIMITER)
}
