//! One machine's connection, from the upgrade to its end.
//!
//! ```text
//!   greet: who is it? ──▶ refused, or just enrolled: said, closed
//!      │ welcome
//!      ▼
//!   hear ┬─ until silence, nonsense, close     whichever ends first ends all; a box that
//!   speak┤  until told to, or the socket fails   stops ends them too, and says so
//!   file ┴─ (marks to the disk, each acknowledged)
//! ```
//!
//! A machine is registered before it is looked up: whatever an admin changes of it either finds it
//! in the table and ends the connection, or is seen by the look. That it came is noted on disk when
//! it has been served already: a class that comes back at once does not wait for fifty writes.

use std::{net::IpAddr, time::Duration};

use alfarid_protocol::{
    control::{self, FromBox, MAX_TEXT, RefusalCode},
    id::MachineId,
    version,
};
use axum::{
    Extension, Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
    routing::get,
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::sync::mpsc;

use super::{
    Handle, Link, MediaMessage, PresenceMessage,
    greeting::{Aged, Greeted, Guest, Refusal, greet, revoked, unknown},
    hearing::{Ears, file, leaves, marks_lane},
    store,
    table::{Connected, Ending, LaneEnds},
    tunnel,
};
use crate::{clock::Clock, enrolment::KnownMachine, http::Peer, logging::chain};

/// How long a machine that dials in too often waits for its answer: its connections are counted, so
/// this slows it down.
const SLOW_NO: Duration = Duration::from_secs(1);

/// A machine that takes nothing for this long is gone.
pub(super) const SEND: Duration = Duration::from_secs(10);

/// Everything a connection needs.
#[derive(Clone, Debug)]
pub(super) struct Deps {
    pub(super) machines: Handle,
    pub(super) media: mpsc::Sender<MediaMessage>,
    pub(super) presence: mpsc::Sender<PresenceMessage>,
}

pub(super) fn router(
    machines: Handle,
    media: mpsc::Sender<MediaMessage>,
    presence: mpsc::Sender<PresenceMessage>,
) -> Router {
    let deps = Deps { machines, media, presence };
    let tunnels = tunnel::router(deps.clone());
    Router::new().route(control::PATH, get(connect)).with_state(deps).merge(tunnels)
}

async fn connect(
    State(deps): State<Deps>,
    Extension(peer): Extension<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .max_message_size(MAX_TEXT)
        .max_frame_size(MAX_TEXT)
        .on_upgrade(move |socket| serve(socket, peer, deps))
}

async fn serve(mut socket: WebSocket, peer: Peer, deps: Deps) {
    let last_words = match greet(&mut socket, &peer, &deps.machines.enrolment).await {
        Ok(Greeted::Enrolled(enrolled)) => Some(*enrolled),
        Ok(Greeted::Guest(guest)) => return stay(socket, &peer, &deps, *guest).await,
        Ok(Greeted::Nobody) => None,
        Ok(Greeted::Misfit(machine, aged)) => {
            note_misfit(&peer, &deps, &machine, &aged).await;
            Some(refused(aged.refusal()))
        }
        Err(refusal) => Some(refused(refusal)),
    };
    let (mut sink, _) = socket.split();
    farewell(&mut sink, &peer, last_words).await;
}

fn refused(refusal: Refusal) -> FromBox {
    tracing::info!(code = ?refusal.code, "a machine was refused: {}", refusal.detail);
    refusal.into()
}

/// Lets people see that a machine is on and what it lacks.
async fn note_misfit(peer: &Peer, deps: &Deps, machine: &KnownMachine, aged: &Aged) {
    let (id, floor) = (machine.id, &deps.machines.floor);
    if !deps.machines.patience().arrives(id, floor.clock.monotonic()) {
        return;
    }
    let is_news = deps.machines.table().refuse(id, aged.why);
    write_arrival(peer, deps, id, &aged.agent_version).await;
    if is_news {
        deps.machines.tell(id, machine.room);
    }
}

/// Takes a machine in, keeps it connected, and tells who it concerns when it comes and goes.
async fn stay(socket: WebSocket, peer: &Peer, deps: &Deps, mut guest: Guest) {
    let (mut sink, stream) = socket.split();
    let (machine, now) = (guest.known.id, deps.machines.floor.clock.monotonic());
    if !deps.machines.patience().arrives(machine, now) {
        tracing::debug!(machine.id = %machine, "machine {machine} dials in too often");
        let refusal = Refusal::new(RefusalCode::TryLater, "this machine dials in too often");
        peer.closing.run_until_cancelled(tokio::time::sleep(SLOW_NO)).await;
        return farewell(&mut sink, peer, Some(refusal.into())).await;
    }
    let lanes = register(peer, deps, &guest);
    let number = lanes.number;
    let last_words = match settle(peer, deps, &mut guest, number).await {
        Ok(welcomed) => {
            let line = Line { sink: &mut sink, stream, lanes };
            keep(line, peer, deps, &guest, welcomed).await
        }
        Err(refusal) => Some(refusal.into()),
    };
    // A box that stops has little time, and what is noted of a machine waits for the disk.
    tokio::join!(leave(deps, &guest, number), farewell(&mut sink, peer, last_words));
}

/// Registers a machine, so that whatever is changed of it from now on ends this connection.
fn register(peer: &Peer, deps: &Deps, guest: &Guest) -> LaneEnds {
    let connected = Connected {
        room: guest.known.room,
        address: peer.address,
        agent_version: guest.agent_version.clone(),
        link: None,
    };
    deps.machines.table().connect(guest.known.id, connected)
}

/// Looks what holds for a registered machine by now, and gives it its place. Returns how it is
/// welcomed, and the link that it is from then on.
async fn settle(
    peer: &Peer,
    deps: &Deps,
    guest: &mut Guest,
    number: u64,
) -> Result<(FromBox, Option<Link>), Refusal> {
    let (machine, floor) = (guest.known.id, &deps.machines.floor);
    let standing = match floor.db.read(move |c| store::standing(c, machine)).await {
        Ok(Some(standing)) if standing.known.is_revoked => return Err(revoked()),
        Ok(Some(standing)) => standing,
        Ok(None) => return Err(unknown()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "cannot welcome a machine");
            let detail = "the box cannot read its own notes just now";
            return Err(Refusal::new(RefusalCode::TryLater, detail));
        }
    };
    guest.known = standing.known;
    let KnownMachine { room, is_approved: approved, ref name, .. } = guest.known;
    let link = match (peer.address.ip().to_canonical(), peer.local.ip().to_canonical()) {
        (IpAddr::V4(peer), IpAddr::V4(local)) if approved => {
            Some(Link { machine, room, name: name.clone(), peer, local })
        }
        _ => None,
    };
    deps.machines.table().settle(machine, number, room, link.clone());
    let welcome = FromBox::Welcome {
        protocol: version::CURRENT,
        box_id: floor.box_id,
        machine,
        room: standing.room_name,
        approved,
        box_time: floor.clock.now(),
        marks_through: standing.marks_through,
    };
    Ok((welcome, link))
}

