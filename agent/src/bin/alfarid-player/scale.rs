//! Pictures cut, scaled and brought to the pixels that are wanted, by `GStreamer`'s converter.
//!
//! Scaling is done first, in the decoder's own format, where a pixel has half as many bytes; then
//! the colours are converted at the size of the window. Both steps have fast paths of their own
//! that a single step does not have.

use gstreamer as gst;
use gstreamer_video::{
    VideoConverter, VideoConverterConfig, VideoFormat, VideoFrameRef, VideoInfo,
    VideoResamplerMethod,
};
use thiserror::Error;

use crate::{
    decode::Picture,
    view::{Area, Size},
};

#[derive(Debug, Error)]
#[error("scale a picture")]
pub(crate) struct ScaleError(#[from] gst::glib::BoolError);

/// Brings pictures to one format. Keeps what it has set up as long as sizes stay the same.
pub(crate) struct Scaler {
    format: VideoFormat,
    setup: Option<Setup>,
}

impl Scaler {
    pub(crate) fn to(format: VideoFormat) -> Self {
        Self { format, setup: None }
    }

    /// The part `from` of `picture` at the size `to`, rows of pixels without gaps.
    pub(crate) fn scale(
        &mut self,
        picture: &Picture,
        from: Area,
        to: Size,
    ) -> Result<Pixels<'_>, ScaleError> {
        let fits = self.setup.as_ref().is_some_and(|setup| setup.is_for(&picture.info, from, to));
        if !fits {
            self.setup = None;
        }
        let setup = match &mut self.setup {
            Some(setup) => setup,
            none => none.insert(Setup::new(&picture.info, from, to, self.format)?),
        };
        setup.run(&picture.buffer)?;
        Ok(Pixels(setup.last().buffer.map_readable()?))
    }
}

/// Readable pixels.
pub(crate) struct Pixels<'a>(gst::BufferMap<'a, gst::buffer::Readable>);

impl std::ops::Deref for Pixels<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

struct Setup {
    info: VideoInfo,
    from: Area,
    to: Size,
    steps: Vec<Step>,
    colours: Step,
}

struct Step {
    converter: VideoConverter,
    info: VideoInfo,
    buffer: gst::Buffer,
}

impl Setup {
    fn new(
        info: &VideoInfo,
        from: Area,
        to: Size,
        format: VideoFormat,
    ) -> Result<Self, gst::glib::BoolError> {
        let whole = Area { x: 0, y: 0, width: info.width(), height: info.height() };
        let mut steps = Vec::new();
        let mut colours_from = info.clone();
        if from != whole || to != (whole.width, whole.height) {
            let step = Step::new(info, from, to, info.format())?;
            colours_from = step.info.clone();
            steps.push(step);
        }
        let all = Area { x: 0, y: 0, width: to.0, height: to.1 };
        let colours = Step::new(&colours_from, all, to, format)?;
        Ok(Self { info: info.clone(), from, to, steps, colours })
    }

    fn is_for(&self, info: &VideoInfo, from: Area, to: Size) -> bool {
        self.info == *info && self.from == from && self.to == to
    }

    fn run(&mut self, picture: &gst::Buffer) -> Result<(), gst::glib::BoolError> {
        let (mut buffer, mut info) = (picture, &self.info);
        for step in &mut self.steps {
            step.run(buffer, info)?;
            (buffer, info) = (&step.buffer, &step.info);
        }
        self.colours.run(buffer, info)
    }

    fn last(&self) -> &Step {
        &self.colours
    }
}

impl Step {
    fn new(
        from_info: &VideoInfo,
        from: Area,
        (width, height): Size,
        format: VideoFormat,
    ) -> Result<Self, gst::glib::BoolError> {
        let mut info = VideoInfo::builder(format, width, height)
            .fps(from_info.fps())
            .interlace_mode(from_info.interlace_mode());
        let (colorimetry, chroma_site) = (from_info.colorimetry(), from_info.chroma_site());
        if format == from_info.format() {
            info = info.colorimetry(&colorimetry).chroma_site(chroma_site);
        }
        let info = info.build()?;
        let signed = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
        let mut config = VideoConverterConfig::new();
        config.set_resampler_method(VideoResamplerMethod::Linear);
        config.set_chroma_resampler_method(VideoResamplerMethod::Linear);
        config.set_src_x(signed(from.x));
        config.set_src_y(signed(from.y));
        config.set_src_width(Some(signed(from.width)));
        config.set_src_height(Some(signed(from.height)));
        let converter = VideoConverter::new(from_info, &info, Some(config))?;
        let buffer = gst::Buffer::with_size(info.size())?;
        Ok(Self { converter, info, buffer })
    }

    fn run(
        &mut self,
        from: &gst::Buffer,
        from_info: &VideoInfo,
    ) -> Result<(), gst::glib::BoolError> {
        let from = VideoFrameRef::from_buffer_ref_readable(from, from_info)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(self.buffer.make_mut(), &self.info)?;
        self.converter.frame_ref(&from, &mut to);
        Ok(())
    }
}
