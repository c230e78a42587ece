//! One access unit from the packets that carry it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    Error, kind,
    units::{Part, units},
};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// All NAL units of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Annex-B form: a start code of four bytes before each NAL unit.
    pub data: Bytes,
    /// Carries an IDR picture: decoding can start here if the parameter sets are known.
    pub is_idr: bool,
}

/// Puts the payloads of one access unit together, which must be all of them and in order.
pub fn depacketise<'a>(
    payloads: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
) -> Result<AccessUnit, Error> {
    let payloads = payloads.into_iter();
    // A start code per unit is more than the RTP framing that it replaces, but not by much.
    let capacity = payloads.clone().map(|payload| payload.len() + START_CODE.len()).sum();
    let mut data = BytesMut::with_capacity(capacity);
    let mut is_idr = false;
    let mut open = None;
    for payload in payloads {
        for unit in units(payload)? {
            match unit.part {
                Part::Whole | Part::First => {
                    if open.is_some() {
                        return Err(Error::OpenFragment);
                    }
                    data.put_slice(&START_CODE);
                    data.put_u8(unit.header);
                    is_idr |= unit.kind() == kind::IDR;
                }
                // RFC 6184 §5.8: the type is the same in all fragments of a unit.
                Part::Middle | Part::Last => {
                    if open != Some(unit.kind()) {
                        return Err(Error::StrayFragment);
                    }
                }
            }
            data.put_slice(unit.body);
            open = matches!(unit.part, Part::First | Part::Middle).then_some(unit.kind());
        }
    }
    match open {
        Some(_) => Err(Error::OpenFragment),
        None if data.is_empty() => Err(Error::Empty),
        None => Ok(AccessUnit { data: data.freeze(), is_idr }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn single_aggregate_and_fragments_become_one_access_unit() {
        let payloads: [&[u8]; 5] = [
            &[0x09, 0xf0],
            &[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce],
            &[0x7c, 0x85, 0xb8, 0x01],
            &[0x7c, 0x05, 0x02],
            &[0x7c, 0x45, 0x03],
        ];
        let unit = depacketise(payloads).unwrap();
        assert!(unit.is_idr);
        let expected: [&[u8]; 4] =
            [&[0x09, 0xf0], &[0x67, 0x42], &[0x68, 0xce], &[0x65, 0xb8, 1, 2, 3]];
        let expected: Vec<u8> =
            expected.iter().flat_map(|nal| START_CODE.iter().chain(*nal)).copied().collect();
        assert_eq!(unit.data, expected);
    }

    #[test]
    fn broken_fragments_are_refused() {
        let first: &[u8] = &[0x7c, 0x81, 1];
        let last: &[u8] = &[0x7c, 0x41, 2];
        let other: &[u8] = &[0x7c, 0x45, 2];
        let whole: &[u8] = &[0x41, 2];
        assert!(depacketise([first, last]).is_ok());
        assert_eq!(depacketise([last]), Err(Error::StrayFragment));
        assert_eq!(depacketise([first, other]), Err(Error::StrayFragment));
        assert_eq!(depacketise([first]), Err(Error::OpenFragment));
        assert_eq!(depacketise([first, whole]), Err(Error::OpenFragment));
        assert_eq!(depacketise([first, first]), Err(Error::OpenFragment));
        assert_eq!(depacketise([first, last, last]), Err(Error::StrayFragment));
        assert_eq!(depacketise([]), Err(Error::Empty));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..32), 0..8),
        ) {
            let _ = depacketise(payloads.iter().map(Vec::as_slice));
        }

        #[test]
        fn a_unit_cut_anywhere_comes_together(
            body in proptest::collection::vec(any::<u8>(), 3..200), cuts in 1..100_usize,
        ) {
            let size = body.len().div_ceil(cuts).clamp(1, body.len() - 1);
            let chunks: Vec<_> = body.chunks(size).collect();
            let last = chunks.len() - 1;
            let payloads: Vec<Vec<u8>> = chunks.iter().enumerate().map(|(n, chunk)| {
                let start = if n == 0 { 0x80 } else { 0 };
                let end = if n == last { 0x40 } else { 0 };
                [&[0x7c, start | end | 5], *chunk].concat()
            }).collect();
            let unit = depacketise(payloads.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(&unit.data[..5], [0, 0, 0, 1, 0x65]);
            prop_assert_eq!(&unit.data[5..], &body[..]);
        }
    }
}
