//! The task of one slot: packets of its publications in, everything that goes on air out.
//!
//! ```text
//!   Feed ──▶ Track (video) ─┬─▶ transmitter: protected, by multicast   (the screen only)
//!            Track (sound) ─┤     ▲ └─▶ repair, unicast flows
//!                           │     └──── what machines lack and want
//!                           ├─▶ tunnels                          (the screen only)
//!   Order ──▶               ├─▶ taps: recorder, ...
//!                           └─▶ kept pictures, to one machine          (the screen only)
//! ```
//!
//! It waits for nobody: not for sockets, not for taps, not for machines. What it knows is told by
//! [`watch`] channels, so that the newest state is never lost and old ones cost nothing.
//!
//! A screen's sound goes on air only while its picture does: a new publication takes both over at
//! its first keyframe.

pub(super) mod task;
mod transmitter;

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use alfarid_protocol::{
    id::{LessonId, MachineId, PublicationId},
    secret::Secret,
};
use alfarid_stream::{Codec, epoch::Epoch, feedback, relay::Sent, transmit::ReceiverId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tracing::Instrument;

use self::{task::Task, transmitter::Transmitter};
use super::{
    PublicationKind,
    feed::{Asker, Feed, feed},
    multicast::{Group, Ports},
    protected::{Protected, Unheard},
    tap::Tapped,
    track::{Joiner, Live, Random},
    tunnels::Tunnels,
};
use crate::{
    clock::Clock,
    logging,
    machines::{self, TunnelLane},
};

/// Orders that may wait: a room of machines that joins at once. Full: the lesson's owner waits.
const ORDERS_WAITING: usize = 128;

/// What the relay is told.
pub(super) enum Order {
    /// A publication begins to send.
    Announce(Source),
    Withdraw(PublicationId),
    /// Send on these interfaces and on no others. Answered by the ports of those where it can.
    Interfaces(Vec<Ipv4Addr>, oneshot::Sender<Ports>),
    /// What this machine says of the broadcast is heard from now on; it was granted this key.
    Admit {
        receiver: ReceiverId,
        /// The machine's own, where alone it may have a flow.
        address: Ipv4Addr,
        key: Secret<{ feedback::KEY }>,
    },
    /// It is heard no more: it left, or has a newer grant.
    Dismiss(ReceiverId),
    /// So late over their due time frames come to this machine.
    Needs {
        receiver: ReceiverId,
        late: Duration,
    },
    /// Seal with this epoch from now on.
    Switch(Epoch),
    /// A machine has joined the group and wants the pictures before `from`.
    Kept {
        machine: MachineId,
        serial: u32,
        from: Option<u64>,
    },
    /// A machine that no UDP reaches wants the lesson from the index `from` on.
    Tunnel {
        receiver: ReceiverId,
        lane: TunnelLane,
        from: Option<u64>,
    },
    /// Somebody begins to watch, or has lost frames and begins again.
    Joins(Joiner),
    Tap(mpsc::Sender<Tapped>),
    /// The newest keyframe, to be looked at.
    Picture(oneshot::Sender<Option<Picture>>),
}

/// A publication as its relay knows it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) publication: PublicationId,
    pub(super) asker: Asker,
    pub(super) has_sound: bool,
}

/// The packets of one keyframe.
pub(super) struct Picture {
    pub(super) codec: Codec,
    pub(super) packets: Vec<Sent>,
}

/// What is on air. Changes seldom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OnAir {
    pub(super) publication: Option<PublicationId>,
    pub(super) video: Option<Live>,
    pub(super) audio: Option<Live>,
    /// Nothing comes of the publication at this moment: it may be gone, or back at once.
    pub(super) is_silent: bool,
}

impl OnAir {
    /// Whether there is something to be seen that goes on.
    pub(super) fn is_seen(&self) -> bool {
        self.publication.is_some() && !self.is_silent
    }
}

/// How it goes. Changes once a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) fps: f32,
    pub(super) bitrate_bps: u64,
    pub(super) packets_lost: u64,
    /// Machines that get the stream once more, by unicast or through the tunnel.
    pub(super) served_alone: u32,
    /// How long after it is due everything is shown; `None` before that was said.
    pub(super) playout: Option<Duration>,
    /// What came where machines are heard and was none of their words.
    pub(super) unheard: Unheard,
}

/// Which packets go on air next: what a grant says.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) video: AtomicU64,
    pub(super) audio: AtomicU64,
}

/// What others hold of a relay. The task ends when the last is dropped.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) feed: Feed,
    pub(super) on_air: watch::Receiver<OnAir>,
    pub(super) figures: watch::Receiver<Figures>,
    /// Index of the newest keyframe that is whole.
    pub(super) keyframe: watch::Receiver<Option<u64>>,
    /// The newest machine that is to leave the group. It may overtake another: that is found again.
    pub(super) outcast: watch::Receiver<Option<ReceiverId>>,
    /// Machines whose UDP comes from another address than they have.
    pub(super) elsewhere: watch::Receiver<BTreeSet<ReceiverId>>,
    pub(super) next: Arc<Next>,
}

/// The relay's own ends of these.
struct Told {
    on_air: watch::Sender<OnAir>,
    figures: watch::Sender<Figures>,
    keyframe: watch::Sender<Option<u64>>,
    outcast: watch::Sender<Option<ReceiverId>>,
    elsewhere: watch::Sender<BTreeSet<ReceiverId>>,
    next: Arc<Next>,
}

/// What a relay is for.
pub(super) struct Job {
    pub(super) lesson: LessonId,
    pub(super) kind: PublicationKind,
    pub(super) clock: Clock,
    pub(super) random: fn() -> Random,
    /// `None`: a person's slot, which machines never hear.
    pub(super) programme: Option<Programme>,
}

/// Where a screen's packets go beside the taps.
pub(super) struct Programme {
    transmitter: Transmitter,
    tunnels: Tunnels,
    machines: machines::Handle,
}

impl Programme {
    /// `is_paced`: what would leave in one burst is spread over a frame time.
    pub(super) fn new(
        now: Duration,
        group: Group,
        protected: Protected,
        machines: machines::Handle,
        is_paced: bool,
    ) -> Self {
        let transmitter = Transmitter::new(now, group, protected, is_paced);
        Self { transmitter, tunnels: Tunnels::default(), machines }
    }
}

/// Starts the task among `tasks`.
pub(super) fn spawn(job: Job, tasks: &mut JoinSet<()>) -> Handle {
    let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
    let (feed, arrivals) = feed();
    let (on_air, on_air_told) = watch::channel(OnAir::default());
    let (figures, figures_told) = watch::channel(Figures::default());
    let (keyframe, keyframe_told) = watch::channel(None);
    let (outcast, outcast_told) = watch::channel(None);
    let (elsewhere, elsewhere_told) = watch::channel(BTreeSet::new());
    let next = Arc::<Next>::default();
    let told = Told { on_air, figures, keyframe, outcast, elsewhere, next: Arc::clone(&next) };
    let span = logging::lesson(job.lesson);
    tasks.spawn(Task::new(job, told).run(waiting, arrivals).instrument(span));
    Handle {
        orders,
        feed,
        on_air: on_air_told,
        figures: figures_told,
        keyframe: keyframe_told,
        outcast: outcast_told,
        elsewhere: elsewhere_told,
        next,
    }
}
