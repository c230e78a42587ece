//! SPS and PPS: remembered, compared, and packed again.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Error, bits::Bits, kind, sps};
use crate::codec::Size;

/// Most bytes of all sets together. Real ones have a tenth of it; and they must fit one packet.
pub const MAX_BYTES: usize = 1_024;

/// The parameter sets that a decoder needs before an IDR picture: NAL units with their header byte
/// and without start code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// At most one of an id, the newest.
    sps: Vec<Bytes>,
    /// At most one of an id, the newest.
    pps: Vec<Bytes>,
}

impl ParameterSets {
    /// Remembers an SPS or PPS in the place of one with the same id.
    pub fn insert(&mut self, nal: &[u8]) -> Result<(), Error> {
        let id = id(nal).ok_or(Error::ParameterSet)?;
        let (sets, others) = match nal[0] & 0x1f {
            kind::SPS => (&mut self.sps, &self.pps),
            _ => (&mut self.pps, &self.sps),
        };
        let same = sets.iter().position(|set| self::id(set) == Some(id));
        let replaced = same.map_or(0, |at| sets[at].len());
        let total: usize = sets.iter().chain(others).map(Bytes::len).sum();
        if total - replaced + nal.len() > MAX_BYTES {
            return Err(Error::ParameterSetsTooLarge);
        }
        let nal = Bytes::copy_from_slice(nal);
        match same {
            Some(at) => sets[at] = nal,
            None => sets.push(nal),
        }
        Ok(())
    }

    /// Remembers all of `newer`. What does not fit any more is left out.
    pub fn merge(&mut self, newer: &Self) {
        for nal in newer.sps.iter().chain(&newer.pps) {
            // Each was read once already, so only the bound can refuse it.
            let _ = self.insert(nal);
        }
    }

    /// At least one of each kind is there.
    pub fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.sps.is_empty() && self.pps.is_empty()
    }

    /// The sequence parameter sets.
    pub fn sps(&self) -> &[Bytes] {
        &self.sps
    }

    /// The picture parameter sets.
    pub fn pps(&self) -> &[Bytes] {
        &self.pps
    }

    /// The picture's size by the first SPS.
    pub fn size(&self) -> Option<Size> {
        self.sps.first().and_then(|nal| sps::size(nal).ok())
    }

    /// The payload of one packet with all the sets (RFC 6184 §5.7.1).
    pub fn stap_a(&self) -> Bytes {
        let mut payload = BytesMut::with_capacity(MAX_BYTES);
        // §5.3: as important as the most important of them.
        let importance = self.nals().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
        payload.put_u8(importance | kind::STAP_A);
        for nal in self.nals() {
            // MAX_BYTES keeps every length within its two bytes.
            payload.put_uint(nal.len() as u64, 2);
            payload.put_slice(nal);
        }
        payload.freeze()
    }

    fn nals(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.iter().chain(&self.pps)
    }
}

/// `seq_parameter_set_id` or `pic_parameter_set_id`; `None` for anything else.
fn id(nal: &[u8]) -> Option<u32> {
    let (&header, body) = nal.split_first()?;
    let mut bits = Bits::new(body);
    match header & 0x1f {
        kind::SPS => {
            bits.unsigned(24)?; // Profile, constraints, level.
            bits.golomb().filter(|&id| id < 32)
        }
        kind::PPS => bits.golomb().filter(|&id| id < 256),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::units;

    /// 1280x720 by x264, id 0.
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80,
        0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x47, 0x8c, 0x19, 0x24,
    ];
    const PPS: &[u8] = &[0x68, 0xcb, 0x8c, 0xb2];
    /// `pps_id` 1: 010.
    const OTHER_PPS: &[u8] = &[0x48, 0x5b, 0x8c];

    #[test]
    fn the_newest_of_an_id_stays() {
        let mut sets = ParameterSets::default();
        assert!(sets.is_empty());
        sets.insert(SPS).unwrap();
        assert!(!sets.is_complete());
        sets.insert(PPS).unwrap();
        assert!(sets.is_complete());
        let before = sets.clone();
        sets.insert(PPS).unwrap();
        assert_eq!(sets, before);
        sets.insert(&[0x68, 0xcb, 0x00]).unwrap();
        assert_eq!(sets.pps(), [Bytes::from_static(&[0x68, 0xcb, 0x00])]);
        sets.merge(&before);
        assert_eq!(sets, before);
        assert_eq!(sets.size(), Some(Size { width: 1280, height: 720 }));
    }

    #[test]
    fn one_packet_carries_them_all() {
        let mut sets = ParameterSets::default();
        for nal in [OTHER_PPS, PPS, SPS] {
            sets.insert(nal).unwrap();
        }
        let payload = sets.stap_a();
        assert_eq!(payload[0], 0x78, "as important as its most important unit");
        let nals: Vec<_> =
            units(&payload).unwrap().map(|unit| [&[unit.header], unit.body].concat()).collect();
        assert_eq!(nals, [SPS, OTHER_PPS, PPS], "SPS first, whatever came first");
    }

    #[test]
    fn what_is_no_set_or_too_large_is_refused() {
        let mut sets = ParameterSets::default();
        assert_eq!(sets.insert(&[0x65, 0x88]), Err(Error::ParameterSet));
        assert_eq!(sets.insert(&[0x68]), Err(Error::ParameterSet));
        assert_eq!(sets.insert(&[]), Err(Error::ParameterSet));
        let large = [&[0x68, 0xff][..], &[0; MAX_BYTES]].concat();
        assert_eq!(sets.insert(&large), Err(Error::ParameterSetsTooLarge));
        assert!(sets.is_empty());
    }
}
