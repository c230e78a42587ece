//! One media of one slot: what its sources send becomes one stream on air. Pure.
//!
//! ```text
//!   source A ─▶ Reorder ─┐          ┌─ same codec ──▶ live Relay ─▶ on air, kept
//!   source B ─▶ Reorder ─┴─ packet ─┤
//!                                   └─ other codec ─▶ next Relay ─ first keyframe ─▶ is live now
//! ```
//!
//! While one codec lasts, sources come and go behind one unbroken stream. Another codec is a new
//! stream with its own SSRC, which waits for its first keyframe beside the old one. A sender that
//! starts over with another SSRC is a new source of its publication.

use std::time::Duration;

use alfarid_protocol::id::{MachineId, PublicationId};
use alfarid_stream::{
    Codec, Size,
    gop::Gop,
    keyframes::{APART, Keyframes},
    relay::{Outgoing, Relay, Sent, SourceId},
    reorder::{Ordered, Reorder},
    rtcp::SenderReport,
    rtp::Packet,
};

use super::feed;

/// Publications of one slot at a time: the one on air and the one that is to take over.
const MAX_INPUTS: usize = 2;

/// What happens on air.
#[derive(Debug)]
pub(super) enum Happened {
    /// A stream begins; its keyframe follows.
    Started {
        ssrc: u32,
        codec: Codec,
        publication: PublicationId,
    },
    /// This goes on air.
    Sent(Sent),
    /// What follows on this stream comes from this publication.
    TookOver {
        ssrc: u32,
        publication: PublicationId,
    },
    /// The picture's size is another one.
    Resized,
    Ended {
        ssrc: u32,
    },
    /// The publication is to be asked for a keyframe.
    Ask(PublicationId),
}

/// The outgoing stream as others must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) codec: Codec,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) size: Option<Size>,
}

/// Random numbers, from outside.
pub(super) type Random = Box<dyn FnMut() -> u32 + Send>;

pub(super) struct Track {
    inputs: Vec<Input>,
    live: Option<Stream>,
    next: Option<Stream>,
    on_air: Option<PublicationId>,
    last_source: u64,
    random: Random,
}

struct Input {
    publication: PublicationId,
    source: SourceId,
    /// `None` before the first packet.
    ssrc: Option<u32>,
    reorder: Reorder,
    /// The stream that knows this source, by its SSRC.
    announced_to: Option<u32>,
    /// When the publication was last asked for its first keyframe.
    asked: Option<Duration>,
    /// Losses of earlier SSRCs.
    lost_before: u64,
}

struct Stream {
    codec: Codec,
    ssrc: u32,
    relay: Relay,
    gop: Gop,
    keyframes: Keyframes<MachineId>,
    size: Option<Size>,
}

impl Track {
    pub(super) fn new(random: Random) -> Self {
        let inputs = Vec::with_capacity(MAX_INPUTS);
        Self { inputs, live: None, next: None, on_air: None, last_source: 0, random }
    }

    /// Packets of this publication are taken from now on. It takes over at its first keyframe
    /// (sound: its first packet). One that was to take over and has not is forgotten.
    pub(super) fn announce(&mut self, publication: PublicationId) {
        let on_air = self.on_air;
        let forgotten: Vec<_> = self
            .inputs
            .iter()
            .map(|input| input.publication)
            .filter(|present| Some(*present) != on_air)
            .collect();
        for earlier in forgotten {
            self.withdraw(earlier);
        }
        let source = self.fresh_source();
        self.inputs.push(Input::new(publication, source));
    }

    /// Sound of this codec is coming: its stream is there before its first packet, so that machines
    /// are told of picture and sound at once.
    pub(super) fn expect(
        &mut self,
        now: Duration,
        codec: Codec,
        publication: PublicationId,
        out: &mut Vec<Happened>,
    ) {
        if self.live.as_ref().is_none_or(|live| live.codec != codec) {
            self.next = Some(Stream::new(now, codec, &mut self.random));
            self.change_over(publication, out);
        }
    }