/// Both directions of a connection.
struct Line<'a> {
    sink: &'a mut SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    lanes: LaneEnds,
}

/// Welcomes a machine and serves it until one of both ends it. Returns what is to be said then.
async fn keep(
    Line { sink, mut stream, mut lanes }: Line<'_>,
    peer: &Peer,
    deps: &Deps,
    guest: &Guest,
    (welcome, link): (FromBox, Option<Link>),
) -> Option<FromBox> {
    if !say(sink, &welcome).await {
        return None;
    }
    let machine = guest.known.id;
    announce(deps, guest, link, lanes.has_replaced).await;
    deps.machines.tell(machine, guest.known.room);
    tracing::info!(machine.id = %machine, "machine {machine} is here from {}", peer.address);

    let number = lanes.number;
    let (marks, lane) = marks_lane();
    let ears = Ears { deps, guest, marks };
    tokio::select! {
        last_words = ears.hear(&mut stream) => last_words,
        last_words = speak(sink, &mut lanes, &deps.machines.floor.clock) => last_words,
        () = file(lane, deps, guest, number) => None,
        () = note(peer, deps, guest) => None,
        () = peer.closing.cancelled() => None,
    }
}

/// Tells whom it concerns that the machine is here, or that it is not what an older connection of
/// it was: who lost its approval meanwhile is in no lesson any more.
async fn announce(deps: &Deps, guest: &Guest, link: Option<Link>, has_replaced: bool) {
    let (machine, box_time) = (guest.known.id, deps.machines.floor.clock.now());
    let media = match link {
        Some(link) => Some(MediaMessage::Ready(link)),
        None => has_replaced.then_some(MediaMessage::Gone(machine)),
    };
    let presence = if guest.known.is_approved {
        Some(PresenceMessage::Connected { machine, now: guest.now, box_time })
    } else {
        has_replaced.then_some(PresenceMessage::Gone { machine, box_time })
    };
    // An outlet without a taker: the box is stopping.
    if let Some(media) = media {
        let _ = deps.media.send(media).await;
    }
    if let Some(presence) = presence {
        let _ = deps.presence.send(presence).await;
    }
}

