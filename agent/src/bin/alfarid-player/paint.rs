//! A scene onto the pixels of a window.

use crate::{
    canvas::{Canvas, Colour},
    catalogue::{Language, Line},
    decode::Picture,
    scale::Scaler,
    scene::{Ground, Scene},
    text::{Renderer, Text, Weight},
    view::{Area, Size, View},
};

const GROUND: Colour = 0x15_181e;
const DARK: Colour = 0x00_0000;
const BARS: Colour = 0x00_0000;
const INK: Colour = 0xe8_eaee;
const QUIET_INK: Colour = 0x9a_a3b2;
const FAINT_INK: Colour = 0x4a_5260;
const LABEL: Colour = 0x10_1216;
const LABEL_OPACITY: u32 = 205;
const RECORDING: Colour = 0xf0_4a46;

/// Everything that painting keeps between two times.
pub(crate) struct Painter {
    language: Language,
    text: Renderer,
    scaler: Scaler,
}

impl Painter {
    pub(crate) fn new(language: Language) -> Self {
        Self { language, text: Renderer::default(), scaler: Scaler::default() }
    }

    /// Paints all of `pixels`, which are `size` large.
    pub(crate) fn paint(
        &mut self,
        pixels: &mut [u32],
        size: Size,
        scene: &Scene,
        picture: Option<&Picture>,
        view: &View,
    ) {
        let Some(mut canvas) = Canvas::new(pixels, size) else { return };
        match (&scene.ground, picture) {
            (Ground::Picture { note }, Some(picture)) => {
                self.picture(&mut canvas, size, picture, view);
                if let Some(note) = note {
                    self.note(&mut canvas, size, *note);
                }
            }
            (Ground::Picture { .. }, None) => canvas.fill(GROUND),
            (Ground::Calm { title, line }, _) => {
                canvas.fill(GROUND);
                self.calm(&mut canvas, size, title.as_deref(), *line);
            }
            (Ground::Dark(line), _) => {
                canvas.fill(DARK);
                self.centred(&mut canvas, size, *line, QUIET_INK);
            }
        }
        if scene.recording {
            self.recording_mark(&mut canvas, size);
        }
    }

    fn picture(&mut self, canvas: &mut Canvas<'_>, size: Size, picture: &Picture, view: &View) {
        let placement = view.placement(picture.size(), size);
        let to = placement.to;
        if to.width == 0 || to.height == 0 {
            return canvas.fill(BARS);
        }
        canvas.fill_around(to, BARS);
        let (pixels, row) = canvas.bytes(to);
        let painted = self
            .scaler
            .scale(picture, placement.from, (to.width, to.height))
            .and_then(|scaled| scaled.paint(pixels, row));
        if let Err(error) = painted {
            canvas.fill(BARS);
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a picture could not be shown");
        }
    }

    /// A line in the middle, under the lesson's title if there is one.
    fn calm(&mut self, canvas: &mut Canvas<'_>, size: Size, title: Option<&str>, line: Line) {
        let name = text("Alfarid".to_owned(), small(size), Weight::Bold, size);
        self.centred_at(canvas, size, name, size.1 - size.1 / 12, FAINT_INK);
        let Some(title) = title else { return self.centred(canvas, size, line, INK) };
        let title = text(title.to_owned(), large(size), Weight::Bold, size);
        self.centred_at(canvas, size, title, size.1 * 45 / 100, INK);
        let line = line.text(self.language).to_owned();
        let below = size.1 * 45 / 100 + large(size) * 3 / 2;
        self.centred_at(
            canvas,
            size,
            text(line, medium(size), Weight::Normal, size),
            below,
            QUIET_INK,
        );
    }

    fn centred(&mut self, canvas: &mut Canvas<'_>, size: Size, line: Line, ink: Colour) {
        let line = line.text(self.language).to_owned();
        self.centred_at(
            canvas,
            size,
            text(line, large(size), Weight::Normal, size),
            size.1 / 2,
            ink,
        );
    }

    /// Text whose middle is at the height `middle`.
    fn centred_at(
        &mut self,
        canvas: &mut Canvas<'_>,
        size: Size,
        text: Text,
        middle: u32,
        ink: Colour,
    ) {
        let mask = self.text.mask(text);
        let x = (size.0 as usize).saturating_sub(mask.width) / 2;
        let y = (middle as usize).saturating_sub(mask.height / 2);
        canvas.text(x, y, mask, ink);
    }

    /// A label at the lower edge of the picture.
    fn note(&mut self, canvas: &mut Canvas<'_>, size: Size, line: Line) {
        let height = medium(size);
        let line = text(line.text(self.language).to_owned(), height, Weight::Normal, size);
        let mask = self.text.mask(line);
        let width = pixels(mask.width) + height * 2;
        let label = Area {
            x: size.0.saturating_sub(width) / 2,
            y: size.1.saturating_sub(height * 4),
            width,
            height: height * 2,
        };
        canvas.pill(label, LABEL, LABEL_OPACITY);
        let y = (label.y + label.height / 2) as usize - mask.height / 2;
        canvas.text((label.x + height) as usize, y, mask, INK);
    }

    /// A red dot and a word in the upper right corner.
    fn recording_mark(&mut self, canvas: &mut Canvas<'_>, size: Size) {
        let height = small(size);
        let word = Line::Recording.text(self.language).to_owned();
        let mask = self.text.mask(text(word, height, Weight::Normal, size));
        let dot = height * 2 / 3;
        let width = pixels(mask.width) + dot + height * 5 / 2;
        let label =
            Area { x: size.0.saturating_sub(width + height), y: height, width, height: height * 2 };
        canvas.pill(label, LABEL, LABEL_OPACITY);
        let middle = label.y + label.height / 2;
        let dot = Area { x: label.x + height, y: middle - dot / 2, width: dot, height: dot };
        canvas.pill(dot, RECORDING, 255);
        let x = (dot.x + dot.width + height / 2) as usize;
        canvas.text(x, (middle as usize).saturating_sub(mask.height / 2), mask, INK);
    }
}

fn text(line: String, size: u32, weight: Weight, window: Size) -> Text {
    Text { line, size, weight, max_width: window.0 * 9 / 10 }
}

// Sizes of letters grow with the window, so that they look the same on every screen.

fn large(window: Size) -> u32 {
    (window.1 / 18).min(window.0 / 22).clamp(14, 96)
}

fn medium(window: Size) -> u32 {
    (window.1 / 30).min(window.0 / 36).clamp(12, 56)
}

fn small(window: Size) -> u32 {
    (window.1 / 45).min(window.0 / 54).clamp(11, 40)
}

fn pixels(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
