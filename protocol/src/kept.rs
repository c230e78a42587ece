//! The kept pictures on their way to a machine that joins late: binary messages beside the JSON
//! ones on the control connection.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, [`VERSION`] |
//! | 1 | flags: bit 0, this is the last message of the answer |
//! | 4 | serial of the grant, big-endian |
//! | then, repeated | 6 bytes index (big-endian, 48 bit), 2 bytes length, one RTP packet |

use thiserror::Error;

pub const VERSION: u8 = 1;
const LAST: u8 = 1;
const HEADER: usize = 6;
const PREFIX: usize = 8;

/// The largest message either side makes or takes. A kept GOP is cut into several.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Why bytes are not a kept message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeptError {
    #[error("kept message of {0} bytes is shorter than its header or longer than allowed")]
    Size(usize),
    #[error("kept message of unknown version {0}")]
    Version(u8),
    #[error("kept message ends inside a packet")]
    Truncated,
}

/// One message, read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    pub serial: u32,
    pub last: bool,
    /// (full 48-bit index, RTP packet), in the order of sending.
    pub packets: Vec<(u64, &'a [u8])>,
}

/// Cuts `packets` into messages for the grant `serial`. At least one message comes out, and the
/// last one says so. Packets that could never fit are left out (no MTU is that large).
pub fn encode<'a>(serial: u32, packets: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<Vec<u8>> {
    let mut messages = vec![header(serial)];
    for (index, packet) in packets {
        let Ok(length) = u16::try_from(packet.len()) else { continue };
        if HEADER + PREFIX + packet.len() > MAX_MESSAGE {
            continue;
        }
        if messages.last().is_none_or(|m| m.len() + PREFIX + packet.len() > MAX_MESSAGE) {
            messages.push(header(serial));
        }
        if let Some(message) = messages.last_mut() {
            message.extend_from_slice(&index.to_be_bytes()[2..]);
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(packet);
        }
    }
    if let Some(message) = messages.last_mut() {
        message[1] |= LAST;
    }
    messages
}

fn header(serial: u32) -> Vec<u8> {
    let mut message = vec![VERSION, 0];
    message.extend_from_slice(&serial.to_be_bytes());
    message
}

impl<'a> Kept<'a> {
    /// Reads one message. Bounded by [`MAX_MESSAGE`]; never panics, whatever the bytes.
    pub fn parse(message: &'a [u8]) -> Result<Self, KeptError> {
        if message.len() < HEADER || message.len() > MAX_MESSAGE {
            return Err(KeptError::Size(message.len()));
        }
        let (head, mut rest) = message.split_at(HEADER);
        if head[0] != VERSION {
            return Err(KeptError::Version(head[0]));
        }
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let (prefix, after) = rest.split_at_checked(PREFIX).ok_or(KeptError::Truncated)?;
            let index = prefix[..6].iter().fold(0, |index, &byte| index << 8 | u64::from(byte));
            let length = usize::from(u16::from_be_bytes([prefix[6], prefix[7]]));
            let (packet, after) = after.split_at_checked(length).ok_or(KeptError::Truncated)?;
            packets.push((index, packet));
            rest = after;
        }
        let serial = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        Ok(Self { serial, last: head[1] & LAST != 0, packets })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_up_comes_together(
            packets in proptest::collection::vec(
                (0..1u64 << 48, proptest::collection::vec(any::<u8>(), 0..1500)), 0..200),
        ) {
            let messages = encode(7, packets.iter().map(|(i, p)| (*i, p.as_slice())));
            let mut read = Vec::new();
            for (n, message) in messages.iter().enumerate() {
                let kept = Kept::parse(message).unwrap();
                prop_assert_eq!(kept.serial, 7);
                prop_assert_eq!(kept.last, n + 1 == messages.len());
                read.extend(kept.packets.iter().map(|(i, p)| (*i, p.to_vec())));
            }
            prop_assert_eq!(read, packets);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let _ = Kept::parse(&bytes);
        }
    }
}
