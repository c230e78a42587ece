//! The frame counter that stands at the top of the shared screen (`browser/moving.html` draws it),
//! read back from a picture of any size.
//!
//! ```text
//!   20 squares of 1/20 of the width and 1/15 of the height, in two rows
//!   ┌──┬──┬──┬──┬ ... ┬──┐
//!   │██│  │ 0│ 1│     │17│   white, black, then the word's first 18 bits, the highest first
//!   ├──┼──┼──┼──┼ ... ┼──┤
//!   │  │██│18│19│     │35│   black, white, then the other 18
//!   └──┴──┴──┴──┴ ... ┴──┘
//!   the word: 24 bits of counter, 12 of its CRC; a white square is a one
//! ```
//!
//! A square is 64x48 pixels of 1280x720, 8x6 of a 160x90 picture: it outlives scaling and a coarse
//! H.264. A picture that is half of one frame and half of the next fails the CRC.

const COLUMNS: usize = 20;
const ROWS: usize = 2;
/// The rows that the picture's whole height would hold.
const ROWS_IN_HEIGHT: usize = 15;
const SYNC: usize = 2;

const COUNTER_BITS: u32 = 24;
const CRC_BITS: u32 = 12;

/// x¹² + x¹¹ + x³ + x² + x + 1, without its highest term.
const POLYNOMIAL: u64 = 0x80f;

/// Sync squares whose brightness differs by less are no sync squares.
const CONTRAST: u32 = 48;

/// The counter in a picture of `width` x `height` grey pixels, row by row. `None` when there is
/// none to be read with certainty.
pub fn read(grey: &[u8], width: usize, height: usize) -> Option<u32> {
    if grey.len() < width * height || width < 2 * COLUMNS || height < 2 * ROWS_IN_HEIGHT {
        return None;
    }
    let mut word = 0;
    for row in 0..ROWS {
        let brightness =
            |column| brightness(grey, (width, COLUMNS, column), (height, ROWS_IN_HEIGHT, row));
        let [white, black] = if row == 0 { [0, 1] } else { [1, 0] }.map(brightness);
        if white < black + CONTRAST {
            return None;
        }
        let middle = u32::midpoint(white, black);
        for column in SYNC..COLUMNS {
            word = word << 1 | u64::from(brightness(column) > middle);
        }
    }
    let counter = word >> CRC_BITS;
    let is_whole = crc(counter) == word & ((1 << CRC_BITS) - 1);
    is_whole.then(|| u32::try_from(counter).ok()).flatten()
}

/// A grey picture that shows the counter, as the page draws it.
pub fn draw(counter: u32, width: usize, height: usize) -> Vec<u8> {
    let word = u64::from(counter) << CRC_BITS | crc(u64::from(counter));
    let mut grey = vec![128; width * height];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let is_white = match column {
                0 | 1 => column == row,
                _ => {
                    let bit = row * (COLUMNS - SYNC) + column - SYNC;
                    word >> (COUNTER_BITS as usize + CRC_BITS as usize - 1 - bit) & 1 == 1
                }
            };
            for y in row * height / ROWS_IN_HEIGHT..(row + 1) * height / ROWS_IN_HEIGHT {
                for x in column * width / COLUMNS..(column + 1) * width / COLUMNS {
                    grey[y * width + x] = if is_white { 255 } else { 0 };
                }
            }
        }
    }
    grey
}

/// The mean over the inner half of a square; an axis is (pixels, squares in them, which of them).
fn brightness(
    grey: &[u8],
    (width, columns, column): (usize, usize, usize),
    (height, rows, row): (usize, usize, usize),
) -> u32 {
    let inner = |pixels: usize, squares: usize, which: usize| {
        let at = |quarter: usize| (4 * which + quarter) * pixels / (4 * squares);
        at(1)..at(3).max(at(1) + 1)
    };
    let (mut sum, mut count) = (0, 0);
    for y in inner(height, rows, row) {
        for x in inner(width, columns, column) {
            sum += u32::from(grey[y * width + x]);
            count += 1;
        }
    }
    sum / count
}

