//! Where on the window which part of the picture stands: fitted, zoomed, moved. Pure.

/// Nobody needs to see a pixel larger than this; it also bounds the arithmetic.
const MAX_ZOOM: f64 = 8.0;

/// One step of the wheel.
const STEP: f64 = 1.2;

/// A rectangle in whole pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Width and height in pixels.
pub(crate) type Size = (u32, u32);

/// Which part of the picture goes where in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) from: Area,
    pub(crate) to: Area,
}

/// How the student looks at the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    /// 1: the whole picture, as large as it fits.
    zoom: f64,
    /// The point of the picture in the middle of the window, each from 0 to 1.
    centre: (f64, f64),
}

impl Default for View {
    fn default() -> Self {
        Self { zoom: 1.0, centre: (0.5, 0.5) }
    }
}

impl View {
    pub(crate) fn is_whole(&self) -> bool {
        self.zoom <= 1.0
    }

    /// Zooms by `steps` of the wheel; the point under the pointer stays where it is.
    pub(crate) fn zoom_at(&mut self, steps: f64, pointer: (f64, f64), picture: Size, window: Size) {
        let before = self.point_at(pointer, picture, window);
        self.zoom = (self.zoom * STEP.powf(steps)).clamp(1.0, MAX_ZOOM);
        let after = self.point_at(pointer, picture, window);
        self.centre.0 += before.0 - after.0;
        self.centre.1 += before.1 - after.1;
        self.stay_inside(picture, window);
    }

    /// Moves the picture with the pointer, by so many pixels of the window.
    pub(crate) fn drag(&mut self, by: (f64, f64), picture: Size, window: Size) {
        let scale = self.scale(picture, window);
        self.centre.0 -= by.0 / (scale * f64::from(picture.0));
        self.centre.1 -= by.1 / (scale * f64::from(picture.1));
        self.stay_inside(picture, window);
    }

    /// Where things go. Empty areas where there is nothing to see.
    pub(crate) fn placement(&self, picture: Size, window: Size) -> Placement {
        let scale = self.scale(picture, window);
        let (from_x, from_width, to_x, to_width) = axis(picture.0, window.0, self.centre.0, scale);
        let (from_y, from_height, to_y, to_height) =
            axis(picture.1, window.1, self.centre.1, scale);
        Placement {
            from: Area { x: from_x, y: from_y, width: from_width, height: from_height },
            to: Area { x: to_x, y: to_y, width: to_width, height: to_height },
        }
    }

    /// Pixels of the window for one of the picture.
    fn scale(&self, picture: Size, window: Size) -> f64 {
        let fit = |picture: u32, window: u32| f64::from(window) / f64::from(picture.max(1));
        fit(picture.0, window.0).min(fit(picture.1, window.1)).max(f64::MIN_POSITIVE) * self.zoom
    }

    /// The point of the picture under a point of the window.
    fn point_at(&self, pointer: (f64, f64), picture: Size, window: Size) -> (f64, f64) {
        let scale = self.scale(picture, window);
        let point = |pointer: f64, picture: u32, window: u32, centre: f64| {
            centre + (pointer - f64::from(window) / 2.0) / (scale * f64::from(picture.max(1)))
        };
        (
            point(pointer.0, picture.0, window.0, self.centre.0),
            point(pointer.1, picture.1, window.1, self.centre.1),
        )
    }

    /// No edge of the picture leaves a gap that another part of it could fill.
    fn stay_inside(&mut self, picture: Size, window: Size) {
        let scale = self.scale(picture, window);
        let inside = |centre: f64, picture: u32, window: u32| {
            let half = f64::from(window) / (scale * f64::from(picture.max(1))) / 2.0;
            if half >= 0.5 { 0.5 } else { centre.clamp(half, 1.0 - half) }
        };
        self.centre.0 = inside(self.centre.0, picture.0, window.0);
        self.centre.1 = inside(self.centre.1, picture.1, window.1);
    }
}

/// One axis of a placement: (from, length) in the picture and (to, length) in the window. Parts
/// begin and end at even pixels, where chroma samples do.
fn axis(picture: u32, window: u32, centre: f64, scale: f64) -> (u32, u32, u32, u32) {
    let shown = f64::from(window) / scale;
    if shown >= f64::from(picture) {
        let length = whole(f64::from(picture) * scale).min(window) & !1;
        return (0, picture, (window - length) / 2, length);
    }
    let start = centre * f64::from(picture) - shown / 2.0;
    let from = whole(start).min(picture.saturating_sub(1)) & !1;
    let end = ((whole(start + shown) + 1) & !1).clamp(from + 1, picture);
    (from, end - from, 0, window & !1)
}

/// Rounds to the nearest whole pixel; never below zero.
fn whole(length: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded and at least zero; beyond u32 it saturates"
    )]
    let pixels = length.round().max(0.0) as u32;
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Size = (1920, 1080);

    fn area(x: u32, y: u32, width: u32, height: u32) -> Area {
        Area { x, y, width, height }
    }

    #[test]
    fn the_whole_picture_fits_with_bars_where_the_shapes_differ() {
        let view = View::default();
        let whole = area(0, 0, 1920, 1080);
        for (window, to) in [
            ((1920, 1080), area(0, 0, 1920, 1080)),
            ((1280, 1024), area(0, 152, 1280, 720)),
            ((1000, 100), area(411, 0, 178, 100)),
            ((3840, 2160), area(0, 0, 3840, 2160)),
        ] {
            assert_eq!(view.placement(HD, window), Placement { from: whole, to });
        }
    }

    #[test]
    fn zooming_keeps_the_point_under_the_pointer() {
        let mut view = View::default();
        let pointer = (1440.0, 270.0);
        let before = view.point_at(pointer, HD, HD);
        view.zoom_at(4.0, pointer, HD, HD);
        let after = view.point_at(pointer, HD, HD);
        assert!((before.0 - after.0).abs() < 1e-9 && (before.1 - after.1).abs() < 1e-9);
        let placement = view.placement(HD, HD);
        assert_eq!(placement.to, area(0, 0, 1920, 1080));
        assert_eq!((placement.from.width, placement.from.height), (926, 522));
        view.zoom_at(-10.0, pointer, HD, HD);
        assert_eq!(view, View::default());
    }

    #[test]
    fn dragging_stops_at_the_picture_s_edge() {
        let mut view = View::default();
        view.drag((500.0, 500.0), HD, HD);
        assert_eq!(view, View::default(), "the whole picture has nowhere to go");
        view.zoom_at(4.0, (960.0, 540.0), HD, HD);
        view.drag((1e6, -1e6), HD, HD);
        let placement = view.placement(HD, HD);
        assert_eq!((placement.from.x, placement.from.y + placement.from.height), (0, 1080));
    }

    #[test]
    fn odd_windows_and_pictures_of_any_size_stay_within_themselves() {
        for picture in [(1, 1), (2, 3), (641, 479), HD, (1080, 1920)] {
            for window in [(1, 1), (37, 1), (1, 37), (801, 333), HD] {
                for steps in [0.0, 1.0, 3.0, 9.0, 20.0] {
                    let mut view = View::default();
                    view.zoom_at(steps, (0.0, 0.0), picture, window);
                    let Placement { from, to } = view.placement(picture, window);
                    assert!(from.x + from.width <= picture.0 && from.y + from.height <= picture.1);
                    assert!(to.x + to.width <= window.0 && to.y + to.height <= window.1);
                }
            }
        }
    }
}
