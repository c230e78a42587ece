//! One machine's connection, from the upgrade to its end.
//!
//! ```text
//!   greet: who is it? ──▶ refused, or just enrolled: said, closed
//!      │ welcome
//!      ▼
//!   hear ┬─ until silence, nonsense, close     whichever ends first ends both; a box that
//!   speak┴─ until told to, or the socket fails   stops ends them too, and says so
//! ```
//!
//! A machine that floods is refused; one that waits for an answer (marks that go to disk) is not
//! heard meanwhile, so its own messages wait in its own socket.

use std::{net::IpAddr, time::Duration};

use alfarid_protocol::{
    control::{self, FromBox, FromMachine, MAX_TEXT, PING_EVERY_MS, RefusalCode},
    span::MarkKind,
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
use tokio::sync::{mpsc, oneshot};

use super::{
    Error, Handle, Link, MediaMessage, PresenceMessage,
    greeting::{Greeted, Guest, greet},
    hearing::{self, Heard, Patience},
    store,
    table::{Connected, Ending, LaneEnds},
};
use crate::{
    enrolment::KnownMachine,
    http::{Peer, problem::chain},
};

/// Three pings missed.
const SILENCE: Duration = Duration::from_millis(3 * PING_EVERY_MS);
/// A machine that takes nothing for this long is gone.
const SEND: Duration = Duration::from_secs(10);

/// Everything a connection needs.
#[derive(Clone, Debug)]
struct Deps {
    machines: Handle,
    media: mpsc::Sender<MediaMessage>,
    presence: mpsc::Sender<PresenceMessage>,
}

pub(super) fn router(
    machines: Handle,
    media: mpsc::Sender<MediaMessage>,
    presence: mpsc::Sender<PresenceMessage>,
) -> Router {
    let deps = Deps { machines, media, presence };
    Router::new().route(control::PATH, get(connect)).with_state(deps)
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
        Err(refusal) => {
            tracing::info!(code = ?refusal.code, "a machine was refused: {}", refusal.detail);
            Some(FromBox::Refused { code: refusal.code, detail: refusal.detail })
        }
    };
    let (mut sink, _) = socket.split();
    farewell(&mut sink, &peer, last_words).await;
}

/// Welcomes a machine, keeps it connected, and tells who it concerns when it comes and goes.
async fn stay(socket: WebSocket, peer: &Peer, deps: &Deps, guest: Guest) {
    let (machine, room) = (guest.known.id, guest.known.room);
    let (mut sink, mut stream) = socket.split();
    let (mut lanes, link) = match welcome(&mut sink, peer, deps, &guest).await {
        Ok(Some(welcomed)) => welcomed,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(error = %chain(&error), "cannot welcome a machine");
            let detail = "the box cannot read its own notes just now".to_owned();
            let refused = FromBox::Refused { code: RefusalCode::TryLater, detail };
            return farewell(&mut sink, peer, Some(refused)).await;
        }
    };
    let approved = guest.known.is_approved;
    let number = lanes.number;
    let machines = &deps.machines;
    if approved {
        let box_time = machines.floor.clock.now();
        let connected = PresenceMessage::Connected { machine, now: guest.now, box_time };
        // An outlet without a taker: the box is stopping.
        let _ = deps.presence.send(connected).await;
        if let Some(link) = link {
            let _ = deps.media.send(MediaMessage::Ready(link)).await;
        }
    }
    machines.tell(machine, room);
    tracing::info!(machine.id = %machine, "machine {machine} is here from {}", peer.address);

    let last_words = tokio::select! {
        last_words = hear(&mut stream, deps, &guest, number) => last_words,
        last_words = speak(&mut sink, &mut lanes) => last_words,
        () = peer.closing.cancelled() => None,
    };
    // A box that stops has little time, and what is noted of a machine waits for the disk.
    tokio::join!(leave(deps, &guest, number), farewell(&mut sink, peer, last_words));
}

