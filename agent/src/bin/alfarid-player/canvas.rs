//! Pixels of the window: a ground, pictures, text through masks, and simple shapes. Pure.

use crate::{
    text::Mask,
    view::{Area, Size},
};

/// A colour as the window takes it: 0x00RRGGBB.
pub(crate) type Colour = u32;

/// What is drawn on. The pixels are the window's own.
pub(crate) struct Canvas<'a> {
    pixels: &'a mut [u32],
    width: usize,
    height: usize,
}

impl<'a> Canvas<'a> {
    /// `None` if there are not as many pixels as the size says.
    pub(crate) fn new(pixels: &'a mut [u32], (width, height): Size) -> Option<Self> {
        let (width, height) = (width as usize, height as usize);
        (pixels.len() == width * height && width > 0).then_some(Self { pixels, width, height })
    }

    pub(crate) fn fill(&mut self, colour: Colour) {
        self.pixels.fill(colour);
    }

    /// Fills everything around `area`.
    pub(crate) fn fill_around(&mut self, area: Area, colour: Colour) {
        let (left, top) = (area.x as usize, area.y as usize);
        let (right, bottom) = (left + area.width as usize, top + area.height as usize);
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            if (top..bottom).contains(&y) {
                row[..left].fill(colour);
                row[right..].fill(colour);
            } else {
                row.fill(colour);
            }
        }
    }

    /// The bytes (blue, green, red, unused) of `area`, which lies within the canvas, and how many
    /// lie between the beginnings of two rows.
    pub(crate) fn bytes(&mut self, area: Area) -> (&mut [u8], usize) {
        let first = area.y as usize * self.width + area.x as usize;
        let last = first + (area.height as usize).saturating_sub(1) * self.width;
        let pixels = &mut self.pixels[first..last + area.width as usize];
        (bytemuck::cast_slice_mut(pixels), self.width * 4)
    }

    /// Puts text with its upper left corner at (x, y); what does not fit is cut off.
    pub(crate) fn text(&mut self, x: usize, y: usize, mask: &Mask, colour: Colour) {
        if mask.width == 0 || x >= self.width {
            return;
        }
        let rows = self.pixels.chunks_exact_mut(self.width).skip(y);
        for (row, coverage) in rows.zip(mask.coverage.chunks_exact(mask.width)) {
            for (pixel, &coverage) in row[x..].iter_mut().zip(coverage) {
                *pixel = blend(*pixel, colour, u32::from(coverage));
            }
        }
    }

    /// A rectangle with round ends, `opacity` from 0 to 255, edges smooth.
    pub(crate) fn pill(&mut self, area: Area, colour: Colour, opacity: u32) {
        let radius = f64::from(area.height.min(area.width)) / 2.0;
        // The line between the centres of the two round ends.
        let (from, to) = (f64::from(area.x) + radius, f64::from(area.x + area.width) - radius);
        let middle = f64::from(area.y) + radius;
        for y in area.y..(area.y + area.height).min(clamped(self.height)) {
            for x in area.x..(area.x + area.width).min(clamped(self.width)) {
                let (x_centre, y_centre) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
                let distance = (x_centre - x_centre.clamp(from, to)).hypot(y_centre - middle);
                let inside = (radius - distance + 0.5).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[y as usize * self.width + x as usize];
                *pixel = blend(*pixel, colour, share(inside, opacity));
            }
        }
    }
}

fn clamped(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// `part` (0 to 1) of `opacity`.
fn share(part: f64, opacity: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 255"
    )]
    let share = (part * f64::from(opacity)) as u32;
    share
}

/// `over` on top of `under`, at `opacity` of 255.
fn blend(under: Colour, over: Colour, opacity: u32) -> Colour {
    let channel = |shift: u32| {
        let (under, over) = (under >> shift & 0xff, over >> shift & 0xff);
        ((under * (255 - opacity) + over * opacity + 127) / 255) << shift
    };
    channel(16) | channel(8) | channel(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Colour = 0xff_ffff;

    fn draw(size: Size, draw: impl FnOnce(&mut Canvas<'_>)) -> Vec<u32> {
        let mut pixels = vec![1; (size.0 * size.1) as usize];
        draw(&mut Canvas::new(&mut pixels, size).unwrap());
        pixels
    }

    #[test]
    fn a_picture_and_its_surroundings_cover_everything() {
        let area = Area { x: 1, y: 1, width: 2, height: 1 };
        let pixels = draw((4, 3), |canvas| {
            canvas.fill_around(area, 7);
            let (bytes, row) = canvas.bytes(area);
            assert_eq!(row, 16);
            bytes.copy_from_slice(&[0x30, 0x20, 0x10, 0, 0x33, 0x22, 0x11, 0]);
        });
        assert_eq!(pixels, [7, 7, 7, 7, 7, 0x10_2030, 0x11_2233, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn text_is_blended_and_cut_at_the_edge() {
        let mask = Mask { width: 2, height: 2, coverage: vec![255, 255, 0, 255] };
        let pixels = draw((2, 2), |canvas| {
            canvas.fill(0);
            canvas.text(1, 0, &mask, WHITE);
            canvas.text(5, 5, &mask, WHITE);
        });
        assert_eq!(pixels, [0, WHITE, 0, 0]);
    }

    #[test]
    fn a_pill_is_full_in_the_middle_and_open_in_the_corners() {
        let pixels = draw((20, 10), |canvas| {
            canvas.fill(0);
            canvas.pill(Area { x: 0, y: 0, width: 20, height: 10 }, WHITE, 255);
        });
        assert_eq!((pixels[0], pixels[5 * 20 + 10]), (0, WHITE));
    }

    #[test]
    fn blending_ends_at_both_ends_exactly() {
        assert_eq!(blend(0x12_3456, 0xab_cdef, 0), 0x12_3456);
        assert_eq!(blend(0x12_3456, 0xab_cdef, 255), 0xab_cdef);
        assert_eq!(blend(0, WHITE, 128), 0x80_8080);
    }
}
