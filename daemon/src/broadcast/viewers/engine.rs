//! The task that owns every viewer's session, and reads the taps of what they watch.
//!
//! It waits for nobody but, for a moment, for the rest of a picture: in one go it costs half of
//! what its packets cost one by one. What it sends goes straight to the port, and what the port
//! cannot take just now is lost, as datagrams are: it comes back when the viewer asks for it.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use alfarid_protocol::{grant::Picture, id::LessonId};
use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, mpsc},
    task::coop::unconstrained,
};
use tokio_stream::{StreamMap, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;

use super::{
    DISPLACED, Handle, KEPT, ORDERS_WAITING, Order, PER_ADDRESS, PER_PERSON, Seat, ViewerId,
    WatchError, Watcher,
    programme::{Piece, Programme, Source},
    session::Session,
};
use crate::{
    broadcast::{
        rtc::{
            Door, Stray,
            port::Port,
            sessions::{Session as _, Sessions},
        },
        tap::{Tapped, TrackKind},
        track::{Joiner, Random},
    },
    bucket::Buckets,
};

/// Packets taken in a row before timers and orders get their turn.
const BATCH: usize = 64;

/// How long the first packet of a picture waits for the others. Those that come meanwhile stay in
/// the tap.
const TOGETHER: Duration = Duration::from_millis(4);

/// How often what viewers say is read: each of a hundred says something ten times a second, and
/// nothing that could not wait.
const HEARD_EVERY: Duration = Duration::from_millis(4);

/// Packets after which no more are taken for one go. The rest waits for the next.
const MOST_TOGETHER: usize = 256;

/// To be run for the life of the process.
pub(in crate::broadcast) struct Engine {
    door: Door,
    strays: mpsc::Receiver<Stray>,
    orders: mpsc::Receiver<Order>,
    random: Random,
}

/// One lesson that is, or was, watched.
struct Watched {
    programme: Programme,
    source: Source,
    picture: Picture,
}

/// What the task owns while the port is open.
struct Hall {
    sessions: Sessions<Session>,
    door: Door,
    lessons: HashMap<LessonId, Watched>,
    /// What is on air and not yet sent.
    together: Vec<(LessonId, Piece)>,
    /// When it goes out, while there is some.
    together_at: Duration,
    /// When viewers are heard next. What they say meanwhile stays in the queue.
    hears_at: Duration,
    /// At most [`DISPLACED`], the oldest first.
    displaced: VecDeque<ViewerId>,
    kept: Buckets<Watcher>,
    random: Random,
}

impl Engine {
    /// With places for `most` viewers.
    pub(in crate::broadcast) fn new(
        door: Door,
        strays: mpsc::Receiver<Stray>,
        most: usize,
        random: Random,
    ) -> (Handle, Self) {
        let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
        let handle = Handle { orders, door: door.clone(), places: Arc::new(Semaphore::new(most)) };
        (handle, Self { door, strays, orders: waiting, random })
    }

    pub(in crate::broadcast) async fn run(mut self, stopping: CancellationToken) {
        let mut early = Vec::new();
        let Some(port) = self.port(&stopping, &mut early).await else { return };
        let mut hall = Hall {
            sessions: Sessions::new(port, self.door.ticks.clone()),
            door: self.door,
            lessons: HashMap::new(),
            together: Vec::new(),
            together_at: Duration::ZERO,
            hears_at: Duration::ZERO,
            displaced: VecDeque::new(),
            kept: Buckets::new(KEPT),
            random: self.random,
        };
        let mut taps = StreamMap::new();
        for order in early {
            hall.obey(order, &mut taps);
        }
        let (mut tapped, mut strays) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            let sleep = tokio::time::sleep(hall.rest());
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => hall.obey(order, &mut taps),
                    None => break,
                },
                _ = taps.next_many(&mut tapped, BATCH), if hall.reads() && !taps.is_empty() => {
                    hall.take(&mut tapped);
                }
                _ = self.strays.recv_many(&mut strays, BATCH), if hall.hears() => {
                    hall.hear(&mut strays);
                }
                () = sleep => {}
            }
            if hall.is_due() {
                hall.send(&mut taps);
            }
            hall.sessions.run_timers();
            hall.serve_joiners();
        }
        hall.sessions.close_all();
    }

    /// Waits for the port; what is ordered in that very moment is obeyed afterwards. `None`: there
    /// will be none.
    async fn port(
        &mut self,
        stopping: &CancellationToken,
        early: &mut Vec<Order>,
    ) -> Option<Arc<Port>> {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return None,
                opened = self.door.port.wait_for(Option::is_some) => {
                    return opened.ok().and_then(|port| port.clone());
                }
                // Few: without a port nobody is answered.
                Some(order) = self.orders.recv() => early.push(order),
            }
        }
    }
}

