//! A machine's side.

use bytes::Bytes;

use super::{ENCRYPTED, Error, MKI, REPORT_HEADER, session::Session};
use crate::{
    epoch::Epoch,
    gcm::TAG,
    index::MAX_INDEX,
    rtp::{self, Packet},
};

/// Most epochs that a machine holds: the present one, the next, and one more for late packets. A
/// further one takes the place of the one granted longest ago.
pub const MAX_EPOCHS: usize = 3;

/// An RTP header without padding, extension and contributing sources begins so (RFC 3550 §5.1).
const PLAIN: u8 = 0x80;

/// The keys that a machine was granted.
#[derive(Debug, Default)]
pub struct Keyring {
    /// In the order of their grants, no two with the same MKI. At most [`MAX_EPOCHS`].
    pub(super) sessions: Vec<Session>,
}

impl Keyring {
    /// Opens nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an epoch that was granted. The same once more changes nothing but its age; another
    /// with its MKI takes its place.
    ///
    /// # Errors
    /// [`Error::Aes`] alone; then nothing changed.
    pub fn add(&mut self, epoch: &Epoch) -> Result<(), Error> {
        let session = Session::new(epoch)?;
        self.sessions.retain(|held| held.mki != session.mki);
        if self.sessions.len() == MAX_EPOCHS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
        Ok(())
    }

    /// The packet in this datagram, whose index the caller found by its sequence number.
    ///
    /// That it opens says that somebody with the group's key sealed it, no more: see the
    /// [module](super).
    ///
    /// # Errors
    /// [`Error::Short`], [`Error::Format`], [`Error::Index`], [`Error::UnknownMki`], and
    /// [`Error::Forged`] when it was not sealed with the key it names, at this index.
    pub fn open(&self, datagram: &[u8], index: u64) -> Result<Packet, Error> {
        let short = Error::Short(datagram.len());
        let (rest, mki) = datagram.split_last_chunk::<MKI>().ok_or(short)?;
        let (header, sealed) = rest.split_first_chunk::<{ rtp::HEADER }>().ok_or(short)?;
        if sealed.len() < TAG {
            return Err(short);
        }
        let [first, .., s0, s1, s2, s3] = *header;
        if first != PLAIN {
            return Err(Error::Format(first));
        }
        if index > MAX_INDEX {
            return Err(Error::Index(index));
        }
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        let packet = self.session(*mki)?.packets.open(ssrc, index, header, header, sealed)?;
        Packet::parse(&Bytes::from(packet)).map_err(|_| Error::Format(first))
    }

    fn session(&self, mki: [u8; MKI]) -> Result<&Session, Error> {
        let mki = u16::from_be_bytes(mki);
        let session = self.sessions.iter().find(|session| session.mki == mki);
        session.ok_or(Error::UnknownMki(mki))
    }
}

/// The reports of one stream, each taken once and none that is older than the newest: an older
/// one says nothing that is still of use.
#[derive(Debug)]
pub struct Reports {
    ssrc: u32,
    newest: Option<u32>,
}

impl Reports {
    /// Follows this SSRC.
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, newest: None }
    }

    /// The compound RTCP packet in this datagram.
    ///
    /// # Errors
    /// [`Error::Short`], [`Error::Foreign`], [`Error::Unencrypted`], [`Error::Replayed`],
    /// [`Error::UnknownMki`], and [`Error::Forged`] when it was not sealed with the key it names.
    pub fn open(&mut self, keyring: &Keyring, datagram: &[u8]) -> Result<Bytes, Error> {
        let short = Error::Short(datagram.len());
        let (rest, mki) = datagram.split_last_chunk::<MKI>().ok_or(short)?;
        let (rest, word) = rest.split_last_chunk::<4>().ok_or(short)?;
        let (header, sealed) = rest.split_first_chunk::<REPORT_HEADER>().ok_or(short)?;
        if sealed.len() < TAG {
            return Err(short);
        }
        let [_, _, _, _, ssrc @ ..] = *header;
        let ssrc = u32::from_be_bytes(ssrc);
        if ssrc != self.ssrc {
            return Err(Error::Foreign(ssrc));
        }
        let flagged = u32::from_be_bytes(*word);
        if flagged & ENCRYPTED == 0 {
            return Err(Error::Unencrypted);
        }
        let index = flagged & !ENCRYPTED;
        if let Some(newest) = self.newest.filter(|newest| index <= *newest) {
            return Err(Error::Replayed { index, newest });
        }
        let aad = [&header[..], word].concat();
        let keys = &keyring.session(*mki)?.reports;
        let report = keys.open(ssrc, u64::from(index), &aad, header, sealed)?;
        self.newest = Some(index);
        Ok(report.into())
    }
}
