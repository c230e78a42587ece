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
//! starts over with another SSRC is a new source of its publication; it keeps nobody out who is to
//! take over meanwhile.
//!
//! A publication whose place was taken is over, even if it sends on until it hears of that.

use std::time::Duration;

use alfarid_protocol::id::{MachineId, PublicationId, StudentId, TeacherId};
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

/// Who begins to watch: so many keyframes for each and no more, whatever they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Joiner {
    Machine(MachineId),
    Student(StudentId),
    Person(TeacherId),
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
    /// Another publication has taken its place.
    is_over: bool,
}

struct Stream {
    codec: Codec,
    ssrc: u32,
    relay: Relay,
    gop: Gop,
    keyframes: Keyframes<Joiner>,
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
        self.forget(input.source);
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
        let is_from = |input: &Input| input.publication == publication && !input.is_over;
        let Some(index) = self.inputs.iter().position(is_from) else { return };
        if self.inputs[index].ssrc.is_some_and(|ssrc| ssrc != packet.header.ssrc) {
            self.start_over(index);
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

    /// Somebody begins to watch, or has lost their way.
    pub(super) fn joined(&mut self, now: Duration, joiner: Joiner) {
        if let Some(live) = &mut self.live {
            live.keyframes.joined(now, joiner);
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

    /// The index of the packet that the outgoing stream sends next.
    pub(super) fn next_index(&self) -> Option<u64> {
        Some(self.live.as_ref()?.relay.next_index())
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

    /// What a machine needs that had the stream up to `from` by another way.
    pub(super) fn kept_since(&self, from: u64) -> &[Sent] {
        self.live.as_ref().map_or(&[], |live| live.gop.since(from))
    }

    pub(super) fn report(&self, now: Duration, ntp: u64) -> Option<SenderReport> {
        self.live.as_ref()?.relay.report(now, ntp)
    }

    /// What a timestamp of this publication is on air. `None` while it is not.
    pub(super) fn outgoing(&self, publication: PublicationId, timestamp: u32) -> Option<u32> {
        let is_from = |input: &&Input| input.publication == publication && !input.is_over;
        let input = self.inputs.iter().find(is_from)?;
        self.live.as_ref()?.relay.outgoing(input.source, timestamp)
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

    fn forget(&mut self, source: SourceId) {
        for stream in [&mut self.live, &mut self.next].into_iter().flatten() {
            stream.relay.withdraw(source);
        }
    }

    /// An input's sender has a new SSRC: nothing more comes from the source that it was.
    fn start_over(&mut self, index: usize) {
        let source = self.fresh_source();
        let old = self.inputs[index].start_over(source);
        self.forget(old);
    }

    /// Whoever was on air, or was to be, before this publication took over is not any more.
    fn end_others(&mut self, publication: PublicationId) {
        for index in 0..self.inputs.len() {
            let input = &mut self.inputs[index];
            if input.publication != publication {
                input.is_over = true;
                // What it holds back would be waited for in vain.
                input.reorder = Reorder::new();
                let source = input.source;
                self.forget(source);
            }
        }
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
        let has_taken_over = self.on_air.replace(publication) != Some(publication);
        if has_taken_over {
            self.end_others(publication);
        }
        let Some(live) = &mut self.live else { return };
        if has_taken_over {
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
        if input.is_over {
            return None;
        }
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
            is_over: false,
        }
    }

    /// The sender has a new SSRC: nothing it sent before says anything about what it sends now.
    /// Returns the source that it was.
    fn start_over(&mut self, source: SourceId) -> SourceId {
        self.lost_before += self.reorder.stats().lost;
        self.reorder = Reorder::new();
        self.announced_to = None;
        std::mem::replace(&mut self.source, source)
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
mod tests;
