//! A small picture of what is on air, for the teacher's page: the newest keyframe as JPEG.
//!
//! One task per lesson, a slow reader of its relay: it asks for a keyframe's packets when there is
//! a new one and [`APART`] has passed since the last, and decodes off the async threads. Nothing
//! waits for it.

use std::time::Duration;

use alfarid_protocol::id::LessonId;
use alfarid_stream::{
    Codec,
    assemble::{Assembler, Config, Origin},
    relay::Sent,
};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    pipeline::{self, PipelineError},
    relay::{self, OnAir},
};
use crate::{
    events::{Event, Events},
    http::problem::chain,
};

/// No two pictures are closer.
const APART: Duration = Duration::from_secs(3);

/// What the task holds of its relay: nothing that would keep it alive.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) orders: mpsc::WeakSender<relay::Order>,
    pub(super) keyframe: watch::Receiver<Option<u64>>,
    pub(super) on_air: watch::Receiver<OnAir>,
}

/// Keeps `newest` new until the relay is over; it holds nothing while nothing is on air.
pub(super) async fn run(
    lesson: LessonId,
    mut relay: Source,
    newest: watch::Sender<Option<Bytes>>,
    events: Events,
) {
    loop {
        let has_picture = newest.borrow().is_some();
        tokio::select! {
            keyframe = relay.keyframe.changed() => if keyframe.is_err() { return },
            over = relay.on_air.wait_for(|on_air| on_air.publication.is_none()), if has_picture => {
                if over.is_err() {
                    return;
                }
                newest.send_replace(None);
                continue;
            }
        }
        match picture(&relay).await {
            Ok(Some(jpeg)) => {
                newest.send_replace(Some(jpeg));
                events.tell(Event::PreviewChanged { lesson_id: lesson });
            }
            Ok(None) => {}
            Err(error @ (PipelineError::Missing(_) | PipelineError::Init(_))) => {
                // What is not installed now will not be later.
                tracing::warn!(error = %chain(&error), "lessons have no preview");
                return;
            }
            Err(error) => tracing::debug!(error = %chain(&error), "a picture gave no preview"),
        }
        tokio::time::sleep(APART).await;
    }
}

/// `None`: nothing is there to be seen.
async fn picture(relay: &Source) -> Result<Option<Bytes>, PipelineError> {
    let Some(orders) = relay.orders.upgrade() else { return Ok(None) };
    let (reply, answer) = oneshot::channel();
    let asked = orders.send(relay::Order::Picture(reply)).await;
    drop(orders);
    let Some(picture) = answer.await.ok().flatten().filter(|_| asked.is_ok()) else {
        return Ok(None);
    };
    let Some(keyframe) = put_together(picture.codec, picture.packets) else { return Ok(None) };
    let done = tokio::task::spawn_blocking(move || pipeline::jpeg(picture.codec, keyframe));
    done.await.map_err(|_| PipelineError::Broken)?.map(Some)
}

fn put_together(codec: Codec, packets: Vec<Sent>) -> Option<Bytes> {
    let config = Config { reorder_wait: Duration::ZERO, kept_wait: None };
    let mut assembler = Assembler::new(codec, config, Duration::ZERO);
    for sent in packets {
        assembler.push(Duration::ZERO, sent.index, sent.packet, Origin::Live);
    }
    assembler.poll(Duration::ZERO).map(|frame| frame.data)
}