    /// Packets of this publication are not taken any more.
    pub(super) fn withdraw(&mut self, publication: PublicationId) {
        let Some(index) = self.inputs.iter().position(|i| i.publication == publication) else {
            return;
        };
        let input = self.inputs.swap_remove(index);
        for stream in [&mut self.live, &mut self.next].into_iter().flatten() {
            stream.relay.withdraw(input.source);
        }
        if self.on_air == Some(publication) {
            self.on_air = None;
            if let Some(live) = &mut self.live {
                // Nobody who joins later is shown what was.
                live.gop = Gop::new();
            }
        }
    }

    /// Takes a packet. Those of publications that were not announced are dropped.
    pub(super) fn push(
        &mut self,
        now: Duration,
        publication: PublicationId,
        packet: Packet,
        out: &mut Vec<Happened>,
    ) {
        let Some(index) = self.inputs.iter().position(|i| i.publication == publication) else {
            return;
        };
        if self.inputs[index].ssrc.is_some_and(|ssrc| ssrc != packet.header.ssrc) {
            let source = self.fresh_source();
            self.inputs[index].start_over(source);
        }
        let input = &mut self.inputs[index];
        input.ssrc = Some(packet.header.ssrc);
        input.reorder.push(now, packet);
        self.relay_from(now, index, out);
    }

    /// To be called after every [`Track::push`] and when [`Track::next_timeout`] says so.
    pub(super) fn poll(&mut self, now: Duration, out: &mut Vec<Happened>) {
        for index in 0..self.inputs.len() {
            self.relay_from(now, index, out);
        }
        self.ask(now, out);
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let held = self.inputs.iter().filter_map(|input| input.reorder.next_timeout());
        let asks = self.inputs.iter().filter_map(|input| self.ask_at(input));
        held.chain(asks).min()
    }

    /// A machine begins to watch, or has lost its way.
    pub(super) fn joined(&mut self, now: Duration, machine: MachineId) {
        if let Some(live) = &mut self.live {
            live.keyframes.joined(now, machine);
        }
    }

    /// Somebody cannot begin without a keyframe.
    pub(super) fn needs_keyframe(&mut self) {
        if let Some(live) = &mut self.live {
            live.keyframes.needed();
        }
    }

    pub(super) fn live(&self) -> Option<Live> {
        let live = self.live.as_ref()?;
        Some(Live {
            codec: live.codec,
            ssrc: live.ssrc,
            payload_type: feed::payload_type(live.codec),
            size: live.size,
        })
    }

    pub(super) fn on_air(&self) -> Option<PublicationId> {
        self.on_air
    }

    /// What a machine needs before its first live packet.
    pub(super) fn kept(&self, before: Option<u64>) -> &[Sent] {
        match (&self.live, before) {
            (Some(live), Some(index)) => live.gop.before(index),
            (Some(live), None) => live.gop.all(),
            (None, _) => &[],
        }
    }

    pub(super) fn report(&self, now: Duration, ntp: u64) -> Option<SenderReport> {
        self.live.as_ref()?.relay.report(now, ntp)
    }

    /// Packets that the publication on air lost on its way here.
    pub(super) fn lost(&self) -> u64 {
        let on_air = self.inputs.iter().find(|input| Some(input.publication) == self.on_air);
        on_air.map_or(0, |input| input.lost_before + input.reorder.stats().lost)
    }

    fn fresh_source(&mut self) -> SourceId {
        self.last_source += 1;
        SourceId(self.last_source)
    }

    /// Moves what an input has in order into its stream.
    fn relay_from(&mut self, now: Duration, index: usize, out: &mut Vec<Happened>) {
        while let Some(ordered) = self.inputs[index].reorder.poll(now) {
            let codec = match &ordered {
                Ordered::Packet(packet) => feed::codec(packet.header.payload_type),
                Ordered::Lost(_) => None,
            };
            if let Some(codec) = codec {
                self.lead(now, index, codec);
            }
            self.relay(now, index, ordered, out);
        }
    }

