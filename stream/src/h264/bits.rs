//! Bits of a NAL unit, as H.264 §7.2 reads them.

/// Reads bits from a NAL unit's body, leaving out the bytes that only keep a start code from
/// appearing in it (`00 00 03`, H.264 §7.4.1.1).
#[derive(Debug)]
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// Zero bytes before `rest`, for the emulation prevention.
    zeros: u8,
    byte: u8,
    /// Bits of `byte` that were not read yet, the lowest ones.
    left: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, zeros: 0, byte: 0, left: 0 }
    }

    /// `None` at the end.
    pub(super) fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    /// u(n), at most 32 bits.
    pub(super) fn unsigned(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0_u32, |value, _| Some(value << 1 | u32::from(self.bit()?)))
    }

    /// ue(v), H.264 §9.1: as many bits again as there are zeros before the first one.
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            // The largest code that stands for 32 bits. Also what bounds this loop.
            if zeros > 31 {
                return None;
            }
        }
        // 2^zeros - 1 + the bits that follow, which is below 2^32 for up to 31 zeros.
        Some((1 << zeros) - 1 + self.unsigned(zeros)?)
    }

    /// se(v), H.264 §9.1.1: 0, 1, -1, 2, -2, ...
    pub(super) fn signed_golomb(&mut self) -> Option<i32> {
        let code = self.golomb()?;
        let half = (code / 2).cast_signed();
        Some(if code % 2 == 0 { -half } else { half + 1 })
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        if self.zeros >= 2 && *byte == 3 {
            (byte, rest) = rest.split_first()?;
            self.zeros = 0;
        }
        self.zeros = if *byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        self.rest = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes_of_the_standard() {
        // H.264 table 9-2: 1, 010, 011, 00100, 00101, then padding.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.signed_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_largest_code_fits_and_a_larger_one_is_refused() {
        let largest = [0, 0, 3, 0, 0x01, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Bits::new(&largest).golomb(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 3, 0, 0, 3, 0xff, 0xff]).golomb(), None);
        assert_eq!(Bits::new(&[0x08]).golomb(), None, "ends inside the code");
    }

    #[test]
    fn emulation_prevention_is_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 3, 0, 0, 3, 0, 0, 3]);
        let bytes: Vec<_> = std::iter::from_fn(|| bits.unsigned(8)).collect();
        assert_eq!(bytes, [0, 0, 1, 3, 0, 0, 0, 0]);
    }
}
