//! Browsers that watch lessons: whether they may, and what they are told beside the stream.

use alfarid_protocol::id::LessonId;
use alfarid_stream::Codec;
use tokio::sync::mpsc;

use super::Actor;
use crate::broadcast::{
    Error, PublicationKind, Showing, WatchError, Watcher, relay, stage::codec, state::Publisher,
    tap, viewers::Source,
};

impl Actor {
    /// Lets `who` watch, unless they ask all the time: `by` if it is theirs to see, anybody else by
    /// the caller's word. Says the codec of the picture on air.
    pub(super) async fn watch(
        &mut self,
        lesson: LessonId,
        who: Watcher,
        by: Option<Publisher>,
    ) -> Result<Option<Codec>, Error> {
        self.show(lesson, by)?;
        let offered = self.offers.take(who, self.floor.clock.monotonic());
        offered.map_err(WatchError::TooOften)?;
        let stage = self.stages.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        // From the first viewer on up to the lesson's end: who comes and goes causes nothing.
        if !std::mem::replace(&mut stage.is_watched, true) {
            let (sender, tap) = mpsc::channel(tap::WAITING);
            for relay in [&stage.screen_relay, &stage.person_relay] {
                let _ = relay.orders.send(relay::Order::Tap(sender.clone())).await;
            }
            let source = Source(stage.screen_relay.orders.downgrade());
            self.viewers.follow(lesson, tap, source, stage.airing.picture).await;
        }
        let on_air = *stage.screen_relay.on_air.borrow();
        Ok(on_air.publication.and(on_air.video).map(|video| video.codec))
    }

    /// What the class is shown.
    pub(super) fn showing(
        &self,
        lesson: LessonId,
        who: Option<Publisher>,
    ) -> Result<Showing, Error> {
        let stage = self.show(lesson, who)?;
        let on_air = *stage.relay(PublicationKind::Screen).on_air.borrow();
        let voice = *stage.relay(PublicationKind::Person).on_air.borrow();
        let has_screen = on_air.publication.is_some();
        Ok(Showing {
            on_air: stage.is_on_air(),
            has_screen,
            picture: stage.airing.picture,
            shown_for: stage.shown_for(self.floor.clock.monotonic()),
            codec_video: on_air.video.filter(|_| has_screen).map(|video| codec(video.codec)),
            has_sound: has_screen && on_air.audio.is_some(),
            has_voice: voice.is_seen(),
            is_recorded: stage.airing.recording,
            playout_ms: stage.playout_ms(),
        })
    }
}
