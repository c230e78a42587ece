//! One machine's connection, from the upgrade to its end.
//!
//! ```text
//!   greet: first message, version, key ──▶ refused or enrolled: said, closed
//!      │ welcome
//!      ▼
//!   hear ┬─ until silence, nonsense, close     whichever ends first ends both
//!   speak┴─ until told to, or the socket fails
//! ```
//!
//! A machine that floods is refused; one that waits for an answer (marks that go to disk) is not
//! heard meanwhile, so its own messages wait in its own socket.

use std::{net::IpAddr, time::Duration};

use alfarid_protocol::{
    control::{self, FromBox, FromMachine, MAX_TEXT, PING_EVERY_MS, RefusalCode},
    span::{MarkKind, Moment},
    version::{self, Mismatch},
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
    hearing::{self, Heard, Patience},
    store,
    table::{Connected, Ending, LaneEnds},
};
use crate::{
    enrolment::{EnrolRequest, Issued, KnownMachine, Newcomer, spki_sha256},
    http::{Peer, problem::chain},
};

/// A machine says who it is at once; a stranger that says nothing is not kept.
const GREETING: Duration = Duration::from_secs(10);
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

/// What the box says instead of a welcome.
#[derive(Debug)]
struct Refusal {
    code: RefusalCode,
    detail: String,
}

/// A machine that was let in.
struct Guest {
    known: KnownMachine,
    agent_version: String,
    now: Moment,
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
    let last_words = match greet(&mut socket, &peer, &deps).await {
        Ok(Greeted::Enrolled(enrolled)) => Some(*enrolled),
        Ok(Greeted::Guest(guest)) => return stay(socket, &peer, &deps, *guest).await,
        Ok(Greeted::Nobody) => None,
        Err(refusal) => {
            tracing::info!(code = ?refusal.code, "a machine was refused: {}", refusal.detail);
            Some(FromBox::Refused { code: refusal.code, detail: refusal.detail })
        }
    };
    let (mut sink, _) = socket.split();
    farewell(&mut sink, last_words).await;
}

enum Greeted {
    Guest(Box<Guest>),
    Enrolled(Box<FromBox>),
    /// It went away, or said nothing.
    Nobody,
}

/// Hears the first message and decides.
async fn greet(socket: &mut WebSocket, peer: &Peer, deps: &Deps) -> Result<Greeted, Refusal> {
    let Ok(Some(Ok(Message::Text(text)))) = tokio::time::timeout(GREETING, socket.recv()).await
    else {
        return Ok(Greeted::Nobody);
    };
    match hearing::read(&text) {
        Heard::Message(FromMachine::Hello { protocol, agent_version, name, now }) => {
            check_version(protocol, &agent_version)?;
            let address = peer.address.ip().to_canonical();
            let newcomer = Newcomer { name, agent_version: agent_version.clone(), address };
            let known = recognise(peer, deps, newcomer).await?;
            Ok(Greeted::Guest(Box::new(Guest { known, agent_version, now })))
        }
        Heard::Message(FromMachine::Enrol { protocol, agent_version, name, secret, csr_pem }) => {
            check_version(protocol, &agent_version)?;
            let address = peer.address.ip().to_canonical();
            let request = EnrolRequest { secret, csr_pem, name, agent_version, address };
            let enrolled = enrol(deps, request).await?;
            Ok(Greeted::Enrolled(Box::new(enrolled)))
        }
        Heard::Message(_) => Err(Refusal::new(RefusalCode::BadMessage, "say hello first")),
        Heard::Unknown => Err(Refusal::new(
            RefusalCode::BoxTooOld,
            "this box does not know the first message: update the box",
        )),
        Heard::Nonsense(error) => Err(Refusal::new(RefusalCode::BadMessage, error.to_string())),
    }
}

fn check_version(peer: u16, agent_version: &str) -> Result<(), Refusal> {
    match version::agree(peer) {
        Ok(_) => Ok(()),
        Err(Mismatch::PeerTooOld) => Err(Refusal::new(
            RefusalCode::AgentTooOld,
            format!(
                "update the package alfarid-agent on this machine: it has {agent_version}, the \
                 box needs one that speaks version {} of the protocol, such as {}",
                version::OLDEST,
                env!("CARGO_PKG_VERSION"),
            ),
        )),
        Err(Mismatch::PeerNewer) => Err(Refusal::new(
            RefusalCode::BoxTooOld,
            format!(
                "update the box: it has {} and speaks version {} of the protocol at most",
                env!("CARGO_PKG_VERSION"),
                version::CURRENT,
            ),
        )),
    }
}

/// Who the key of the connection belongs to. A machine of this site that comes to this box for the
/// first time is taken up, and waits for approval.
async fn recognise(
    peer: &Peer,
    deps: &Deps,
    newcomer: Newcomer,
) -> Result<KnownMachine, Refusal> {
    let unknown = || {
        Refusal::new(
            RefusalCode::MachineUnknown,
            "this box does not know this machine's key: enrol it with a token of this site",
        )
    };
    let certificate = peer.certificate.as_ref().ok_or_else(unknown)?;
    let key = spki_sha256(certificate).ok_or_else(unknown)?;
    let enrolment = &deps.machines.enrolment;
    let known = match enrolment.machine_of_key(key).await {
        Ok(None) => enrolment.take_up(certificate, newcomer).await,
        found => found,
    };
    match known {
        Ok(Some(known)) if known.is_revoked => Err(Refusal::new(
            RefusalCode::MachineRevoked,
            "this machine's trust was taken away: enrol it again with a new key",
        )),
        Ok(Some(known)) => Ok(known),
        Ok(None) => Err(unknown()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "cannot look a machine up");
            Err(Refusal::new(RefusalCode::TryLater, "the box cannot look machines up just now"))
        }
    }
}

async fn enrol(deps: &Deps, request: EnrolRequest) -> Result<FromBox, Refusal> {
    let issued = deps.machines.enrolment.enrol(request).await.map_err(|error| {
        let code = error.refusal();
        if code == RefusalCode::TryLater {
            tracing::error!(error = %chain(&error), "cannot enrol a machine");
        }
        Refusal::new(code, error.to_string())
    })?;
    let Issued { machine, box_id, chain_pem, root_pem } = issued;
    Ok(FromBox::Enrolled { machine, box_id, chain_pem, root_pem })
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
            return farewell(&mut sink, Some(refused)).await;
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
    };
    farewell(&mut sink, last_words).await;
    leave(deps, &guest, number).await;
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
async fn farewell(sink: &mut SplitSink<WebSocket, Message>, last_words: Option<FromBox>) {
    if let Some(last_words) = last_words {
        say(sink, &last_words).await;
    }
    send(sink, Message::Close(None)).await;
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

impl Refusal {
    fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}
