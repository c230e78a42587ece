//! The one task that owns the outputs: it compares what is on air in open rooms with what is sent
//! there, at each event that may have changed either. One that is missed is made good by the next.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use alfarid_protocol::id::{LessonId, RoomId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::{output::Output, session::Session, store};
use crate::{
    broadcast::{self, OnStage, multicast::Group},
    events::{Event, Listener},
    floor::Floor,
    logging::{self, chain},
};

/// From the port of protected lessons to that of open ones: a player that listens to a port hears
/// every group there that anybody on its machine has joined.
const PORT: u16 = 10;

/// What makes an open lesson's group another than its protected one's.
const SALT: u32 = 0x0be4;

pub(super) enum Order {
    /// Look which rooms are open. Answered when their lessons go out, or no longer do.
    Look(oneshot::Sender<()>),
    /// What is on air in a room.
    Session(RoomId, oneshot::Sender<Option<String>>),
}

/// A lesson that goes out in the clear. Dropped, it no longer does.
struct Running {
    room: RoomId,
    described: watch::Receiver<Option<String>>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

pub(super) struct Actor {
    floor: Floor,
    broadcast: broadcast::Handle,
    orders: mpsc::Receiver<Order>,
    events: Listener,
    open: HashSet<RoomId>,
    outputs: HashMap<LessonId, Running>,
}

impl Actor {
    pub(super) fn new(
        floor: &Floor,
        broadcast: broadcast::Handle,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            floor: floor.clone(),
            broadcast,
            orders,
            events: floor.events.listen(),
            open: HashSet::new(),
            outputs: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        self.look().await;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(Order::Look(reply)) => {
                        self.look().await;
                        // Whoever asked has gone: it is done all the same.
                        let _ = reply.send(());
                    }
                    Some(Order::Session(room, reply)) => {
                        let _ = reply.send(self.session(room));
                    }
                    None => break,
                },
                event = self.events.next() => match event {
                    // Told of each lesson that comes or goes, and often of each that is on.
                    Some(Event::StreamChanged { lesson_id }) if self.goes_out(lesson_id) => {}
                    Some(Event::StreamChanged { .. } | Event::Resync) => self.compare().await,
                    Some(_) => {}
                    None => break,
                },
            }
        }
        for (_, running) in self.outputs.drain() {
            running.end().await;
        }
    }

    fn goes_out(&self, lesson: LessonId) -> bool {
        self.outputs.get(&lesson).is_some_and(|running| !running.task.is_finished())
    }

    async fn look(&mut self) {
        self.open = match self.floor.db.read(store::open_rooms).await {
            Ok(open) => open,
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "which rooms are open cannot be read: all are shut");
                HashSet::new()
            }
        };
        self.compare().await;
    }

    /// Ends what is too much, begins what is missing.
    async fn compare(&mut self) {
        let open = &self.open;
        let is_over =
            |running: &Running| !open.contains(&running.room) || running.task.is_finished();
        let over: Vec<_> =
            self.outputs.extract_if(|_, running| is_over(running)).map(|(_, over)| over).collect();
        for running in over {
            running.end().await;
        }
        if self.open.is_empty() {
            return;
        }
        let Ok(on_stage) = self.broadcast.on_stage().await else { return };
        for stage in on_stage {
            if self.open.contains(&stage.room) && !self.outputs.contains_key(&stage.lesson) {
                let span = logging::lesson(stage.lesson);
                self.begin(stage).instrument(span).await;
            }
        }
    }

    async fn begin(&mut self, stage: OnStage) {
        let OnStage { lesson, room, shown } = stage;
        // A lesson that has just ended has no tap any more.
        let Ok(tap) = self.broadcast.tap(lesson).await else { return };
        let name = self.floor.db.read(move |c| store::name(c, room)).await;
        let media = &self.floor.config.media;
        let port = media.multicast_port.wrapping_add(PORT);
        let group = Group::of(self.floor.box_id, lesson, SALT, port, media.multicast_ttl);
        let session = Session {
            lesson,
            // It is only what players list it by.
            name: name.ok().flatten().unwrap_or_default(),
            group,
            origin: Ipv4Addr::UNSPECIFIED,
            lines: Vec::new(),
            version: 0,
        };
        let (describe, described) = watch::channel(None);
        let stop = CancellationToken::new();
        let output = Output::new(&self.floor, session, (self.broadcast.clone(), shown), describe);
        let task = tokio::spawn(output.run(tap, stop.clone()).in_current_span());
        let stop = stop.drop_guard();
        self.outputs.insert(lesson, Running { room, described, stop, task });
        tracing::warn!(
            multicast.group = %group.address,
            "the lesson goes out in the clear, for whoever is on the network: its room is open",
        );
    }

    /// Of the newest lesson, where several share the room.
    fn session(&self, room: RoomId) -> Option<String> {
        let of_room = self.outputs.iter().filter(|(_, running)| running.room == room);
        let described = of_room
            .filter_map(|(lesson, running)| Some((lesson, running.described.borrow().clone()?)));
        described.max_by_key(|(lesson, _)| **lesson).map(|(_, text)| text)
    }
}

impl Running {
    /// Returns when nothing more is sent.
    async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "an open lesson's output died");
        }
    }
}
