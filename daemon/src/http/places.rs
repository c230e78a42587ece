//! How many connections a port holds: in all, and from one address.
//!
//! A place is taken when a connection is accepted and given back when its stream is dropped, also
//! after HTTP has become a WebSocket: the stream carries it ([`Held`]), and so does what is still
//! carried out for it. So a pupil with a thousand sockets fills a share of their own and shuts
//! nobody out, and a port that closes knows when the last of it is done.

use std::{
    collections::HashMap,
    io, iter,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
};

use super::network;

/// How many connections a port holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) all: u16,
    pub(super) address: u16,
    /// From one /64 of IPv6.
    pub(super) network: u16,
}

pub(super) const LIMITS: Limits = Limits {
    // Fifty machines and fifty browsers with six connections each fit three times. Beyond it a new
    // connection waits in the kernel's backlog until another ends.
    all: 1024,
    // A room behind a router that translates addresses is one address: fifty machines on the
    // agents' port, ten browsers with six connections and a few live pages on the other. A single
    // browser needs a tenth of it. Beyond it a connection is closed unheard.
    address: 128,
    // A machine makes itself IPv6 addresses as it likes, so its network is counted too; but a
    // whole LAN is one such network, the teacher's laptop in it.
    network: 512,
};

/// Cheap to clone; every clone counts the same port.
#[derive(Clone, Debug)]
pub(super) struct Places {
    limits: Limits,
    free: Arc<Semaphore>,
    taken: Taken,
}

/// Connections by address and network; who has none is not in it.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<HashMap<IpAddr, u16>>>);

/// What one connection takes up, until the last of it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    taken: Taken,
    _room: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        let free = Arc::new(Semaphore::new(limits.all.into()));
        Self { limits, free, taken: Taken::default() }
    }

    /// Waits until the port has room for one more. Cancel-safe.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.free).acquire_owned().await
    }

    /// A place for a connection from `address`; `None` where as many come from there as may.
    pub(super) fn take(&self, room: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        // An IPv4 address is one also when it comes through an IPv6 socket.
        let address = address.to_canonical();
        let mut taken = self.taken.lock();
        let limits = [self.limits.address, self.limits.network];
        let is_full = |(group, limit)| taken.get(&group).is_some_and(|count| *count >= limit);
        if groups(address).zip(limits).any(is_full) {
            return None;
        }
        for group in groups(address) {
            *taken.entry(group).or_default() += 1;
        }
        drop(taken);
        Some(Place { address, taken: self.taken.clone(), _room: room })
    }

    /// How many connections IPv4 addresses have.
    #[cfg(test)]
    pub(super) fn held(&self) -> u16 {
        self.taken.lock().values().sum()
    }

    /// Resolves when nobody has a place.
    pub(super) async fn all_left(&self) {
        // Fails only on a closed semaphore, and nobody closes it.
        let _ = self.free.acquire_many(self.limits.all.into()).await;
    }
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        for group in groups(self.address) {
            if let Some(count) = taken.get_mut(&group) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&group);
                }
            }
        }
    }
}

/// What a connection counts for: its address, then its network where it has one.
fn groups(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    iter::once(address).chain(address.is_ipv6().then(|| network(address)))
}

/// A connection's stream, with its place.
#[derive(Debug)]
pub(super) struct Held<S> {
    stream: S,
    _place: Arc<Place>,
}

impl<S> Held<S> {
    pub(super) fn new(stream: S, place: Arc<Place>) -> Self {
        Self { stream, _place: place }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { all: 16, address: 2, network: 3 };

    async fn take(places: &Places, address: &str) -> Option<Place> {
        places.take(places.room().await.unwrap(), address.parse().unwrap())
    }

    #[tokio::test]
    async fn one_address_gets_its_share_and_the_next_one_its_own() {
        let places = Places::new(SMALL);
        let first = take(&places, "10.0.0.7").await;
        let _second = take(&places, "::ffff:10.0.0.7").await.unwrap();
        assert!(first.is_some());
        assert!(take(&places, "10.0.0.7").await.is_none());
        let _teacher = take(&places, "10.0.0.2").await.unwrap();
        drop(first);
        assert!(take(&places, "10.0.0.7").await.is_some());
    }

    #[tokio::test]
    async fn a_machine_that_makes_itself_addresses_gets_no_more_than_its_network() {
        let places = Places::new(SMALL);
        let mut held = Vec::new();
        for address in ["fd00::1", "fd00::2", "fd00::3"] {
            held.push(take(&places, address).await.unwrap());
        }
        assert!(take(&places, "fd00::4").await.is_none());
        assert!(take(&places, "fd00:0:0:1::4").await.is_some());
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_those_who_left() {
        let places = Places::new(SMALL);
        let place = take(&places, "fd00::1").await;
        drop(place);
        places.all_left().await;
        assert!(places.taken.lock().is_empty());
    }
}
