//! The memory of an X server's screen, as Xvfb maps it into a file: a header of X's own screen dumps
//! (XWDFile.h), big-endian, then its colours, then the pixels line by line, four bytes each.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::{Context, Result, ensure};

/// The header's fields, of 32 bits each, up to the last one that is read.
const FIELDS: usize = 20;
/// What the file has for each colour of its map.
const COLOUR: u32 = 12;
const PIXEL: usize = 4;
/// What is not read of a picture.
const GREY: u8 = 128;

#[derive(Debug)]
pub struct Pixels {
    file: File,
    /// Where the pixels begin, and the bytes of a line.
    begin: u64,
    line: usize,
    width: usize,
    height: usize,
}

impl Pixels {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut header = [0; FIELDS * 4];
        file.read_exact_at(&mut header, 0).context("the header of a screen")?;
        let fields: Vec<u32> = header
            .chunks_exact(4)
            .map(|field| field.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
            .collect();
        let field = |n: usize| fields.get(n).copied().context("a field of the header");
        ensure!(field(11)? == 32, "a pixel has {} bits", field(11)?);
        Ok(Self {
            file,
            begin: (field(0)? + field(19)? * COLOUR).into(),
            line: usize::try_from(field(12)?)?,
            width: usize::try_from(field(4)?)?,
            height: usize::try_from(field(5)?)?,
        })
    }

    /// The upper `rows` of the screen in grey, a byte a pixel, as a picture of `width` x `height` of
    /// which the rest is grey: the nearest pixels, for speed. As they are while this reads: half of
    /// one frame and half of the next, now and then.
    pub fn grey(&self, (width, height): (usize, usize), rows: usize) -> Result<Vec<u8>> {
        let mut grey = Vec::with_capacity(width * height);
        let mut line = vec![0; self.line];
        for row in 0..rows.min(height) {
            let from = (2 * row + 1) * self.height / (2 * height);
            self.file.read_exact_at(&mut line, self.begin + u64::try_from(from * self.line)?)?;
            for column in 0..width {
                let at = (2 * column + 1) * self.width / (2 * width) * PIXEL;
                let colours = line.get(at..at + 3).context("a pixel of the line")?;
                let sum: u32 = colours.iter().map(|colour| u32::from(*colour)).sum();
                grey.push(u8::try_from(sum / 3)?);
            }
        }
        grey.resize(width * height, GREY);
        Ok(grey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_pixels_are_read_from_behind_the_header_and_its_colours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("screen");
        // Four by two pixels, a header that is one field longer, one colour.
        let mut fields = [0_u32; FIELDS + 1];
        (fields[0], fields[4], fields[5], fields[11], fields[12], fields[19]) =
            (84, 4, 2, 32, 16, 1);
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        bytes.extend([0xee; 12]);
        for pixel in [10, 20, 30, 40, 50, 60, 70, 80] {
            bytes.extend([pixel, pixel, pixel, 0]);
        }
        std::fs::write(&path, bytes).unwrap();

        let pixels = Pixels::open(&path).unwrap();

        assert_eq!(pixels.grey((4, 2), 2).unwrap(), [10, 20, 30, 40, 50, 60, 70, 80]);
        assert_eq!(pixels.grey((2, 2), 1).unwrap(), [20, 40, GREY, GREY]);
    }
}