    /// Makes sure that the stream of this codec exists and knows the input's source.
    fn lead(&mut self, now: Duration, index: usize, codec: Codec) {
        let is_live = self.live.as_ref().is_some_and(|live| live.codec == codec);
        if !is_live && self.next.as_ref().is_none_or(|next| next.codec != codec) {
            self.next = Some(Stream::new(now, codec, &mut self.random));
        }
        let stream = if is_live { &mut self.live } else { &mut self.next };
        let (Some(stream), Some(input)) = (stream, self.inputs.get_mut(index)) else { return };
        if input.announced_to != Some(stream.ssrc) {
            input.announced_to = Some(stream.ssrc);
            stream.relay.announce(input.source);
        }
    }

    fn relay(&mut self, now: Duration, index: usize, ordered: Ordered, out: &mut Vec<Happened>) {
        let input = &self.inputs[index];
        let (publication, source) = (input.publication, input.source);
        let known_to = |stream: &Option<Stream>| {
            stream.as_ref().is_some_and(|stream| Some(stream.ssrc) == input.announced_to)
        };
        let is_next = known_to(&self.next);
        let stream = if is_next { &mut self.next } else { &mut self.live };
        let Some(stream) = stream else { return };
        let sent = stream.relay.push(now, source, ordered);
        if sent.is_empty() {
            return;
        }
        if is_next {
            self.change_over(publication, out);
        }
        let Some(live) = &mut self.live else { return };
        if self.on_air != Some(publication) {
            self.on_air = Some(publication);
            out.push(Happened::TookOver { ssrc: live.ssrc, publication });
        }
        for sent in sent {
            live.keep(now, &sent, out);
            out.push(Happened::Sent(sent));
        }
    }

    /// The stream that waited is the one on air now.
    fn change_over(&mut self, publication: PublicationId, out: &mut Vec<Happened>) {
        let Some(next) = self.next.take() else { return };
        let (ssrc, codec) = (next.ssrc, next.codec);
        if let Some(old) = self.live.replace(next) {
            out.push(Happened::Ended { ssrc: old.ssrc });
        }
        out.push(Happened::Started { ssrc, codec, publication });
    }

    /// Says which publications are to be asked for a keyframe now.
    fn ask(&mut self, now: Duration, out: &mut Vec<Happened>) {
        if let Some(live) = &mut self.live
            && live.cannot_go_on()
        {
            live.keyframes.needed();
        }
        for index in 0..self.inputs.len() {
            if self.ask_at(&self.inputs[index]).is_none_or(|at| now < at) {
                continue;
            }
            let input = &mut self.inputs[index];
            input.asked = Some(now);
            out.push(Happened::Ask(input.publication));
            if let Some(live) = self.live.as_mut().filter(|live| live.is_from(input)) {
                // Counts as asked.
                live.keyframes.poll(now);
            }
        }
    }

    /// When a publication is to be asked for a keyframe next: by the policy where it is on air,
    /// otherwise again and again until it takes over.
    fn ask_at(&self, input: &Input) -> Option<Duration> {
        let stream = [&self.live, &self.next]
            .into_iter()
            .flatten()
            .find(|stream| Some(stream.ssrc) == input.announced_to && stream.codec.is_video())?;
        if stream.is_from(input) {
            return Some(stream.keyframes.next_timeout());
        }
        let waits = stream.relay.wants_keyframe(input.source);
        waits.then(|| input.asked.map_or(Duration::ZERO, |asked| asked + APART))
    }
}

impl Input {
    fn new(publication: PublicationId, source: SourceId) -> Self {
        Self {
            publication,
            source,
            ssrc: None,
            reorder: Reorder::new(),
            announced_to: None,
            asked: None,
            lost_before: 0,
        }
    }

    /// The sender has a new SSRC: nothing it sent before says anything about what it sends now.
    fn start_over(&mut self, source: SourceId) {
        self.lost_before += self.reorder.stats().lost;
        self.reorder = Reorder::new();
        self.source = source;
        self.announced_to = None;
    }
}

