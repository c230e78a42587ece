//! Datagrams to one address that leave in one call.
//!
//! Fifty viewers of a picture are a thousand datagrams, and for each the way through the kernel
//! costs more than all that a session does for it. Those of one length, as a picture's are but for
//! its last, the kernel takes as one and cuts up at the end of that way (`UDP_SEGMENT`, udp(7)).
//!
//! What waits leaves before something that cannot go with it, so the order stays.

use str0m::net::Transmit;

use super::port::Port;

/// The kernel's `UDP_MAX_SEGMENTS`, where it is lowest.
const MOST: usize = 64;

/// Of all together: what one IPv4 datagram can hold.
const MOST_BYTES: usize = 65_507;

#[derive(Debug, Default)]
pub(super) struct Burst {
    /// Of one way and one length; the last may be shorter.
    waiting: Vec<Transmit>,
    bytes: usize,
}

impl Burst {
    pub(super) fn push(&mut self, port: &Port, transmit: Transmit) {
        if !self.takes(&transmit) {
            self.send(port);
        }
        self.bytes += transmit.contents.len();
        self.waiting.push(transmit);
    }

    fn takes(&self, next: &Transmit) -> bool {
        let (Some(first), Some(last)) = (self.waiting.first(), self.waiting.last()) else {
            return true;
        };
        let (length, next_length) = (first.contents.len(), next.contents.len());
        (first.source, first.destination) == (next.source, next.destination)
            && last.contents.len() == length
            && next_length <= length
            && self.waiting.len() < MOST
            && self.bytes + next_length <= MOST_BYTES
    }

    /// Sends what waits. What the port does not take is lost, as datagrams are.
    pub(super) fn send(&mut self, port: &Port) {
        let Some(first) = self.waiting.first() else { return };
        let parts: Vec<&[u8]> = self.waiting.iter().map(|each| &*each.contents).collect();
        if let Err(error) = port.send(&parts, first.source, first.destination) {
            tracing::debug!(error = %error, "datagrams of a session were not sent");
        }
        self.waiting.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use str0m::net::Protocol;

    use super::*;

    /// Each datagram that arrives, as its length and its first byte.
    fn arrives(lengths: &[usize]) -> Vec<(usize, u8)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let port = Port::open("127.0.0.1:0".parse().unwrap()).unwrap();
            let there = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            there.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (source, destination) = (port.local(), there.local_addr().unwrap());
            let mut burst = Burst::default();
            port.writable().await.unwrap();
            for (nth, length) in (0..).zip(lengths) {
                burst.push(&port, transmit(source, destination, vec![nth; *length]));
            }
            burst.send(&port);
            let mut buffer = [0; 2_000];
            let mut read = || there.recv(&mut buffer).ok().map(|length| (length, buffer[0]));
            let arrived = lengths.iter().map_while(|_| read()).collect();
            there.set_nonblocking(true).unwrap();
            assert_eq!(read(), None, "and nothing else");
            arrived
        })
    }

    fn transmit(source: SocketAddr, destination: SocketAddr, contents: Vec<u8>) -> Transmit {
        Transmit { proto: Protocol::Udp, source, destination, contents: contents.into() }
    }

    #[test]
    fn whatever_the_lengths_each_datagram_arrives_as_it_was_and_in_order() {
        let mixed = [1_200, 1_200, 1_200, 700, 1_200, 40, 41, 41, 1, 1_200];
        let many = [900; MOST + 6];
        for lengths in [&mixed[..], &many[..], &[1_200], &[]] {
            let sent: Vec<(usize, u8)> = lengths.iter().copied().zip(0..).collect();
            assert_eq!(arrives(lengths), sent);
        }
    }

    #[test]
    fn a_burst_ends_where_the_kernel_would_cut_wrongly() {
        let here = "127.0.0.1:1".parse().unwrap();
        let there = "127.0.0.1:2".parse().unwrap();
        let waiting = |lengths: &[usize]| {
            let waiting = lengths.iter().map(|length| transmit(here, there, vec![0; *length]));
            Burst { waiting: waiting.collect(), bytes: lengths.iter().sum() }
        };
        let of = |length| transmit(here, there, vec![0; length]);
        assert!(waiting(&[100, 100]).takes(&of(100)) && waiting(&[100, 100]).takes(&of(99)));
        assert!(!waiting(&[100, 100]).takes(&of(101)), "it would be cut in two");
        assert!(!waiting(&[100, 99]).takes(&of(99)), "it would be joined to what is before");
        assert!(!waiting(&[100]).takes(&transmit(here, here, vec![0; 100])), "it goes elsewhere");
        assert!(!waiting(&[10; MOST]).takes(&of(10)));
    }
}
