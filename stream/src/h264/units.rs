//! Which NAL units a payload carries.

use super::{Error, kind};

const KIND: u8 = 0x1f;
/// FU header (RFC 6184 §5.8).
const FRAGMENT_START: u8 = 0x80;
const FRAGMENT_END: u8 = 0x40;

/// How much of a NAL unit a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// It starts here and goes on in the next packet.
    First,
    Middle,
    Last,
}

/// A NAL unit, or what one packet holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// The NAL unit's first byte. Put together from the two of a fragment, so that it is the same
    /// however the unit was packed.
    pub header: u8,
    /// What follows the first byte.
    pub body: &'a [u8],
    pub part: Part,
}

impl Unit<'_> {
    /// See [`kind`].
    pub fn kind(&self) -> u8 {
        self.header & KIND
    }

    /// The NAL unit starts in this packet.
    pub fn is_start(&self) -> bool {
        matches!(self.part, Part::Whole | Part::First)
    }

    pub fn is_whole(&self) -> bool {
        self.part == Part::Whole
    }

    /// Carries a part of the picture itself: a slice, whole or partitioned (types 1 to 5).
    pub fn is_slice(&self) -> bool {
        (kind::SLICE..=kind::IDR).contains(&self.kind())
    }

    /// The start of the first slice of an IDR picture.
    ///
    /// A slice header opens with `first_mb_in_slice` in Exp-Golomb code (H.264 §7.3.3), whose 0 is
    /// a single one bit: one look tells the first slice from the others.
    pub fn starts_idr(&self) -> bool {
        let first = self.body.first().is_some_and(|byte| byte & 0x80 != 0);
        self.kind() == kind::IDR && self.is_start() && first
    }
}

/// Reads the payload of one packet. All of it is checked before the first unit is given.
pub fn units(payload: &[u8]) -> Result<Units<'_>, Error> {
    let (&indicator, rest) = payload.split_first().ok_or(Error::Truncated)?;
    match indicator & KIND {
        1..=23 => Ok(Units(Rest::One(Unit { header: indicator, body: rest, part: Part::Whole }))),
        kind::STAP_A => {
            let mut after = Some(rest);
            while let Some(rest) = after.filter(|rest| !rest.is_empty()) {
                let (unit, next) = aggregated(rest).ok_or(Error::Truncated)?;
                if !(1..=23).contains(&unit.kind()) {
                    return Err(Error::Unsupported(unit.kind()));
                }
                after = Some(next);
            }
            if rest.is_empty() { Err(Error::Truncated) } else { Ok(Units(Rest::Aggregate(rest))) }
        }
        kind::FU_A => fragment(indicator, rest).map(|unit| Units(Rest::One(unit))),
        other => Err(Error::Unsupported(other)),
    }
}

/// The NAL units of one payload, made by [`units`].
#[derive(Clone, Debug)]
pub struct Units<'a>(Rest<'a>);

#[derive(Clone, Debug)]
enum Rest<'a> {
    One(Unit<'a>),
    /// What follows the indicator of a STAP-A and has not been given yet.
    Aggregate(&'a [u8]),
}

impl<'a> Iterator for Units<'a> {
    type Item = Unit<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let done = Rest::Aggregate(&[]);
        match std::mem::replace(&mut self.0, done) {
            Rest::One(unit) => Some(unit),
            Rest::Aggregate(rest) => {
                let (unit, rest) = aggregated(rest)?;
                self.0 = Rest::Aggregate(rest);
                Some(unit)
            }
        }
    }
}

/// RFC 6184 §5.7.1: two bytes of size before each NAL unit.
fn aggregated(bytes: &[u8]) -> Option<(Unit<'_>, &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<2>()?;
    let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
    let (&header, body) = unit.split_first()?;
    Some((Unit { header, body, part: Part::Whole }, rest))
}

/// RFC 6184 §5.8: the indicator has the unit's importance, the FU header its type.
fn fragment(indicator: u8, rest: &[u8]) -> Result<Unit<'_>, Error> {
    let (&fragment, body) = rest.split_first().ok_or(Error::Truncated)?;
    if body.is_empty() {
        return Err(Error::Truncated);
    }
    let header = indicator & !KIND | fragment & KIND;
    if !(1..=23).contains(&(header & KIND)) {
        return Err(Error::Unsupported(header & KIND));
    }
    let part = match (fragment & FRAGMENT_START != 0, fragment & FRAGMENT_END != 0) {
        // RFC 6184 §5.8 forbids both in one packet; some encoders do it, and it is clear.
        (true, true) => Part::Whole,
        (true, false) => Part::First,
        (false, true) => Part::Last,
        (false, false) => Part::Middle,
    };
    Ok(Unit { header, body, part })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(payload: &[u8]) -> Result<Vec<Unit<'_>>, Error> {
        units(payload).map(Iterator::collect)
    }

    #[test]
    fn a_single_unit_is_the_payload() {
        let unit = read(&[0x65, 0x88, 0x84]).unwrap()[0];
        assert_eq!(unit, Unit { header: 0x65, body: &[0x88, 0x84], part: Part::Whole });
        assert!(unit.is_slice() && unit.starts_idr());
    }

    #[test]
    fn an_aggregate_is_each_of_its_units() {
        let payload = [0x78, 0, 3, 0x67, 0x42, 0xc0, 0, 2, 0x68, 0xce, 0, 2, 0x06, 0x05];
        let kinds: Vec<_> = read(&payload).unwrap().iter().map(Unit::kind).collect();
        assert_eq!(kinds, [kind::SPS, kind::PPS, kind::SEI]);
        for cut in [1, 2, 5, 7, 13] {
            assert_eq!(read(&payload[..cut]), Err(Error::Truncated), "cut at {cut}");
        }
        assert_eq!(read(&[0x78, 0, 0]), Err(Error::Truncated), "a unit of no bytes");
        assert_eq!(read(&[0x78, 0, 1, 0x78]), Err(Error::Unsupported(24)), "nested");
    }

    #[test]
    fn fragments_show_the_header_of_the_unit_they_make() {
        let first = read(&[0x7c, 0x85, 0xb8]).unwrap()[0];
        assert_eq!((first.header, first.part), (0x65, Part::First));
        assert!(first.starts_idr());
        let middle = read(&[0x7c, 0x05, 0xb8]).unwrap()[0];
        assert_eq!((middle.header, middle.part), (0x65, Part::Middle));
        assert!(middle.is_slice() && !middle.starts_idr());
        assert_eq!(read(&[0x7c, 0x45, 1]).unwrap()[0].part, Part::Last);
        assert_eq!(read(&[0x7c, 0x85]), Err(Error::Truncated));
    }

    #[test]
    fn a_later_slice_of_an_idr_picture_does_not_start_it() {
        // first_mb_in_slice = 60: ue(v) 000001 11101.
        assert!(!read(&[0x65, 0x07, 0xa2]).unwrap()[0].starts_idr());
    }

    #[test]
    fn interleaved_modes_are_refused() {
        for kind in [0, 25, 26, 27, 29, 30, 31] {
            assert_eq!(read(&[0x60 | kind, 0, 0, 0]), Err(Error::Unsupported(kind)));
        }
        assert_eq!(read(&[]), Err(Error::Truncated));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }
}