/// Notes on disk that a machine came. Never ends: nothing follows from it.
async fn note(peer: &Peer, deps: &Deps, guest: &Guest) {
    write_arrival(peer, deps, guest.known.id, &guest.agent_version).await;
    std::future::pending::<()>().await;
}

async fn write_arrival(peer: &Peer, deps: &Deps, machine: MachineId, agent_version: &str) {
    let floor = &deps.machines.floor;
    let (now, version) = (floor.clock.now(), agent_version.to_owned());
    let address = peer.address.ip().to_canonical().to_string();
    let write = floor.db.write(move |tx| store::arrived(tx, machine, &version, &address, now));
    if let Err(error) = write.await {
        tracing::warn!(error = %chain(&error), "cannot note that a machine came");
    }
}

/// Empties the lanes, control messages first, until told to end or nothing goes out any more.
async fn speak(
    sink: &mut SplitSink<WebSocket, Message>,
    lanes: &mut LaneEnds,
    clock: &Clock,
) -> Option<FromBox> {
    loop {
        let sent = tokio::select! {
            biased;
            ending = &mut lanes.ending => return last_words(ending.ok()?),
            Some(mut message) = lanes.control.recv() => {
                leaves(&mut message, clock.monotonic());
                say(sink, &message).await
            }
            Some(pictures) = lanes.pictures.recv() => send(sink, Message::Binary(pictures)).await,
        };
        if !sent {
            return None;
        }
    }
}

fn last_words(ending: Ending) -> Option<FromBox> {
    let (code, detail) = match ending {
        Ending::Replaced => (RefusalCode::Replaced, "this machine has a newer connection"),
        Ending::Revoked => (RefusalCode::MachineRevoked, "this machine's trust was taken away"),
        Ending::TooSlow => (RefusalCode::TryLater, "this connection takes messages too slowly"),
        Ending::Changed => return None,
    };
    Some(FromBox::Refused { code, detail: detail.to_owned() })
}

async fn leave(deps: &Deps, guest: &Guest, number: u64) {
    let machine = guest.known.id;
    let handle = &deps.machines;
    let is_gone = handle.table().disconnect(machine, number);
    if !is_gone {
        return;
    }
    let box_time = handle.floor.clock.now();
    // Of one that was never let in they know nothing, and forget nothing.
    let _ = deps.media.send(MediaMessage::Gone(machine)).await;
    let _ = deps.presence.send(PresenceMessage::Gone { machine, box_time }).await;
    if let Err(error) = handle.floor.db.write(move |tx| store::left(tx, machine, box_time)).await {
        tracing::warn!(error = %chain(&error), "cannot note that a machine left");
    }
    handle.tell(machine, guest.known.room);
    tracing::info!(machine.id = %machine, "machine {machine} is gone");
}

/// Says the last words, if any, and closes.
async fn farewell(
    sink: &mut SplitSink<WebSocket, Message>,
    peer: &Peer,
    last_words: Option<FromBox>,
) {
    if let Some(last_words) = last_words {
        say(sink, &last_words).await;
    }
    send(sink, peer.goodbye()).await;
}

async fn say(sink: &mut SplitSink<WebSocket, Message>, message: &FromBox) -> bool {
    match serde_json::to_string(message) {
        Ok(text) => send(sink, Message::text(text)).await,
        Err(error) => {
            tracing::error!(error = %error, "cannot write a message for a machine");
            false
        }
    }
}

async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(tokio::time::timeout(SEND, sink.send(message)).await, Ok(Ok(())))
}