impl Stream {
    fn new(now: Duration, codec: Codec, random: &mut Random) -> Self {
        let ssrc = random();
        let outgoing = Outgoing {
            codec,
            ssrc,
            payload_type: feed::payload_type(codec),
            first_index: u64::from(random() & 0x7fff),
            first_timestamp: random(),
        };
        Self {
            codec,
            ssrc,
            relay: Relay::new(outgoing),
            gop: Gop::new(),
            keyframes: Keyframes::new(now),
            size: None,
        }
    }

    /// Whether what is on air comes from this input.
    fn is_from(&self, input: &Input) -> bool {
        self.relay.source() == Some(input.source)
    }

    /// Nothing more can be sent, or kept for joiners, before a keyframe.
    fn cannot_go_on(&self) -> bool {
        let stuck = |source| self.relay.wants_keyframe(source);
        self.codec.is_video() && (self.relay.source().is_some_and(stuck) || self.gop.is_overgrown())
    }

    /// Notes what went on air.
    fn keep(&mut self, now: Duration, sent: &Sent, out: &mut Vec<Happened>) {
        if self.codec.is_video() {
            self.gop.push(sent);
            self.keyframes.sent(now, sent.packet.size(), sent.keyframe.is_some());
        }
        if let Some(keyframe) = &sent.keyframe
            && self.size != keyframe.format.size
        {
            self.size = keyframe.format.size;
            out.push(Happened::Resized);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    const FIRST: PublicationId = PublicationId(Uuid::from_u128(1));
    const SECOND: PublicationId = PublicationId(Uuid::from_u128(2));

    /// A VP8 frame in one packet (RFC 7741 §4.2, RFC 6386 §9.1): 16 by 16 pixels.
    const KEYFRAME: &[u8] = &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
    const DELTA: &[u8] = &[0x10, 0x11, 0, 0];

    /// A publisher with its own numbers, and the track that it feeds.
    struct Lab {
        track: Track,
        now: Duration,
    }

    struct Sender {
        publication: PublicationId,
        ssrc: u32,
        sequence: u16,
    }

    impl Sender {
        fn new(publication: PublicationId, ssrc: u32) -> Self {
            Self { publication, ssrc, sequence: 7 }
        }
    }

    impl Lab {
        fn new() -> Self {
            let mut last = 0;
            let random = Box::new(move || {
                last += 1;
                last
            });
            Self { track: Track::new(random), now: Duration::from_secs(1) }
        }

        fn frame(
            &mut self,
            sender: &mut Sender,
            codec: Codec,
            payload: &'static [u8],
        ) -> Vec<Happened> {
            self.now += Duration::from_millis(33);
            sender.sequence += 1;
            let header = alfarid_stream::rtp::Header {
                marker: true,
                payload_type: feed::payload_type(codec),
                sequence: sender.sequence,
                timestamp: u32::from(sender.sequence) * 3_000,
                ssrc: sender.ssrc,
            };
            let packet = Packet { header, payload: Bytes::from_static(payload) };
            let mut out = Vec::new();
            self.track.push(self.now, sender.publication, packet, &mut out);
            out
        }

        fn asked(&mut self) -> Vec<PublicationId> {
            let mut out = Vec::new();
            self.track.poll(self.now, &mut out);
            let asked = |happened| match happened {
                Happened::Ask(publication) => Some(publication),
                _ => None,
            };
            out.into_iter().filter_map(asked).collect()
        }
    }

    fn indices(happened: &[Happened]) -> Vec<u64> {
        let index = |happened: &Happened| match happened {
            Happened::Sent(sent) => Some(sent.index),
            _ => None,
        };
        happened.iter().filter_map(index).collect()
    }

    #[test]
    fn packets_of_nobody_and_pictures_without_a_keyframe_go_nowhere() {
        let mut lab = Lab::new();
        let mut sender = Sender::new(FIRST, 1);
        assert!(lab.frame(&mut sender, Codec::Vp8, KEYFRAME).is_empty());
        lab.track.announce(FIRST);
        assert!(lab.frame(&mut sender, Codec::Vp8, DELTA).is_empty());
        assert_eq!(lab.asked(), [FIRST]);
        assert_eq!(lab.asked(), [], "not at once again");
    }

    #[test]
    fn a_second_publication_takes_over_at_its_keyframe_in_the_same_stream() {
        let mut lab = Lab::new();
        let (mut first, mut second) = (Sender::new(FIRST, 1), Sender::new(SECOND, 2));
        lab.track.announce(FIRST);
        let begun = lab.frame(&mut first, Codec::Vp8, KEYFRAME);
        assert!(matches!(begun[..2], [Happened::Started { .. }, Happened::TookOver { .. }]));
        let start = indices(&begun)[0];
        lab.track.announce(SECOND);
        assert!(lab.frame(&mut second, Codec::Vp8, DELTA).is_empty());
        assert_eq!(indices(&lab.frame(&mut first, Codec::Vp8, DELTA)), [start + 1]);
        let taken = lab.frame(&mut second, Codec::Vp8, KEYFRAME);
        assert!(matches!(taken[0], Happened::TookOver { publication: SECOND, .. }));
        assert_eq!(indices(&taken), [start + 2]);
        assert!(lab.frame(&mut first, Codec::Vp8, KEYFRAME).is_empty());
        assert_eq!(lab.track.on_air(), Some(SECOND));
    }

    #[test]
    fn a_sender_that_starts_over_is_followed_from_its_keyframe_on() {
        let mut lab = Lab::new();
        lab.track.announce(FIRST);
        let mut sender = Sender::new(FIRST, 1);
        let start = indices(&lab.frame(&mut sender, Codec::Vp8, KEYFRAME))[0];
        let mut again = Sender::new(FIRST, 99);
        assert!(lab.frame(&mut again, Codec::Vp8, DELTA).is_empty());
        assert_eq!(indices(&lab.frame(&mut again, Codec::Vp8, KEYFRAME)), [start + 1]);
    }

    #[test]
    fn while_a_keyframe_is_awaited_it_is_asked_for_once_a_second_and_not_more() {
        let mut lab = Lab::new();
        lab.track.announce(FIRST);
        lab.frame(&mut Sender::new(FIRST, 1), Codec::Vp8, KEYFRAME);
        let mut again = Sender::new(FIRST, 99);
        lab.frame(&mut again, Codec::Vp8, DELTA);
        let mut times = Vec::new();
        for _ in 0..1_000 {
            if !lab.asked().is_empty() {
                times.push(lab.now);
            }
            let next = lab.track.next_timeout().unwrap();
            assert!(next > lab.now, "it would turn on the spot");
            lab.now = lab.now.max(next.min(lab.now + Duration::from_millis(10)));
        }
        assert!((9..=11).contains(&times.len()), "{times:?}");
    }

    #[test]
    fn nobody_is_shown_what_was_on_air_before() {
        let mut lab = Lab::new();
        lab.track.announce(FIRST);
        let mut sender = Sender::new(FIRST, 1);
        lab.frame(&mut sender, Codec::Vp8, KEYFRAME);
        lab.frame(&mut sender, Codec::Vp8, DELTA);
        assert_eq!(lab.track.kept(None).len(), 2);
        let ssrc = lab.track.live().unwrap().ssrc;
        lab.track.withdraw(FIRST);
        assert_eq!((lab.track.on_air(), lab.track.kept(None).len()), (None, 0));
        lab.track.announce(SECOND);
        let mut sender = Sender::new(SECOND, 2);
        lab.frame(&mut sender, Codec::Vp8, KEYFRAME);
        assert_eq!(lab.track.live().unwrap().ssrc, ssrc, "the stream goes on");
    }

    #[test]
    fn sound_that_is_expected_has_its_stream_before_its_first_packet() {
        let mut lab = Lab::new();
        lab.track.announce(FIRST);
        let mut out = Vec::new();
        lab.track.expect(lab.now, Codec::Opus, FIRST, &mut out);
        assert!(matches!(out[..], [Happened::Started { codec: Codec::Opus, .. }]));
        let mut sender = Sender::new(FIRST, 1);
        let heard = lab.frame(&mut sender, Codec::Opus, &[1, 2, 3]);
        assert!(matches!(heard[..], [Happened::TookOver { .. }, Happened::Sent(_)]));
    }
}
