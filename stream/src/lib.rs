//! How media crosses the classroom's network.
//!
//! No sockets, no threads, no clock: packets and time are handed in, packets and frames are asked
//! for. So every rule here is tested in virtual time, over networks far worse than any school's.
//! Time is a [`Duration`](std::time::Duration) since any start that the caller likes, and never
//! goes back.
//!
//! ```text
//!               box                                                    machine
//!   publisher ─▶ reorder ─▶ relay ─┬─▶ srtp ─▶ protect ─ multicast ─▶ restore ─▶ assemble ─▶ player
//!                  ▲               │              └▶ repair ◀ feedback ─┘           ▲
//!       keyframes ─┘ asks          ├─▶ gop ─ kept pictures, TLS ────────────────────┘
//!                                  └─▶ recording, browsers
//! ```
//!
//! - [`reorder`] puts one publisher's packets in order and gives up those that never come.
//! - [`relay`] makes one unbroken stream out of changing publishers, and starts it only at
//!   keyframes.
//! - [`gop`] keeps what a late joiner needs; [`keyframes`] says when to ask for a new start.
//! - [`srtp`] seals what goes to the group and opens it again; [`epoch`] says when the key changes.
//! - [`protect`] cuts what goes on air into blocks, each with its signed manifest and parity
//!   ([`block`]); [`repair`] sends more parity to those who ask.
//! - [`restore`] brings back what was lost, lets nothing through but what the box signed, and asks.
//! - [`feedback`] is what each machine tells the box, sealed for the two of them.
//! - [`pace`] spreads a keyframe over a frame time.
//! - [`rung`] is how one machine climbs and falls between multicast, unicast and the tunnel, and
//!   why; [`egress`] what the publisher is asked for when the lower rungs cost too much.
//! - [`querier`] keeps switches from forgetting who is in a group.
//! - [`assemble`] makes whole frames out of what arrives.
//! - [`playout`] says when a frame is shown, on all machines at the same moment.
//! - [`rtp`], [`rtcp`], [`h264`] and [`vp8`] read and write the formats; [`index`] unwraps their
//!   numbers. They never panic and never allocate more than their input, whatever the bytes.
//!   [`transmit`] says which datagram goes where.
//!
//! # Use
//! The four stages are driven alike: hand something in, then poll until nothing more comes, and
//! again when `next_timeout` says so.
//!
//! ```
//! use std::time::Duration;
//!
//! use alfarid_stream::{
//!     Codec,
//!     assemble::{Assembler, Config, Origin, REORDER_WAIT},
//!     gop::Gop,
//!     index::Sequence,
//!     relay::{Outgoing, Relay, SourceId},
//!     reorder::Reorder,
//!     rtp::Packet,
//! };
//! use bytes::Bytes;
//!
//! // The box. The numbers come from a generator of random ones.
//! let codec = Codec::Vp8;
//! let (ssrc, payload_type, first_index, first_timestamp) = (0x5eed, 96, 4_711, 42);
//! let mut relay = Relay::new(Outgoing { codec, ssrc, payload_type, first_index, first_timestamp });
//! let (mut reorder, mut gop) = (Reorder::new(), Gop::new());
//! let source = SourceId(1);
//! relay.announce(source);
//!
//! // A machine: the grant told it where the indices are.
//! let mut sequence = Sequence::near(relay.next_index());
//! let config = Config { reorder_wait: REORDER_WAIT, kept_wait: None };
//! let mut assembler = Assembler::new(codec, config, Duration::ZERO);
//!
//! // A datagram of the publisher: a keyframe of 16x16 in one packet.
//! let now = Duration::from_millis(20);
//! let mut datagram = vec![0x80, 0xe0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]; // RTP, marked
//! datagram.extend([0x10, 0x30, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0]); // descriptor, VP8
//! reorder.push(now, Packet::parse(&Bytes::from(datagram))?);
//!
//! while let Some(ordered) = reorder.poll(now) {
//!     for sent in relay.push(now, source, ordered) {
//!         gop.push(&sent);
//!         let mut wire = Vec::with_capacity(sent.packet.size());
//!         sent.packet.write(&mut wire);
//!
//!         // ... and over the network ...
//!         let packet = Packet::parse(&Bytes::from(wire))?;
//!         if let Some(index) = sequence.index(packet.header.sequence) {
//!             assembler.push(now, index, packet, Origin::Live);
//!         }
//!     }
//! }
//! let frame = assembler.poll(now).expect("a whole frame");
//! assert!(frame.is_keyframe);
//! assert_eq!(gop.before(frame.last_index + 1).len(), 1);
//! # Ok::<(), alfarid_stream::rtp::Error>(())
//! ```

pub mod assemble;
pub mod block;
pub mod codec;
pub mod egress;
pub mod epoch;
pub mod feedback;
mod gcm;
pub mod gop;
pub mod h264;
pub mod index;
pub mod keyframes;
mod limit;
pub mod pace;
pub mod playout;
pub mod protect;
pub mod querier;
pub mod relay;
pub mod reorder;
pub mod repair;
pub mod restore;
pub mod rtcp;
pub mod rtp;
pub mod rung;
pub mod srtp;
pub mod transmit;
pub mod vp8;
mod window;

#[cfg(any(test, feature = "lab"))]
pub mod lab;

pub use codec::{Codec, Size};