fn crc(counter: u64) -> u64 {
    let mut rest = counter << CRC_BITS;
    for bit in (CRC_BITS..CRC_BITS + COUNTER_BITS).rev() {
        if rest & (1 << bit) != 0 {
            rest ^= (1 << CRC_BITS | POLYNOMIAL) << (bit - CRC_BITS);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of its own (xorshift), so that noise is the same in each run.
    fn noise(seed: &mut u32) -> i32 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 17;
        *seed ^= *seed << 5;
        i32::from(seed.to_le_bytes()[0]) - 128
    }

    fn add(grey: &mut [u8], change: impl Fn(u8) -> i32) {
        for pixel in grey {
            *pixel = u8::try_from(change(*pixel).clamp(0, 255)).unwrap();
        }
    }

    /// Each pixel the mean of itself and its neighbours, as scaling and a coarse codec leave it.
    fn blur(grey: &[u8], width: usize, height: usize) -> Vec<u8> {
        let at = |x: usize, y: usize| u32::from(grey[y.min(height - 1) * width + x.min(width - 1)]);
        let mean = |x: usize, y: usize| {
            let (left, above) = (x.saturating_sub(1), y.saturating_sub(1));
            let columns = [left, x, x + 1];
            let sum: u32 =
                [above, y, y + 1].into_iter().flat_map(|y| columns.map(|x| at(x, y))).sum();
            u8::try_from(sum / 9).unwrap()
        };
        (0..width * height).map(|pixel| mean(pixel % width, pixel / width)).collect()
    }

    const COUNTERS: [u32; 7] = [0, 1, 2, 0x55_5555, 0xaa_aaaa, 0x80_0000, 0xff_ffff];

    #[test]
    fn a_clean_picture_of_any_size_is_read() {
        for (width, height) in [(1280, 720), (1279, 719), (640, 360), (160, 90), (100, 61)] {
            for counter in COUNTERS {
                let grey = draw(counter, width, height);
                assert_eq!(read(&grey, width, height), Some(counter), "{width}x{height}");
            }
        }
    }

    #[test]
    fn a_blurred_noisy_picture_in_limited_range_is_read() {
        let mut seed = 7;
        for counter in (0..1 << COUNTER_BITS).step_by(99_991) {
            let mut grey = blur(&draw(counter, 160, 90), 160, 90);
            add(&mut grey, |pixel| 16 + i32::from(pixel) * 219 / 255);
            let noisy: Vec<u8> = grey
                .iter()
                .map(|pixel| {
                    let noisy = (i32::from(*pixel) + noise(&mut seed) / 2).clamp(0, 255);
                    u8::try_from(noisy).unwrap()
                })
                .collect();
            assert_eq!(read(&noisy, 160, 90), Some(counter));
        }
    }

    #[test]
    fn two_halves_of_two_frames_are_not_read() {
        for counter in COUNTERS {
            let (width, height) = (160, 90);
            let mut torn = draw(counter, width, height);
            let next = (counter + 1) & 0xff_ffff;
            let second_row = height / ROWS_IN_HEIGHT * width;
            torn[second_row..].copy_from_slice(&draw(next, width, height)[second_row..]);
            // The first row holds the upper 18 bits: where they agree, the picture is the next.
            let expected = (counter >> 6 == next >> 6).then_some(next);
            assert_eq!(read(&torn, width, height), expected);
        }
    }

    #[test]
    fn pictures_without_a_counter_are_not_read() {
        let mut seed = 3;
        let random: Vec<u8> =
            (0..160 * 90).map(|_| u8::try_from(noise(&mut seed) + 128).unwrap()).collect();
        for grey in [vec![0; 160 * 90], vec![255; 160 * 90], random] {
            assert_eq!(read(&grey, 160, 90), None);
        }
        assert_eq!(read(&[0; 10], 160, 90), None);
    }
}