type Taps = StreamMap<LessonId, ReceiverStream<Tapped>>;

impl Hall {
    fn obey(&mut self, order: Order, taps: &mut Taps) {
        // A reply that nobody waits for any more changes nothing.
        match order {
            Order::Follow(lesson, tap, source, picture) => {
                taps.insert(lesson, ReceiverStream::new(tap));
                let programme = Programme::default();
                self.lessons.insert(lesson, Watched { programme, source, picture });
            }
            Order::Leave(lesson) => {
                taps.remove(&lesson);
                self.lessons.remove(&lesson);
                self.close(|seat| seat.lesson == lesson);
            }
            Order::Picture(lesson, picture) => {
                // What is on its way is of before: who is shown the screen again never sees it. Who
                // is not to see it any more does not see that either.
                if picture == Picture::Live {
                    self.send_all(taps);
                }
                self.set_picture(lesson, picture);
            }
            Order::Open { seat, rtc, lines, stay, span, reply } => {
                let admitted = self.admit(seat);
                if admitted.is_ok() {
                    let ticks = self.door.ticks.clone();
                    let random = (self.random)();
                    let session = Session::new(seat, rtc, *lines, stay, span, ticks, random);
                    self.sessions.add(session);
                }
                let _ = reply.send(admitted);
            }
            Order::Close(id, who, reply) => {
                let closed =
                    self.close(|seat| seat.id == id && who.is_none_or(|who| who == seat.who));
                let _ = reply.send(closed > 0);
            }
        }
    }

    /// Makes room for one more of the same person.
    fn admit(&mut self, seat: Seat) -> Result<(), WatchError> {
        if seat.former.is_some_and(|former| self.displaced.contains(&former)) {
            return Err(WatchError::Displaced);
        }
        let seats: Vec<_> = self.sessions.iter().map(Session::seat).collect();
        if seats.iter().filter(|other| other.address == seat.address).count() >= PER_ADDRESS {
            return Err(WatchError::TooManyHere);
        }
        let theirs: Vec<_> = seats.iter().filter(|other| other.who == seat.who).collect();
        // Ids count up.
        if let Some(oldest) = theirs.iter().map(|other| other.id.0).min()
            && theirs.len() >= PER_PERSON
        {
            self.displace(ViewerId(oldest));
        }
        Ok(())
    }

    /// Ends a session for a newer one of the same person.
    fn displace(&mut self, oldest: ViewerId) {
        self.close(|seat| seat.id == oldest);
        if self.displaced.len() == DISPLACED {
            self.displaced.pop_front();
        }
        self.displaced.push_back(oldest);
    }

    /// Ends the sessions at these seats, and says how many.
    fn close(&mut self, which: impl Fn(Seat) -> bool) -> usize {
        let (now, _) = self.sessions.now();
        let mut closed = 0;
        self.sessions.each(|session, send| {
            let stays = !which(session.seat());
            if !stays {
                session.close(now, send);
                closed += 1;
            }
            stays
        });
        closed
    }

    fn set_picture(&mut self, lesson: LessonId, picture: Picture) {
        let Some(watched) = self.lessons.get_mut(&lesson) else { return };
        let was = mem::replace(&mut watched.picture, picture);
        let is_shown = picture == Picture::Live;
        if is_shown != (was == Picture::Live) {
            if is_shown {
                // It is of what the class was not to see.
                watched.programme.forget_kept();
            }
            self.sessions.each(|session, _| {
                let seat = session.seat();
                if seat.lesson == lesson && !seat.who.sees_everything() {
                    if is_shown {
                        session.reveal();
                    } else {
                        session.hide();
                    }
                }
                true
            });
        }
    }

