//! What stands between the threads that bring pictures and the one that shows them.
//!
//! The feed's thread says what the lesson is, the decoder's brings pictures, the sink shows them.
//! Nobody waits for anybody: the lock is held for moments, and a sink that is slow only ever finds
//! the newest picture. A wake that is already on its way is enough.
//!
//! A picture counts as shown when the sink takes it, whether or not anybody looks: a window that
//! another one covers paints nothing, and nothing is wrong with it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    decode::Picture,
    playout::Playout,
    scene::{Scene, Status},
};

pub(crate) struct Screen {
    state: Mutex<State>,
    shown: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    playout: Playout<Picture>,
    /// The scene is another than the sink has seen.
    changed: bool,
    end: Option<End>,
}

/// Why the player is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Another player has its place.
    Replaced,
    /// The agent is of another build, and so is the player that is installed by now.
    Outdated,
}

/// What has come since the sink looked last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) picture: bool,
    pub(crate) scene: bool,
    /// When to look again even if nothing wakes the sink.
    pub(crate) next_due: Option<Duration>,
}

impl Screen {
    /// `wake` tells the sink to look; it must not wait.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), shown: AtomicU64::new(0), wake: Box::new(wake) }
    }

    pub(crate) fn show(&self, picture: Picture) {
        self.state().playout.push(picture.show_at, picture);
        (self.wake)();
    }

    pub(crate) fn set_status(&self, status: Status) {
        {
            let mut state = self.state();
            if *state.playout.status() == status {
                return;
            }
            state.playout.set_status(status);
            state.changed = true;
        }
        (self.wake)();
    }

    pub(crate) fn end(&self, end: End) {
        self.state().end = Some(end);
        (self.wake)();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended().is_some()
    }

    pub(crate) fn ended(&self) -> Option<End> {
        self.state().end
    }

    /// For a sink that shows every picture: the next that is due, or when to look again.
    pub(crate) fn next(&self, now: Duration) -> Result<Picture, Option<Duration>> {
        let playout = &mut self.state().playout;
        let picture = playout.next(now).ok_or_else(|| playout.next_due())?;
        self.count_shown();
        Ok(picture)
    }

    /// For a sink that shows the newest picture: what has changed.
    pub(crate) fn advance(&self, now: Duration) -> News {
        let mut state = self.state();
        let mut picture = false;
        while state.playout.next(now).is_some() {
            picture = true;
        }
        if picture {
            self.count_shown();
        }
        let scene = std::mem::take(&mut state.changed);
        News { picture, scene, next_due: state.playout.next_due() }
    }

    pub(crate) fn on_show(&self) -> (Scene, Option<Picture>) {
        let state = self.state();
        (state.playout.scene(), state.playout.on_show().cloned())
    }

    /// The lesson's title, while there is one.
    pub(crate) fn title(&self) -> Option<String> {
        match self.state().playout.status() {
            Status::Lesson(stage) => Some(stage.title.clone()),
            Status::Idle(_) => None,
        }
    }

    /// How many pictures were on show.
    pub(crate) fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    fn count_shown(&self) {
        self.shown.fetch_add(1, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
