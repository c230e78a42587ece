//! The gate of a VP8 source. Each packet says by itself whether it starts a keyframe.

use super::{
    Format, Stats,
    feed::{Malformed, Passed, Vp8},
};
use crate::{
    rtp::Packet,
    vp8::{self, Descriptor},
};

#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: bool,
}

impl Gate {
    pub(super) fn is_closed(&self) -> bool {
        !self.is_open
    }

    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    pub(super) fn push(
        &mut self,
        mut packet: Packet,
        stats: &mut Stats,
    ) -> Result<Vec<Passed>, Malformed> {
        let (descriptor, frame) = Descriptor::parse(&packet.payload).map_err(|_| Malformed)?;
        let keyframe = (descriptor.starts_frame() && vp8::is_keyframe(frame))
            .then(|| Format { size: vp8::size(frame), parameter_sets: None });
        if !self.is_open && keyframe.is_none() {
            stats.held_back += 1;
            return Ok(Vec::new());
        }
        let is_opening = !std::mem::replace(&mut self.is_open, true);
        packet.payload = packet.payload.slice_ref(frame);
        Ok(vec![Passed { packet, keyframe, vp8: Some(Vp8 { descriptor, is_opening }) }])
    }
}