    fn rest(&self) -> Duration {
        let now = self.sessions.now().0;
        let sends_at = (!self.reads()).then_some(self.together_at);
        let hears_at = Some(self.hears_at).filter(|at| *at > now);
        let rests = [sends_at, hears_at].into_iter().flatten().map(|at| at.saturating_sub(now));
        rests.fold(self.sessions.until_deadline(), Duration::min)
    }

    fn hears(&self) -> bool {
        self.sessions.now().0 >= self.hears_at
    }

    fn hear(&mut self, strays: &mut Vec<Stray>) {
        // More of it waits where the batch is full.
        if strays.len() < BATCH {
            self.hears_at = self.sessions.now().0 + HEARD_EVERY;
        }
        for Stray { from, to, bytes } in strays.drain(..) {
            self.sessions.receive(&bytes, from, to);
        }
    }

    /// Whether the taps are read: nothing waits to be sent.
    fn reads(&self) -> bool {
        self.together.is_empty()
    }

    fn is_due(&self) -> bool {
        !self.reads() && self.sessions.now().0 >= self.together_at
    }

    fn take(&mut self, tapped: &mut Vec<(LessonId, Tapped)>) {
        if self.reads() {
            self.together_at = self.sessions.now().0 + TOGETHER;
        }
        for (lesson, tapped) in tapped.drain(..) {
            let watched = self.lessons.get_mut(&lesson);
            let piece = watched.and_then(|watched| watched.programme.take(tapped));
            self.together.extend(piece.map(|piece| (lesson, piece)));
        }
    }

    /// Takes what the taps have by now, without waiting.
    fn take_the_rest(&mut self, taps: &mut Taps) {
        let mut tapped = Vec::with_capacity(BATCH);
        while self.together.len() < MOST_TOGETHER {
            // Past the runtime's measure of a turn, by which there would soon be nothing.
            let next = unconstrained(taps.next_many(&mut tapped, BATCH));
            if next.now_or_never().is_none_or(|taken| taken == 0) {
                break;
            }
            self.take(&mut tapped);
        }
    }

    /// Sends until the taps have nothing. They are bounded.
    fn send_all(&mut self, taps: &mut Taps) {
        loop {
            self.take_the_rest(taps);
            if self.reads() {
                break;
            }
            self.send(taps);
        }
    }

    /// Sends what is on air to whoever watches it.
    fn send(&mut self, taps: &mut Taps) {
        self.take_the_rest(taps);
        let pieces = mem::take(&mut self.together);
        let (now, lessons) = (self.sessions.now().0, &self.lessons);
        self.sessions.each(|session, send| {
            let seat = session.seat();
            let Some(watched) = lessons.get(&seat.lesson) else { return true };
            let is_hidden = watched.is_hidden_from(seat);
            let mut is_given = false;
            for (_, piece) in pieces.iter().filter(|(lesson, _)| *lesson == seat.lesson) {
                if piece.kind == TrackKind::ScreenVideo && is_hidden {
                    continue;
                }
                if !session.give(piece) {
                    session.close(now, send);
                    return false;
                }
                is_given = true;
            }
            !is_given || session.flush(send)
        });
    }

    /// Gives the kept pictures to who lacks one, and asks for a keyframe on their behalf. Not
    /// while what is kept is still to be sent: they would have it twice.
    fn serve_joiners(&mut self) {
        if !self.reads() {
            return;
        }
        let (now, lessons, measure) = (self.sessions.now().0, &self.lessons, &mut self.kept);
        self.sessions.each(|session, send| {
            let seat = session.seat();
            let Some(watched) = lessons.get(&seat.lesson) else { return true };
            if watched.is_hidden_from(seat) || !session.joins(now) {
                return true;
            }
            watched.source.joins(Joiner::of(seat.who));
            // Who has had them too often begins with the next keyframe.
            let may_have = measure.take(seat.who, now).is_ok();
            let kept = if may_have { watched.programme.kept.all() } else { &[] };
            if !session.begin(now, kept) {
                session.close(now, send);
                return false;
            }
            true
        });
    }
}

impl Watched {
    fn is_hidden_from(&self, seat: Seat) -> bool {
        self.picture != Picture::Live && !seat.who.sees_everything()
    }
}
