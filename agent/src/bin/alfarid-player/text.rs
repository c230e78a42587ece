//! Lines of text as coverage, rendered by pango through `GStreamer`'s `textoverlay`.
//!
//! White text on black is a mask: how much of each pixel the letters cover. The canvas blends any
//! colour through it, so that one rendering serves every ground. A line is rendered once for each
//! size of the window.

use std::collections::HashMap;

use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;
use thiserror::Error;

/// The same on every desktop that has one of them; pango finds glyphs that are missing elsewhere.
const FONT: &str = "Noto Sans, DejaVu Sans, sans-serif";

/// More lines than a student's screen ever has at once; the rest is forgotten and made again.
const KEPT: usize = 16;

#[derive(Debug, Error)]
pub(crate) enum TextError {
    #[error("build the text renderer")]
    Build(#[source] gst::glib::BoolError),
    #[error("render text")]
    Render,
}

/// How letters look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Weight {
    Normal,
    Bold,
}

/// What is to be rendered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    pub(crate) line: String,
    /// Size of the font in pixels.
    pub(crate) size: u32,
    pub(crate) weight: Weight,
    /// Longer lines are broken.
    pub(crate) max_width: u32,
}

/// Coverage of the pixels of a rendered text, 0 to 255, cut to what is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) coverage: Vec<u8>,
}

/// Renders texts and keeps them.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    kept: HashMap<Text, Mask>,
    /// The renderer is missing or broken; said once.
    failed: bool,
}

impl Renderer {
    /// The mask of `text`; an empty one where text cannot be rendered.
    pub(crate) fn mask(&mut self, text: Text) -> &Mask {
        if self.kept.len() >= KEPT && !self.kept.contains_key(&text) {
            self.kept.clear();
        }
        let failed = &mut self.failed;
        self.kept.entry(text).or_insert_with_key(|text| {
            render(text).unwrap_or_else(|error| {
                if !std::mem::replace(failed, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "lines of text cannot be shown");
                }
                Mask::default()
            })
        })
    }
}

fn render(text: &Text) -> Result<Mask, TextError> {
    let (pipeline, sink) = build(text).map_err(TextError::Build)?;
    let rendered = pipeline
        .set_state(gst::State::Playing)
        .ok()
        .and_then(|_| sink.try_pull_sample(gst::ClockTime::from_seconds(5)));
    let _ = pipeline.set_state(gst::State::Null);
    let sample = rendered.ok_or(TextError::Render)?;
    let buffer = sample.buffer().ok_or(TextError::Render)?;
    let pixels = buffer.map_readable().map_err(|_| TextError::Render)?;
    let (width, height) = canvas(text);
    // Rows of GRAY8 begin at multiples of four.
    let stride = width.next_multiple_of(4) as usize;
    Ok(cut(&pixels, stride, width as usize, height as usize))
}

/// A line broken into three still fits.
fn canvas(text: &Text) -> (u32, u32) {
    (text.max_width.max(16), (text.size * 5).max(16))
}

fn build(text: &Text) -> Result<(gst::Pipeline, AppSink), gst::glib::BoolError> {
    let (width, height) = canvas(text);
    let (width, height) = (width.cast_signed(), height.cast_signed());
    let ground = gst::ElementFactory::make("videotestsrc")
        .property_from_str("pattern", "black")
        .property("num-buffers", 1)
        .build()?;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "GRAY8")
        .field("width", width)
        .field("height", height)
        .build();
    let filter = gst::ElementFactory::make("capsfilter").property("caps", &caps).build()?;
    let weight = if text.weight == Weight::Bold { "Bold" } else { "" };
    let overlay = gst::ElementFactory::make("textoverlay")
        .property("text", &text.line)
        .property("font-desc", format!("{FONT} {weight} {}px", text.size))
        .property("auto-resize", false)
        .property("draw-shadow", false)
        .property("draw-outline", false)
        .property_from_str("halignment", "center")
        .property_from_str("valignment", "center")
        .property_from_str("line-alignment", "center")
        .build()?;
    let sink = AppSink::builder().sync(false).build();
    let pipeline = gst::Pipeline::new();
    let elements = [&ground, &filter, &overlay, sink.upcast_ref()];
    pipeline.add_many(elements)?;
    gst::Element::link_many(elements)?;
    Ok((pipeline, sink))
}

/// Cuts away the empty border.
fn cut(pixels: &[u8], stride: usize, width: usize, height: usize) -> Mask {
    let black = pixels.first().copied().unwrap_or_default();
    let row = |y: usize| pixels.get(y * stride..y * stride + width).unwrap_or_default();
    let inked = |y: &usize| row(*y).iter().any(|&pixel| pixel > black);
    let (Some(top), Some(bottom)) = ((0..height).find(inked), (0..height).rfind(inked)) else {
        return Mask::default();
    };
    let rows = || (top..=bottom).map(row);
    let first = |row: &[u8]| row.iter().position(|&pixel| pixel > black);
    let last = |row: &[u8]| row.iter().rposition(|&pixel| pixel > black);
    let left = rows().filter_map(first).min().unwrap_or_default();
    let right = rows().filter_map(last).max().unwrap_or_default();
    // Video's black and white are not 0 and 255; the brightest pixel is a letter's inside.
    let white = rows().flatten().copied().max().unwrap_or_default();
    let share = |pixel: &u8| u32::from(pixel - black) * 255 / u32::from(white - black).max(1);
    let coverage = rows().flat_map(|row| row[left..=right].iter().map(share));
    let coverage = coverage.map(|share| u8::try_from(share).unwrap_or(u8::MAX));
    Mask { width: right - left + 1, height: bottom - top + 1, coverage: coverage.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_cut_to_what_is_covered() {
        let pixels = [0, 0, 0, 0, 0, 0, 9, 0, 0, 5, 0, 0, 0, 0, 0, 0];
        let mask = cut(&pixels, 4, 4, 4);
        assert_eq!(mask, Mask { width: 2, height: 2, coverage: vec![0, 255, 141, 0] });
        assert_eq!(cut(&[0; 16], 4, 4, 4), Mask::default());
    }

    #[test]
    fn a_line_in_each_alphabet_is_rendered_at_the_size_asked_for() {
        gst::init().unwrap();
        let mut renderer = Renderer::default();
        for line in ["No lesson yet", "Урок ещё не начался"] {
            let text = |size| Text {
                line: line.to_owned(),
                size,
                weight: Weight::Normal,
                max_width: 1000,
            };
            let small = renderer.mask(text(20)).clone();
            let large = renderer.mask(text(40));
            assert!((14..=26).contains(&small.height), "{}", small.height);
            assert!(large.height > small.height && large.width > small.width);
            assert!(large.coverage.contains(&255));
        }
    }
}
