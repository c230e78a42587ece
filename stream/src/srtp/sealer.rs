//! The box's side.

use std::collections::{HashMap, hash_map::Entry};

use bytes::Bytes;

use super::{
    ENCRYPTED, Error, MAX_REPORT_INDEX, OVERHEAD, REPORT_HEADER, REPORT_OVERHEAD, session::Session,
};
use crate::{
    epoch::Epoch,
    index::MAX_INDEX,
    rtp::{self, Packet},
};

/// Most SSRCs that one sealer knows, with 24 bytes each: a lesson has two at a time, and a new one
/// only when its codec changes. Full: a further one is refused, for to forget one would allow its
/// indices once more.
pub const MAX_SSRCS: usize = 1_024;

/// Protects a lesson's packets and reports, under one epoch after the other.
///
/// A box that starts over makes new keys and new SSRCs: what is remembered here is not kept.
#[derive(Debug)]
pub struct Sealer {
    epoch: u32,
    pub(super) session: Session,
    /// What was sealed, by SSRC, under whatever key. At most [`MAX_SSRCS`].
    pub(super) sealed: HashMap<u32, Sealed>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sealed {
    /// Index of the last packet.
    packet: Option<u64>,
    /// Index of the last report; 0 before the first.
    pub(super) report: u32,
}

impl Sealer {
    /// # Errors
    /// [`Error::Aes`] alone.
    pub fn new(epoch: &Epoch) -> Result<Self, Error> {
        let sealed = HashMap::new();
        Ok(Self { epoch: epoch.number, session: Session::new(epoch)?, sealed })
    }

    /// Seals with this epoch from now on. Indices go on.
    ///
    /// # Errors
    /// [`Error::Epoch`] when it does not come after the present one, and [`Error::Aes`]; then the
    /// present one stays.
    pub fn switch(&mut self, epoch: &Epoch) -> Result<(), Error> {
        if epoch.number <= self.epoch {
            return Err(Error::Epoch { number: epoch.number, present: self.epoch });
        }
        self.session = Session::new(epoch)?;
        self.epoch = epoch.number;
        Ok(())
    }

    /// The number of the epoch that packets are sealed with.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The datagram of this packet, [`OVERHEAD`] longer.
    ///
    /// # Errors
    /// [`Error::Reused`] unless the index is above all that were sealed for this SSRC before, under
    /// any key; [`Error::Index`], [`Error::Sequence`], [`Error::TooManySsrcs`], [`Error::Aes`].
    pub fn seal(&mut self, index: u64, packet: &Packet) -> Result<Bytes, Error> {
        let rtp::Header { ssrc, sequence, .. } = packet.header;
        if index > MAX_INDEX {
            return Err(Error::Index(index));
        }
        if index & 0xffff != u64::from(sequence) {
            return Err(Error::Sequence { index, sequence });
        }
        let sealed = self.sealed(ssrc)?;
        if let Some(last) = sealed.packet.filter(|last| index <= *last) {
            return Err(Error::Reused { ssrc, index, last });
        }
        // Used from here on, even if sealing fails.
        sealed.packet = Some(index);

        let mut out = Vec::with_capacity(packet.size() + OVERHEAD);
        packet.write(&mut out);
        // RFC 7714 §8.2: the header is authenticated, the rest sealed, and the MKI neither.
        let header = packet.header.to_bytes();
        self.session.packets.seal(ssrc, index, &header, header.len(), &mut out)?;
        out.extend_from_slice(&self.session.mki.to_be_bytes());
        Ok(out.into())
    }

    /// The datagram of this compound RTCP packet, [`REPORT_OVERHEAD`] longer. Its index is one more
    /// than that of the last report of this SSRC.
    ///
    /// # Errors
    /// [`Error::Short`] and [`Error::Format`] for what is not RTCP; [`Error::Exhausted`],
    /// [`Error::TooManySsrcs`], [`Error::Aes`].
    pub fn seal_report(&mut self, report: &[u8]) -> Result<Bytes, Error> {
        let header = *report.first_chunk::<REPORT_HEADER>().ok_or(Error::Short(report.len()))?;
        let [first, _, _, _, ssrc @ ..] = header;
        if first >> 6 != 2 {
            return Err(Error::Format(first));
        }
        let ssrc = u32::from_be_bytes(ssrc);
        let sealed = self.sealed(ssrc)?;
        if sealed.report == MAX_REPORT_INDEX {
            return Err(Error::Exhausted(ssrc));
        }
        sealed.report += 1;
        let index = sealed.report;

        let mut out = Vec::with_capacity(report.len() + REPORT_OVERHEAD);
        out.extend_from_slice(report);
        // RFC 7714 §9.2: the header and the word with the index are authenticated; the word
        // follows the tag.
        let word = (ENCRYPTED | index).to_be_bytes();
        let aad = [&header[..], &word].concat();
        self.session.reports.seal(ssrc, u64::from(index), &aad, header.len(), &mut out)?;
        out.extend_from_slice(&word);
        out.extend_from_slice(&self.session.mki.to_be_bytes());
        Ok(out.into())
    }

    fn sealed(&mut self, ssrc: u32) -> Result<&mut Sealed, Error> {
        let is_full = self.sealed.len() == MAX_SSRCS;
        match self.sealed.entry(ssrc) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(_) if is_full => Err(Error::TooManySsrcs(ssrc)),
            Entry::Vacant(room) => Ok(room.insert(Sealed::default())),
        }
    }
}
