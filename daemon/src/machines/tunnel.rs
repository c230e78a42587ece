//! The second connection of a machine that no UDP reaches: see [`alfarid_protocol::tunnel`].
//!
//! Who the machine is follows from its key, as on the control connection; whether it has the grant
//! that it names, the broadcast says: it takes the lane, or drops it. What waits for the machine
//! waits in the lane, where it can be taken back; the kernel's buffer on this port is small.

use std::time::Duration;

use alfarid_protocol::{
    id::MachineId,
    kept,
    tunnel::{PATH, SIGN_EVERY_MS},
};
use alfarid_stream::relay::Sent;
use axum::{
    Extension, Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{
    MediaMessage,
    connection::{Deps, SEND},
    greeting::known,
};
use crate::http::{Path, Peer, Query};

/// Parts that may wait: half a second of a rich stream. Full: the machine lags, see the broadcast.
const WAITING: usize = 256;

/// Parts that are written together.
const TOGETHER: usize = 64;

const SIGN: Duration = Duration::from_millis(SIGN_EVERY_MS);

/// The way of packets into a tunnel.
pub type TunnelLane = mpsc::Sender<Vec<Sent>>;

pub(super) fn router(deps: Deps) -> Router {
    Router::new().route(PATH, get(connect)).with_state(deps)
}

#[derive(Debug, Deserialize)]
struct Place {
    from: Option<u64>,
}

async fn connect(
    State(deps): State<Deps>,
    Extension(peer): Extension<Peer>,
    Path(serial): Path<u32>,
    Query(Place { from }): Query<Place>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let known = known(&peer, &deps.machines.enrolment).await;
    let Some(machine) = known.filter(|known| known.is_approved).map(|known| known.id) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    if !deps.machines.patience().tunnels(machine, deps.machines.floor.clock.monotonic()) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    // A machine has nothing to say here.
    upgrade
        .max_message_size(1)
        .on_upgrade(move |socket| serve(socket, peer, deps, machine, serial, from))
}

async fn serve(
    mut socket: WebSocket,
    peer: Peer,
    deps: Deps,
    machine: MachineId,
    serial: u32,
    from: Option<u64>,
) {
    let (lane, parts) = mpsc::channel(WAITING);
    // Without a taker the box is stopping.
    let _ = deps.media.send(MediaMessage::Tunnel { machine, serial, from, lane }).await;
    tokio::select! {
        () = carry(&mut socket, serial, parts) => {}
        () = peer.closing.cancelled() => {}
    }
    let _ = tokio::time::timeout(SEND, socket.send(peer.goodbye())).await;
}

/// Carries what comes until the lane ends, the machine hangs up, or takes nothing any more.
async fn carry(socket: &mut WebSocket, serial: u32, mut parts: mpsc::Receiver<Vec<Sent>>) {
    let mut together = Vec::with_capacity(TOGETHER);
    let mut sign = tokio::time::interval(SIGN);
    sign.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            count = parts.recv_many(&mut together, TOGETHER) => if count == 0 {
                return;
            },
            heard = socket.next() => match heard {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            _ = sign.tick() => {}
        }
        // The machine is not to have any more of it.
        if parts.is_closed() {
            return;
        }
        for message in messages(serial, together.drain(..).flatten()) {
            let sent = socket.send(Message::Binary(message.into()));
            if !matches!(tokio::time::timeout(SEND, sent).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// Without packets, one message all the same: that the box is there.
fn messages(serial: u32, packets: impl Iterator<Item = Sent>) -> Vec<Vec<u8>> {
    let written: Vec<(u64, Bytes)> =
        packets.map(|sent| (sent.index, sent.packet.to_bytes())).collect();
    kept::encode(serial, written.iter().map(|(index, packet)| (*index, &packet[..])))
}