/// Registers the machine and says welcome. `None`: it is gone already.
async fn welcome(
    sink: &mut SplitSink<WebSocket, Message>,
    peer: &Peer,
    deps: &Deps,
    guest: &Guest,
) -> Result<Option<(LaneEnds, Option<Link>)>, Error> {
    let KnownMachine { id: machine, room, .. } = guest.known;
    let floor = &deps.machines.floor;
    let address = peer.address.ip().to_canonical();
    let (now, version) = (floor.clock.now(), guest.agent_version.clone());
    let arrival = floor
        .db
        .write(move |tx| store::arrived(tx, machine, &version, &address.to_string(), now))
        .await?;
    let approved = guest.known.is_approved;
    let link = match (address, peer.local.ip().to_canonical()) {
        (IpAddr::V4(peer), IpAddr::V4(local)) if approved => {
            Some(Link { machine, room, name: guest.known.name.clone(), peer, local })
        }
        _ => None,
    };
    let connected = Connected { room, address: peer.address, link: link.clone() };
    let lanes = deps.machines.table().connect(machine, connected);
    let welcome = FromBox::Welcome {
        protocol: version::CURRENT,
        box_id: floor.box_id,
        machine,
        room: arrival.room_name,
        approved,
        box_time: floor.clock.now(),
        marks_through: arrival.marks_through,
    };
    if say(sink, &welcome).await {
        return Ok(Some((lanes, link)));
    }
    deps.machines.table().disconnect(machine, lanes.number);
    Ok(None)
}

/// Listens until the machine is silent, closes, or is not worth listening to. Returns what is to
/// be said at the end.
async fn hear(
    stream: &mut SplitStream<WebSocket>,
    deps: &Deps,
    guest: &Guest,
    number: u64,
) -> Option<FromBox> {
    let clock = &deps.machines.floor.clock;
    let mut patience = Patience::new(clock.monotonic());
    let bad = |detail: String| Some(FromBox::Refused { code: RefusalCode::BadMessage, detail });
    loop {
        let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, stream.next()).await else {
            return None;
        };
        if !patience.bear(clock.monotonic()) {
            return bad("too many messages at once".into());
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Binary(_) => return bad("a machine sends text only".into()),
            Message::Close(_) => return None,
        };
        match hearing::read(&text) {
            Heard::Message(message) => {
                if let Some(refused) = pass_on(message, deps, guest, number).await {
                    return Some(refused);
                }
            }
            Heard::Unknown => {
                tracing::debug!(machine.id = %guest.known.id, "a message of a newer agent");
            }
            Heard::Nonsense(error) => return bad(error.to_string()),
        }
    }
}

/// Gives a message to whom it concerns. Returns a refusal for one that makes no sense here.
async fn pass_on(message: FromMachine, deps: &Deps, guest: &Guest, number: u64) -> Option<FromBox> {
    let machine = guest.known.id;
    let handle = &deps.machines;
    match message {
        FromMachine::Ping { now } => {
            let box_time = handle.floor.clock.now();
            handle.say(machine, FromBox::Pong { machine: now, box_time });
            if guest.known.is_approved {
                let exchange = PresenceMessage::Clock { machine, moment: now, box_time };
                let _ = deps.presence.send(exchange).await;
            }
        }
        // Until it is let in, a machine keeps what it has to tell, and is told nothing.
        _ if !guest.known.is_approved => {}
        FromMachine::Marks { marks } => {
            if let Some(newest) = marks.last() {
                let in_use = newest.kind != MarkKind::Closed;
                let is_news = handle.table().set_in_use(machine, number, in_use);
                if is_news {
                    handle.tell(machine, guest.known.room);
                }
            }
            let (applied, through) = oneshot::channel();
            let _ = deps.presence.send(PresenceMessage::Marks { machine, marks, applied }).await;
            // Not applied: the machine sends them again.
            if let Ok(through) = through.await {
                handle.say(machine, FromBox::MarksAcked { through });
            }
        }
        FromMachine::WantKept { serial, video_from, audio_from } => {
            let wanted = MediaMessage::WantKept { machine, serial, video_from, audio_from };
            let _ = deps.media.send(wanted).await;
        }
        FromMachine::Report(report) => {
            let _ = deps.media.send(MediaMessage::Report { machine, report }).await;
        }
        FromMachine::Hello { .. } | FromMachine::Enrol { .. } => {
            let detail = "a connection has one hello".to_owned();
            return Some(FromBox::Refused { code: RefusalCode::BadMessage, detail });
        }
    }
    None
}

/// Empties the lanes, control messages first, until told to end or nothing goes out any more.
async fn speak(sink: &mut SplitSink<WebSocket, Message>, lanes: &mut LaneEnds) -> Option<FromBox> {
    loop {
        let sent = tokio::select! {
            biased;
            ending = &mut lanes.ending => return last_words(ending.ok()?),
            Some(message) = lanes.control.recv() => say(sink, &message).await,
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
    if guest.known.is_approved {
        let _ = deps.media.send(MediaMessage::Gone(machine)).await;
        let _ = deps.presence.send(PresenceMessage::Gone { machine, box_time }).await;
    }
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
