//! The live channel to a page: one WebSocket that says what changed.
//!
//! Events carry ids only; the page asks for what it shows. A student's page hears of their own
//! lesson and of nothing else ([`page`]); while it is open, the student is there. A page that does
//! not read fast enough is told to refetch everything ([`Event::Resync`]); one that does not read
//! at all is closed.
//!
//! ```text
//!   hello ─▶ events … ─┬─ the page goes, or takes nothing ──▶ gone
//!                      ├─ the box stops ──▶ bye, close 1001 ─▶ the page waits for the box
//!                      └─ its session ends ──▶ close 1008 ───▶ the page asks to log in
//! ```

mod page;

use std::{collections::HashMap, sync::Arc, time::Duration};

use alfarid_protocol::id::TeacherId;
use axum::{
    Extension,
    extract::{
        FromRef, State, WebSocketUpgrade,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::page::Page;
use crate::{
    attendance,
    clock::Clock,
    events::{Event, Events},
    http::{Peer, Problem},
    identity::{self, SessionEnd, Staying, Who},
};

/// A browser that takes nothing for this long is gone.
const SEND: Duration = Duration::from_secs(5);
/// Keeps the connection open through middle boxes, and notices a browser that vanished.
const PING: Duration = Duration::from_secs(10);
/// How long a page may take to answer the end: were its connection dropped at once, what it is
/// still saying could take the last message with it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who has a page open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live {
    events: Events,
    clock: Clock,
    pages: attendance::Pages,
    here: Arc<watch::Sender<HashMap<TeacherId, usize>>>,
}

impl Live {
    /// Which students have a page open is told to `pages`.
    pub fn new(events: Events, clock: Clock, pages: attendance::Pages) -> Self {
        Self { events, clock, pages, here: Arc::new(watch::Sender::default()) }
    }

    /// How many pages each teacher has open; changes as they come and go.
    pub fn here(&self) -> watch::Receiver<HashMap<TeacherId, usize>> {
        self.here.subscribe()
    }

    fn enter(&self, who: &Who, closing: CancellationToken) -> Page {
        match who {
            Who::Student(student) => Page::Student(self.pages.open(student.id)),
            Who::Person(person) => {
                self.here.send_modify(|here| *here.entry(person.id).or_default() += 1);
                Page::Teacher { _here: Here { live: self.clone(), teacher: person.id, closing } }
            }
        }
    }
}

/// One open page of a teacher; dropping it is leaving.
struct Here {
    live: Live,
    teacher: TeacherId,
    closing: CancellationToken,
}

impl Drop for Here {
    fn drop(&mut self) {
        // The box goes and not the page: no lesson is without its teacher by that.
        if self.closing.is_cancelled() {
            return;
        }
        self.live.here.send_modify(|here| {
            if let Some(pages) = here.get_mut(&self.teacher) {
                *pages -= 1;
                if *pages == 0 {
                    here.remove(&self.teacher);
                }
            }
        });
    }
}

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Live: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(live))
}

/// What changes, as it changes. A student hears of their own lesson only, and is there while this
/// is open.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    operation_id = "open_live",
    tag = "live",
    responses(
        (status = 101, description = "A WebSocket; each message is one event", body = Event),
        (status = 400, description = "`websocket_expected`", body = Problem),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`foreign_origin`", body = Problem),
    )
)]
async fn live(
    State(live): State<Live>,
    Extension(peer): Extension<Peer>,
    Staying { who, mut session }: Staying,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade =
        upgrade.map_err(|no| Problem::bad_request("websocket_expected", no.body_text()))?;
    let answer = upgrade.max_message_size(1024).on_upgrade(async move |mut socket| {
        let mut page = live.enter(&who, peer.closing.clone());
        let end = talk(&live, &peer, &mut session, &mut page, &mut socket).await;
        drop(page);
        let last = match end {
            End::Gone => return,
            End::Stopping => peer.goodbye(),
            End::SessionOver => Message::Close(Some(CloseFrame {
                code: close_code::POLICY,
                reason: Utf8Bytes::from_static("log in again"),
            })),
        };
        if send(&mut socket, last).await {
            let answer = async { while let Some(Ok(_)) = socket.recv().await {} };
            // Whether it answered makes no difference any more.
            let _ = tokio::time::timeout(GOODBYE, answer).await;
        }
    });
    Ok(answer)
}

/// Why nothing more is said to a page.
enum End {
    /// It went away, or takes nothing.
    Gone,
    Stopping,
    /// Logged out, or cut off, wherever that was done; or a student's day is over.
    SessionOver,
}

async fn talk(
    live: &Live,
    peer: &Peer,
    session: &mut SessionEnd,
    page: &mut Page,
    socket: &mut WebSocket,
) -> End {
    let mut events = live.events.listen();
    let hello =
        Event::Hello { version: env!("CARGO_PKG_VERSION").to_owned(), now: live.clock.now() };
    if !say(socket, &hello).await {
        return End::Gone;
    }
    let mut ping = tokio::time::interval(PING);
    loop {
        let going_on = tokio::select! {
            () = peer.closing.cancelled() => {
                say(socket, &Event::Bye).await;
                return End::Stopping;
            }
            () = session.over() => return End::SessionOver,
            event = events.next() => match event {
                Some(event) if page.may_hear(&event) => say(socket, &event).await,
                Some(_) => true,
                None => false,
            },
            event = page.own() => say(socket, &event).await,
            _ = ping.tick() => send(socket, Message::Ping(bytes::Bytes::new())).await,
            // Pages have nothing to say here; reading answers pings and notices the end.
            said = socket.recv() => {
                let is_there = matches!(said, Some(Ok(_)));
                if is_there {
                    page.heard();
                }
                is_there
            }
        };
        if session.is_due(live.clock.monotonic()) {
            return End::SessionOver;
        }
        if !going_on || page.is_silent() {
            return End::Gone;
        }
    }
}

async fn say(socket: &mut WebSocket, event: &Event) -> bool {
    match serde_json::to_string(event) {
        Ok(text) => send(socket, Message::text(text)).await,
        Err(_) => true,
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(SEND, socket.send(message)).await, Ok(Ok(())))
}
