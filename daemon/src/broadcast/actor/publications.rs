//! Publications as they come, take over, and end.

use std::convert::Infallible;

use alfarid_protocol::id::{LessonId, PublicationId};
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::{Actor, Started};
use crate::broadcast::{
    Error, Limits, PublicationKind, SourceKind,
    feed::Asker,
    own,
    pipeline::{Input, Quality},
    relay::{self, OnAir},
    stage::{Place, Stage},
    state::{Denied, Publication, Publisher},
    whip::Agreed,
};

impl Actor {
    pub(super) fn admit(
        &mut self,
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
    ) -> Result<&mut Stage, Error> {
        let stage = self.stages.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        let owner = stage.airing.owner;
        match stage.slot(kind).admit(owner, who) {
            Ok(()) => Ok(stage),
            Err(Denied::Taken) => Err(Error::Taken(lesson)),
            Err(Denied::NotTheirs) => Err(Error::NotTheirs(lesson)),
        }
    }

    pub(super) async fn publish(
        &mut self,
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
        agreed: Agreed,
    ) -> Result<PublicationId, Error> {
        let id = self.floor.clock.id();
        let place = Place { lesson, kind, publication: id };
        let stage = self.admit(lesson, kind, who)?;
        let feed = stage.relay(kind).feed.clone();
        let limit = stage.limits().max_bitrate_bps;
        let whip = self.whip.clone();
        let asker = Asker::Whip(whip.clone());
        self.introduce(place, who, SourceKind::Whip, asker, agreed.has_sound()).await;
        let gone = whip.open(id, agreed, feed).await;
        whip.limit(id, limit.into()).await;
        self.watch_session(place, gone);
        Ok(id)
    }

    pub(super) async fn play(
        &mut self,
        lesson: LessonId,
        who: Publisher,
        input: Input,
    ) -> Result<Started, Error> {
        let (kind, source, has_sound) = match input {
            Input::Test | Input::File(_) => (PublicationKind::Screen, SourceKind::File, true),
            Input::Camera => (PublicationKind::Screen, SourceKind::Capture, false),
            Input::Microphone => (PublicationKind::Person, SourceKind::Capture, true),
        };
        let place = Place { lesson, kind, publication: self.floor.clock.id() };
        let stage = self.admit(lesson, kind, who)?;
        let feed = stage.relay(kind).feed.clone();
        let Limits { max_fps, max_height, max_bitrate_bps, max_audio_bitrate_bps } = stage.limits();
        let quality = Quality {
            fps: max_fps.max(1),
            height: max_height,
            bitrate_bps: max_bitrate_bps,
            sound_bps: max_audio_bitrate_bps,
        };
        let own = own::spawn(place.publication, input, quality, feed);
        self.introduce(place, who, source, Asker::Own(own.asker), has_sound).await;
        self.own.insert(place.publication, own.stop);
        self.watch_session(place, own.gone);
        Ok(Started { publication: place.publication, begun: own.begun })
    }

    /// Takes a publication into its slot; one that was to take over there before it is ended.
    async fn introduce(
        &mut self,
        place: Place,
        who: Publisher,
        source: SourceKind,
        asker: Asker,
        has_sound: bool,
    ) {
        let Place { lesson, kind, publication: id } = place;
        let since = self.floor.clock.now();
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let Publisher { teacher, by_stream_key, .. } = who;
        let publication = Publication { id, teacher, source, by_stream_key, since };
        let earlier = stage.slot(kind).announce(publication);
        stage.is_news = true;
        let source = relay::Source { publication: id, asker, has_sound };
        let _ = stage.relay(kind).orders.send(relay::Order::Announce(source)).await;
        tracing::info!(publication.id = %id, "the {kind:?} is being published");
        if let Some(publication) = earlier {
            self.end(Place { lesson, kind, publication }).await;
        }
    }

    fn watch_session(&mut self, place: Place, gone: oneshot::Receiver<Infallible>) {
        self.sessions.push(gone.map(move |_| place).boxed());
    }

    pub(super) async fn unpublish(
        &mut self,
        id: PublicationId,
        who: Publisher,
    ) -> Result<(), Error> {
        let place = self.stages.values().flat_map(Stage::publications).find_map(|(place, of)| {
            let is_theirs = who.is_admin || of.teacher == who.teacher;
            (of.id == id && is_theirs).then_some(place)
        });
        self.end(place.ok_or(Error::NoSuchPublication(id))?).await;
        Ok(())
    }

    pub(super) async fn stop_playing(
        &mut self,
        lesson: LessonId,
        who: Publisher,
    ) -> Result<(), Error> {
        let stage = self.stages.get(&lesson).ok_or(Error::NotActive(lesson))?;
        if stage.airing.owner != who.teacher && !who.is_admin {
            return Err(Error::NotTheirs(lesson));
        }
        let places: Vec<_> = stage
            .publications()
            .filter_map(|(place, of)| self.own.contains_key(&of.id).then_some(place))
            .collect();
        for place in places {
            self.end(place).await;
        }
        Ok(())
    }

    /// Ends a publication that is open.
    pub(super) async fn end(&mut self, place: Place) {
        match self.own.remove(&place.publication) {
            Some(stop) => stop.cancel(),
            None => self.whip.close(place.publication).await,
        }
        self.ended(place).await;
    }

    /// A publication is over.
    pub(super) async fn ended(&mut self, place: Place) {
        let Place { lesson, kind, publication } = place;
        self.own.remove(&publication);
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        if stage.slot(kind).ended(publication) {
            stage.is_news = true;
            tracing::info!(
                lesson.id = %lesson, publication.id = %publication,
                "the {kind:?} is published no more",
            );
        }
        let withdraw = relay::Order::Withdraw(publication);
        let _ = stage.relay(kind).orders.send(withdraw).await;
    }

    /// What is on air in a slot is something else now.
    pub(super) async fn notice(&mut self, lesson: LessonId, kind: PublicationKind, on_air: OnAir) {
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        stage.is_news = true;
        if let Some(publication) = on_air.publication
            && let Some(old) = stage.slot(kind).took_over(publication)
        {
            tracing::info!(publication.id = %publication, "the {kind:?} took over from {old}");
            self.end(Place { lesson, kind, publication: old }).await;
        }
        if kind == PublicationKind::Screen {
            self.tell_machines(lesson, on_air).await;
        }
    }
}
