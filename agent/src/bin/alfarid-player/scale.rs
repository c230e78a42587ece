//! Pictures cut, scaled, and painted in the window's colours.
//!
//! Scaling comes first, by `GStreamer` and in the decoder's own format, where a pixel has half as
//! many bytes. The colours are converted last and straight into the window's memory: the full
//! picture, four bytes a pixel, is written once and never copied. A picture that has the window's
//! size is not touched in between.

use dcv_color_primitives::{self as dcp, ColorSpace, ErrorKind, ImageFormat, PixelFormat};
use gstreamer as gst;
use gstreamer_video::{
    VideoColorMatrix, VideoColorRange, VideoConverter, VideoConverterConfig, VideoFormat,
    VideoFrameExt, VideoFrameRef, VideoInfo, VideoResamplerMethod,
};
use thiserror::Error;

use crate::{
    decode::Picture,
    view::{Area, Size},
};

/// From this height on, a picture that does not say so is in the colours of HDTV.
const HD_HEIGHT: u32 = 720;

#[derive(Debug, Error)]
pub(crate) enum ScaleError {
    #[error("scale a picture")]
    Scale(#[from] gst::glib::BoolError),
    #[error("read a picture's plane {0}")]
    Plane(u32, #[source] gst::glib::BoolError),
    /// As text: the library's error is none by its type.
    #[error("convert a picture's colours: {0}")]
    Colours(ErrorKind),
}

/// Scales pictures. Keeps what it has set up as long as sizes stay the same.
#[derive(Default)]
pub(crate) struct Scaler {
    setup: Option<Setup>,
}

impl Scaler {
    /// The part `from` of `picture` at the size `to`, whose sides are even.
    pub(crate) fn scale<'a>(
        &'a mut self,
        picture: &'a Picture,
        from: Area,
        to: Size,
    ) -> Result<Scaled<'a>, ScaleError> {
        let info = &picture.info;
        let whole = Area { x: 0, y: 0, width: info.width(), height: info.height() };
        if from == whole && to == picture.size() && is_plain(info.format()) {
            return Scaled::of(&picture.buffer, info);
        }
        let fits = self.setup.as_ref().is_some_and(|setup| setup.is_for(info, from, to));
        if !fits {
            self.setup = None;
        }
        let setup = match &mut self.setup {
            Some(setup) => setup,
            none => none.insert(Setup::new(info, from, to)?),
        };
        setup.run(&picture.buffer)?;
        Scaled::of(&setup.buffer, &setup.scaled)
    }
}

/// Whether pictures of this format are painted without another step.
fn is_plain(format: VideoFormat) -> bool {
    matches!(format, VideoFormat::I420 | VideoFormat::Nv12)
}

/// A picture at its final size: brightness and colour in planes of their own.
pub(crate) struct Scaled<'a> {
    frame: VideoFrameRef<&'a gst::BufferRef>,
}

impl<'a> Scaled<'a> {
    fn of(buffer: &'a gst::Buffer, info: &VideoInfo) -> Result<Self, ScaleError> {
        Ok(Self { frame: VideoFrameRef::from_buffer_ref_readable(buffer, info)? })
    }

    /// The rows of brightness.
    pub(crate) fn grey(&self) -> impl Iterator<Item = &[u8]> {
        let (row, width) = (self.row(0), self.frame.width() as usize);
        let plane = self.frame.plane_data(0).unwrap_or_default();
        let rows = plane.chunks(row.max(1)).take(self.frame.height() as usize);
        rows.filter_map(move |line| line.get(..width))
    }

    /// Writes blue, green, red and an unused byte for each pixel; `row` bytes lie between the
    /// beginnings of two rows.
    pub(crate) fn paint(&self, pixels: &mut [u8], row: usize) -> Result<(), ScaleError> {
        let planes = self.frame.n_planes();
        let data = (0..planes)
            .map(|n| self.frame.plane_data(n).map_err(|error| ScaleError::Plane(n, error)))
            .collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<usize> = (0..planes as usize).map(|plane| self.row(plane)).collect();
        let format = if self.frame.format() == VideoFormat::Nv12 {
            PixelFormat::Nv12
        } else {
            PixelFormat::I420
        };
        let from = ImageFormat {
            pixel_format: format,
            color_space: colour_space(self.frame.info()),
            num_planes: planes,
        };
        let to = ImageFormat {
            pixel_format: PixelFormat::Bgra,
            color_space: ColorSpace::Rgb,
            num_planes: 1,
        };
        let (width, height) = (self.frame.width(), self.frame.height());
        dcp::convert_image(
            width,
            height,
            &from,
            Some(&rows),
            &data,
            &to,
            Some(&[row]),
            &mut [pixels],
        )
        .map_err(ScaleError::Colours)
    }

