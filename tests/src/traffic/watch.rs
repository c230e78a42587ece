//! A packet socket on a host's wire, and whoever looks at what it sees.
//!
//! It looks every [`LOOK`] and not when something comes: to be woken for each packet takes the time
//! of the very process that sends it. The kernel's stamps say when things were.

use std::{
    fmt,
    io::IoSliceMut,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
            setsockopt, socket, sockopt,
        },
        time::TimeSpec,
    },
};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

use super::packet::{Direction, Packet, parse};
use crate::{calendar, network::INTERFACE};

/// How often what came is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A second of a fast stream to thirty machines: what overflows is not seen.
const RECEIVE_BUFFER: usize = 32 << 20;

/// More than a wire carries at once.
const SNAP: usize = 2048;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

/// A watch on a host's packets, which ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    tap: Arc<Tap>,
    task: AbortHandle,
}

/// Either the task or [`Watch::catch_up`] reads, never both at once: packets keep their order.
struct Tap {
    socket: OwnedFd,
    eye: Mutex<Eye>,
}

struct Eye {
    frame: [u8; SNAP],
    see: Box<dyn FnMut(&Packet<'_>) + Send>,
}

impl Watch {
    /// Waits until the socket is open, which a task on `runtime` does: its thread is the one
    /// that is in the host's namespace.
    pub(crate) fn start(runtime: &Handle, see: Box<dyn FnMut(&Packet<'_>) + Send>) -> Result<Self> {
        let eye = Mutex::new(Eye { frame: [0; SNAP], see });
        let (opened, tap) = sync_channel(1);
        runtime.spawn(async move {
            opened.send(open().map(|socket| Arc::new(Tap { socket, eye }))).is_ok()
        });
        let tap = tap.recv().context("the host is shut down")??;
        let watching = Arc::clone(&tap);
        let task = runtime.spawn(async move {
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                if let Err(error) = watching.read_all() {
                    eprintln!("a watch on packets ended: {error}");
                    return;
                }
            }
        });
        Ok(Self { tap, task: task.abort_handle() })
    }

    /// Shows what the kernel has seen before this moment, where the host's runtime has not come
    /// to it yet.
    pub fn catch_up(&self) {
        // A broken socket ends the task, which says so.
        let _ = self.tap.read_all();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tap {
    fn read_all(&self) -> nix::Result<()> {
        let mut eye = self.eye.lock().unwrap_or_else(PoisonError::into_inner);
        let Eye { frame, see } = &mut *eye;
        loop {
            let (length, direction, at) = match receive(self.socket.as_raw_fd(), frame) {
                Err(Errno::EAGAIN) => return Ok(()),
                received => received?,
            };
            if let Some(packet) = parse(&frame[..length], direction, at) {
                see(&packet);
            }
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// In the calling thread's network namespace.
fn open() -> Result<OwnedFd> {
    let interface = getifaddrs()?
        .filter(|each| each.interface_name == INTERFACE)
        .find_map(|each| each.address?.as_link_addr().copied())
        .with_context(|| format!("there is no {INTERFACE}"))?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // The address names no protocol, which leaves the one that the socket was made with.
    bind(socket.as_raw_fd(), &interface)?;
    // Until then it heard every interface.
    while receive(socket.as_raw_fd(), &mut [0; SNAP]).is_ok() {}
    Ok(socket)
}

fn receive(socket: i32, frame: &mut [u8]) -> nix::Result<(usize, Direction, Duration)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(frame)];
    let message =
        recvmsg::<LinkAddr>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let is_outgoing = message.address.is_some_and(|from| from.pkttype() == OUTGOING);
    let at = calendar::stamp(&message)?;
    let direction = if is_outgoing { Direction::Sent } else { Direction::Received };
    Ok((message.bytes, direction, at.unwrap_or_default()))
}
