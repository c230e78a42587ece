//! Everything of the broadcast that GStreamer does: nothing of it is used outside of here.
//!
//! GStreamer is started by the first who needs it, so that a box without a lesson on carries none
//! of it in memory.

mod encoder;
mod microphone;
mod picture;
mod source;

use thiserror::Error;

pub(super) use self::{
    encoder::Quality,
    picture::jpeg,
    source::{End, Input, Source},
};

#[derive(Debug, Error)]
pub enum PipelineError {
    #[error("GStreamer does not start")]
    Init(#[source] gstreamer::glib::Error),
    #[error("none of the GStreamer elements {0} is installed")]
    Missing(&'static str),
    #[error("GStreamer takes no pipeline {pipeline:?}")]
    Build {
        pipeline: String,
        #[source]
        source: gstreamer::glib::Error,
    },
    #[error("this box has no camera, grabber or microphone that works")]
    NoDevice,
    #[error("the microphone cannot be opened")]
    Microphone(#[source] cpal::Error),
    #[error("GStreamer lost a part of a pipeline")]
    Broken,
    #[error("a pipeline does not start")]
    Start(#[from] gstreamer::StateChangeError),
    #[error("what was to be decoded could not be")]
    Undecodable,
    #[error("a source gave neither picture nor sound")]
    Silent,
}

/// The first of these elements that is installed.
fn first_installed(
    factories: &'static [&'static str],
    all: &'static str,
) -> Result<&'static str, PipelineError> {
    factories
        .iter()
        .copied()
        .find(|name| gstreamer::ElementFactory::find(name).is_some())
        .ok_or(PipelineError::Missing(all))
}

/// A pipeline that is stopped when it is dropped, whatever happened meanwhile.
struct Running(gstreamer::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        use gstreamer::prelude::ElementExt;
        let _ = self.0.set_state(gstreamer::State::Null);
    }
}

impl Running {
    fn parse(pipeline: &str) -> Result<Self, PipelineError> {
        use gstreamer::prelude::Cast;
        let built = gstreamer::parse::launch(pipeline)
            .map_err(|source| PipelineError::Build { pipeline: pipeline.to_owned(), source })?;
        built.downcast().map(Self).map_err(|_| PipelineError::Broken)
    }

    /// The element of this name.
    fn part<T: gstreamer::prelude::IsA<gstreamer::Element>>(
        &self,
        name: &str,
    ) -> Result<T, PipelineError> {
        use gstreamer::prelude::{Cast, GstBinExt};
        let element = self.0.by_name(name).ok_or(PipelineError::Broken)?;
        element.downcast().map_err(|_| PipelineError::Broken)
    }
}
