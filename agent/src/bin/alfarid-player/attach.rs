//! The player's end of the feed: attached to the agent's socket, and again when it was lost.
//!
//! One thread reads and hands on; it may wait for the decoder, and then the agent waits too. Once
//! a second [`report`] says how many pictures were on show.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use alfarid_agent::{
    clock,
    feed::{FeedError, FromPlayer, Idle, ToPlayer},
};
use alfarid_protocol::id::LessonId;

use crate::{
    decode::Decoder,
    scene::Status,
    screen::{End, Screen},
    sound::Sound,
};

/// Between attempts to attach, at first: an agent that restarts is back within a second, and the
/// lesson's picture waits for this player then.
const SOON: Duration = Duration::from_millis(20);

/// The same once the agent is away for longer.
const AGAIN: Duration = Duration::from_millis(250);

/// Without an agent for this long the last picture gives way to the calm line.
const ALONE_AFTER: Duration = Duration::from_secs(2);

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The way back to the agent, while there is one.
pub(crate) type Replies = Arc<Mutex<Option<UnixStream>>>;

/// Whom the feed's messages are for.
pub(crate) struct Receivers {
    /// The lesson that the decoder's frames are of.
    pub(crate) lesson: Option<LessonId>,
    pub(crate) screen: Arc<Screen>,
    pub(crate) decoder: Decoder,
    pub(crate) sound: Sound,
}

/// Reads the feed at `socket` until this player is replaced. Blocks.
pub(crate) fn follow(socket: &Path, receivers: &mut Receivers, replies: &Replies) {
    let mut alone_since = clock::monotonic();
    while !receivers.screen.has_ended() {
        if let Ok(stream) = UnixStream::connect(socket) {
            let error = converse(stream, receivers, replies, &mut alone_since);
            *lock(replies) = None;
            if let FeedError::Version(version) = error {
                tracing::error!(version, "the agent is of another build; this player ends");
                receivers.screen.end(End::Outdated);
                return;
            }
            tracing::debug!(error = &error as &dyn std::error::Error, "the agent is lost");
        }
        let is_alone = clock::monotonic().saturating_sub(alone_since) >= ALONE_AFTER;
        if is_alone {
            receivers.screen.set_status(Status::Idle(Idle::default()));
        }
        // Waking early does no harm: the next attempt just comes sooner.
        thread::park_timeout(if is_alone { AGAIN } else { SOON });
    }
}

/// Hands on what the agent says until it is lost.
fn converse(
    mut stream: UnixStream,
    receivers: &mut Receivers,
    replies: &Replies,
    alone_since: &mut Duration,
) -> FeedError {
    let writer = stream.try_clone().and_then(|mut writer| {
        writer.write_all(&FromPlayer::Ready.encode())?;
        writer.write_all(&FromPlayer::Shown(receivers.screen.shown()).encode())?;
        Ok(writer)
    });
    match writer {
        Ok(writer) => *lock(replies) = Some(writer),
        Err(error) => return FeedError::Read(error),
    }
    loop {
        let message = match ToPlayer::read(&mut stream) {
            Ok(message) => message,
            Err(error) => return error,
        };
        // A player that is turned away is never told anything, and stays alone.
        *alone_since = clock::monotonic();
        match message {
            ToPlayer::Video(frame) => receivers.decoder.push(frame),
            ToPlayer::Audio(frame) => receivers.sound.push(frame),
            ToPlayer::Stage(stage) => {
                if receivers.lesson.replace(stage.lesson) != Some(stage.lesson) {
                    receivers.decoder.stop();
                }
                receivers.screen.set_status(Status::Lesson(stage));
            }
            ToPlayer::Idle(idle) => {
                receivers.lesson = None;
                receivers.decoder.stop();
                receivers.screen.set_status(Status::Idle(idle));
            }
            ToPlayer::Replaced => {
                tracing::info!("another player has the place of this one");
                receivers.screen.end(End::Replaced);
                return FeedError::Read(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Says each second how many pictures were on show, to the agent and to `also`. Blocks.
pub(crate) fn report(screen: &Screen, replies: &Replies, also: impl Fn(u64)) {
    let mut next = clock::monotonic() + REPORT_EVERY;
    while !screen.has_ended() {
        let now = clock::monotonic();
        if now < next {
            thread::park_timeout(next.saturating_sub(now));
            continue;
        }
        next = now + REPORT_EVERY;
        let shown = screen.shown();
        also(shown);
        if let Some(stream) = lock(replies).as_mut() {
            // A lost agent is noticed by the thread that reads.
            let _ = stream.write_all(&FromPlayer::Shown(shown).encode());
        }
    }
}

fn lock(replies: &Replies) -> std::sync::MutexGuard<'_, Option<UnixStream>> {
    replies.lock().unwrap_or_else(PoisonError::into_inner)
}
