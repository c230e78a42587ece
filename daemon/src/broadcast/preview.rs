//! A small picture of what is on air, for the teacher's page: the newest keyframe as JPEG.
//!
//! One task per lesson, a slow reader of its relay: it asks for a keyframe's packets when there is
//! a new one, decodes off the async threads, and then rests: for [`APART`], and longer on a box
//! that takes long over a picture, so that no lesson's preview costs more than one part in
//! [`SHARE`] of a core. Nothing waits for it.

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
    clock::Clock,
    events::{Event, Events},
    logging::chain,
};

/// No two pictures are closer.
const APART: Duration = Duration::from_secs(3);

/// A picture of 1080p takes about 10 ms of a desktop's core: [`APART`] holds there, and it costs
/// 0.3 %. Where one takes 100 ms, the next comes after 5 s.
const SHARE: u32 = 50;

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
    clock: Clock,
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
        let begun = clock.monotonic();
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
        let took = clock.monotonic().saturating_sub(begun);
        tokio::time::sleep(APART.max(took * SHARE)).await;
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
