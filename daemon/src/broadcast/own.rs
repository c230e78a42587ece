//! Publications that the box makes itself, beside those that come by WHIP.
//!
//! One task holds a source's pipeline. Everything of GStreamer that may wait (starting, stopping)
//! happens off the async threads.

mod reports;

use std::{convert::Infallible, sync::Arc, time::Duration};

use alfarid_protocol::id::PublicationId;
use alfarid_stream::rtp::Packet;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::reports::Reports;
use super::{
    feed::{Arrival, Feed},
    pipeline::{End, Input, PipelineError, Quality, Source},
};
use crate::logging;

/// A publication of the box's own. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Own {
    /// Ends without a word when the source does, whatever the reason.
    pub(super) gone: oneshot::Receiver<Infallible>,
    /// Whether it has begun to send; ends without a word when it was stopped before.
    pub(super) begun: oneshot::Receiver<Result<(), PipelineError>>,
    pub(super) asker: Asker,
    pub(super) stop: CancellationToken,
}

/// Asks the source for keyframes.
#[derive(Clone, Debug)]
pub(super) struct Asker(mpsc::Sender<()>);

impl Asker {
    /// Never waits: a request that is waiting already is enough.
    pub(super) fn ask(&self) {
        let _ = self.0.try_send(());
    }
}

/// Starts a source.
pub(super) fn spawn(publication: PublicationId, input: Input, quality: Quality, feed: Feed) -> Own {
    let (here, gone) = oneshot::channel();
    let (tell_begun, begun) = oneshot::channel();
    let (asks, asked) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let running = async move {
        run(publication, input, quality, feed, asked, stopped, tell_begun).await;
        drop::<oneshot::Sender<Infallible>>(here);
    };
    tokio::spawn(running.in_current_span());
    Own { gone, begun, asker: Asker(asks), stop }
}

async fn run(
    publication: PublicationId,
    input: Input,
    quality: Quality,
    feed: Feed,
    mut asked: mpsc::Receiver<()>,
    stop: CancellationToken,
    begun: oneshot::Sender<Result<(), PipelineError>>,
) {
    let first = Arc::new(Notify::new());
    let seen = Arc::clone(&first);
    let reports = Reports::default();
    let deliver = Box::new(move |packet: Packet, at: Option<Duration>| {
        let report = at.and_then(|at| reports.due(&packet.header, at));
        feed.give(Arrival::Packet { publication, packet });
        if let Some(report) = report {
            feed.give(Arrival::Report { publication, report });
        }
        seen.notify_one();
    });
    let nothing = came_to_nothing(&input);
    let started = logging::spawn_blocking(move || Source::start(&input, quality, deliver)).await;
    let source = match started.unwrap_or(Err(PipelineError::Broken)) {
        Ok(source) => source,
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    let mut begun = Some(begun);
    let end = source.end();
    tokio::pin!(end);
    loop {
        tokio::select! {
            // A film of one picture has begun, and is over.
            biased;
            () = stop.cancelled() => break,
            () = first.notified(), if begun.is_some() => {
                begun.take().map(|begun| begun.send(Ok(())));
            }
            Some(()) = asked.recv() => source.ask_keyframe(),
            ended = &mut end => {
                if let End::Failed(why) = ended {
                    tracing::warn!(publication.id = %publication, "a source of the box ended: {why}");
                }
                begun.take().map(|begun| begun.send(Err(nothing)));
                break;
            }
        }
    }
    // Stopping a device may take a while.
    let _ = tokio::task::spawn_blocking(move || drop(source)).await;
}

/// What is said of a source that ended before its first packet.
fn came_to_nothing(input: &Input) -> PipelineError {
    match input {
        Input::File(_) => PipelineError::Undecodable,
        // A camera that another program has, or that was pulled out.
        Input::Test | Input::Camera | Input::Microphone => PipelineError::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_gives_nothing_is_not_called_a_damaged_video() {
        let film = Input::File("/videos/film.mp4".into());
        assert!(matches!(came_to_nothing(&film), PipelineError::Undecodable));
        for device in [Input::Camera, Input::Microphone] {
            assert!(matches!(came_to_nothing(&device), PipelineError::Silent));
        }
    }
}
