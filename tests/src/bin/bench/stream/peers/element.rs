//! One element of GStreamer, packets pushed into it by hand: it works in the caller's thread and
//! time, with no pipeline, clock or queue around it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
/// What left, by which pad; and the pads that took it, which live as long as this does.
#[derive(Default)]
struct Outlets {
    taken: Taken,
    pads: Mutex<Vec<gst::Pad>>,
}

type Taken = Arc<Mutex<Vec<(String, Bytes)>>>;

pub(super) struct Element {
    element: gst::Element,
    outlets: Arc<Outlets>,
}

/// A way into an element.
pub(super) struct Feed(gst::Pad);

impl Element {
    /// Plays at once. What leaves it, by whatever pad, is kept until it is taken.
    pub(super) fn new(name: &str, set: impl FnOnce(&gst::Element)) -> Result<Self> {
        gst::init()?;
        let element = gst::ElementFactory::make(name).build();
        let element = element.with_context(|| format!("GStreamer's {name}"))?;
        set(&element);
        let outlets = Arc::new(Outlets::default());
        let later = Arc::clone(&outlets);
        element.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src {
                // One that cannot be linked fails at its first packet.
                let _ = later.open(pad);
            }
        });
        for pad in element.src_pads() {
            outlets.open(&pad)?;
        }
        element.set_state(gst::State::Playing)?;
        Ok(Self { element, outlets })
    }

    pub(super) fn inner(&self) -> &gst::Element {
        &self.element
    }

    /// Opens a pad for packets with these caps: one that is there, or one on request.
    pub(super) fn feed(&self, pad: &str, caps: &gst::Caps) -> Result<Feed> {
        let static_pad = self.element.static_pad(pad);
        let sink = static_pad.or_else(|| self.element.request_pad_simple(pad));
        let sink = sink.with_context(|| format!("no pad {pad}"))?;
        let feed = gst::Pad::builder(gst::PadDirection::Src).build();
        feed.set_active(true)?;
        feed.link(&sink)?;
        feed.push_event(gst::event::StreamStart::new(pad));
        feed.push_event(gst::event::Caps::new(caps));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        feed.push_event(gst::event::Segment::new(&segment));
        Ok(Feed(feed))
    }

    /// What left it since this was asked last, with the pad's name.
    pub(super) fn take(&self) -> Vec<(String, Bytes)> {
        let mut taken = self.outlets.taken.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *taken)
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        let _ = self.element.set_state(gst::State::Null);
    }
}

impl Feed {
    pub(super) fn push(&self, at: Duration, datagram: &[u8]) -> Result<()> {
        let mut buffer = gst::Buffer::from_slice(datagram.to_vec());
        let at = clock_time(at);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(at);
            buffer.set_dts(at);
        }
        self.0.push(buffer)?;
        Ok(())
    }

    /// Says that a packet is given up, as a jitter buffer does (its property `do-lost`).
    pub(super) fn lost(&self, at: Duration, sequence: u16) {
        let lost = gst::Structure::builder("GstRTPPacketLost")
            .field("seqnum", u32::from(sequence))
            .field("timestamp", clock_time(at))
            .field("duration", gst::ClockTime::ZERO)
            .field("might-have-been-fec", false)
            .build();
        self.0.push_event(gst::event::CustomDownstream::new(lost));
    }
}

fn clock_time(at: Duration) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
}

impl Outlets {
    fn open(&self, pad: &gst::Pad) -> Result<()> {
        let (taken, name) = (Arc::clone(&self.taken), pad.name().to_string());
        let sink = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
                let datagram = Bytes::copy_from_slice(&bytes);
                taken.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), datagram));
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(|_, _, _| true)
            .build();
        sink.set_active(true)?;
        pad.link(&sink)?;
        self.pads.lock().unwrap_or_else(PoisonError::into_inner).push(sink);
        Ok(())
    }
}
