//! Cuts H.264 pictures into RTP payloads (RFC 6184) as browsers do: parameter sets share one, and a
//! slice becomes as few as fit, all of about one size (libwebrtc's `SplitAboutEqually`).
//! GStreamer's payloader fills all but the last, and repair sends a whole packet for however little
//! that is.

/// What a browser puts into a packet at most, beside the RTP header.
const MOST: usize = 1_188;

/// Types that stand in the place of a unit's (§5.4): of several units, and of a piece of one, which
/// has two headers (§5.8).
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_A_HEADERS: usize = 2;

const SPS: u8 = 7;
const PPS: u8 = 8;

/// The payloads of an access unit in Annex-B form.
pub(super) fn h264(access_unit: &[u8]) -> Vec<Vec<u8>> {
    let is_set = |unit: &&[u8]| matches!(unit[0] & 0x1f, SPS | PPS);
    let (sets, others): (Vec<_>, Vec<_>) = units(access_unit).into_iter().partition(is_set);
    let sets = (!sets.is_empty()).then(|| together(&sets));
    sets.into_iter().chain(others.into_iter().flat_map(payloads)).collect()
}

/// §5.7.1.
fn together(units: &[&[u8]]) -> Vec<u8> {
    let importance = units.iter().map(|unit| unit[0] & 0x60).max().unwrap_or_default();
    let mut payload = vec![importance | STAP_A];
    for unit in units {
        payload.extend(u16::try_from(unit.len()).unwrap().to_be_bytes());
        payload.extend(*unit);
    }
    payload
}

fn units(access_unit: &[u8]) -> Vec<&[u8]> {
    const START_CODE: [u8; 3] = [0, 0, 1];
    let windows = access_unit.windows(START_CODE.len()).enumerate();
    let starts = windows.filter(|(_, window)| *window == START_CODE).map(|(at, _)| at);
    let starts: Vec<_> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([access_unit.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &access_unit[start + START_CODE.len()..end];
        // A longer start code follows; no unit ends in a zero.
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - zeros]
    };
    starts.iter().zip(ends).map(unit).collect()
}

fn payloads(unit: &[u8]) -> Vec<Vec<u8>> {
    if unit.len() <= MOST {
        return vec![unit.to_vec()];
    }
    let (header, body) = (unit[0], &unit[1..]);
    let pieces = body.len().div_ceil(MOST - FU_A_HEADERS);
    let piece = |n: usize| {
        let is_first = u8::from(n == 0) << 7;
        let is_last = u8::from(n == pieces - 1) << 6;
        let headers = [header & 0xe0 | FU_A, is_first | is_last | header & 0x1f];
        let from = |n: usize| n * body.len() / pieces;
        [&headers[..], &body[from(n)..from(n + 1)]].concat()
    };
    (0..pieces).map(piece).collect()
}