    fn row(&self, plane: usize) -> usize {
        let stride = self.frame.plane_stride().get(plane).copied().unwrap_or_default();
        usize::try_from(stride).unwrap_or_default()
    }
}

fn colour_space(info: &VideoInfo) -> ColorSpace {
    let colorimetry = info.colorimetry();
    let hd = match colorimetry.matrix() {
        VideoColorMatrix::Bt709 => true,
        VideoColorMatrix::Unknown => info.height() >= HD_HEIGHT,
        _ => false,
    };
    match (hd, colorimetry.range() == VideoColorRange::Range0_255) {
        (true, false) => ColorSpace::Bt709,
        (true, true) => ColorSpace::Bt709FR,
        (false, false) => ColorSpace::Bt601,
        (false, true) => ColorSpace::Bt601FR,
    }
}

/// One way of scaling, ready to run.
struct Setup {
    original: VideoInfo,
    from: Area,
    converter: VideoConverter,
    scaled: VideoInfo,
    buffer: gst::Buffer,
}

impl Setup {
    fn new(
        original: &VideoInfo,
        from: Area,
        (width, height): Size,
    ) -> Result<Self, gst::glib::BoolError> {
        let same = is_plain(original.format());
        let format = if same { original.format() } else { VideoFormat::I420 };
        let (colorimetry, chroma_site) = (original.colorimetry(), original.chroma_site());
        let mut scaled = VideoInfo::builder(format, width, height)
            .fps(original.fps())
            .interlace_mode(original.interlace_mode());
        if same {
            scaled = scaled.colorimetry(&colorimetry).chroma_site(chroma_site);
        }
        let scaled = scaled.build()?;
        let signed = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
        let mut config = VideoConverterConfig::new();
        config.set_resampler_method(VideoResamplerMethod::Linear);
        config.set_src_x(signed(from.x));
        config.set_src_y(signed(from.y));
        config.set_src_width(Some(signed(from.width)));
        config.set_src_height(Some(signed(from.height)));
        let converter = VideoConverter::new(original, &scaled, Some(config))?;
        let buffer = gst::Buffer::with_size(scaled.size())?;
        Ok(Self { original: original.clone(), from, converter, scaled, buffer })
    }

    fn is_for(&self, info: &VideoInfo, from: Area, to: Size) -> bool {
        let size = (self.scaled.width(), self.scaled.height());
        self.original == *info && self.from == from && size == to
    }

    fn run(&mut self, picture: &gst::Buffer) -> Result<(), gst::glib::BoolError> {
        let from = VideoFrameRef::from_buffer_ref_readable(picture, &self.original)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(self.buffer.make_mut(), &self.scaled)?;
        self.converter.frame_ref(&from, &mut to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A picture of one colour.
    fn grey(size: Size, format: VideoFormat, level: u8) -> Picture {
        gst::init().unwrap();
        let info = VideoInfo::builder(format, size.0, size.1).build().unwrap();
        let buffer = gst::Buffer::from_mut_slice(vec![level; info.size()]);
        Picture { buffer, info, timestamp: 0, show_at: Duration::ZERO }
    }

    #[test]
    fn any_format_at_any_size_is_painted_in_its_colour() {
        for format in [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::Y444, VideoFormat::Bgrx] {
            for size in [(64, 48), (640, 360), (33, 17)] {
                let picture = grey(size, format, 128);
                let whole = Area { x: 0, y: 0, width: size.0, height: size.1 };
                let mut scaler = Scaler::default();
                let result = scaler.scale(&picture, whole, (64, 48)).unwrap();
                let mut pixels = vec![0; 64 * 48 * 4];
                result.paint(&mut pixels, 64 * 4).unwrap();
                let (least, most) = (pixels.iter().min().unwrap(), pixels.iter().max().unwrap());
                assert!((120..=136).contains(least) && *most == 255, "{format:?} {size:?}");
                let middle: Vec<u8> = pixels.chunks_exact(4).map(|pixel| pixel[1]).collect();
                assert!(middle.iter().all(|green| (120..=136).contains(green)));
            }
        }
    }

    #[test]
    fn a_part_is_cut_out_before_it_is_scaled() {
        let mut picture = grey((64, 32), VideoFormat::I420, 16);
        {
            let buffer = picture.buffer.get_mut().unwrap();
            let mut map = buffer.map_writable().unwrap();
            for row in map[..64 * 32].chunks_exact_mut(64) {
                row[32..].fill(235);
            }
        }
        let right = Area { x: 32, y: 0, width: 32, height: 32 };
        let mut scaler = Scaler::default();
        let result = scaler.scale(&picture, right, (160, 90)).unwrap();
        let rows: Vec<&[u8]> = result.grey().collect();
        assert_eq!((rows.len(), rows[0].len()), (90, 160));
        assert!(rows.iter().all(|row| row.iter().all(|&pixel| pixel == 235)));
    }
}
