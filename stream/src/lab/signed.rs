//! What many machines of one process need not check more than once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::block::SIGNATURE;

/// Datagrams that were found to be signed by one key. A clone remembers the same.
///
/// One for each first byte of a signature: a newer one takes the place of an older, which is then
/// checked again. Nothing else is remembered, so that what is forged is checked each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signed(Arc<Mutex<BTreeMap<u8, Bytes>>>);

impl Signed {
    pub(crate) fn check<E>(
        &self,
        datagram: &Bytes,
        verify: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let at = datagram.len().checked_sub(SIGNATURE);
        let Some(first) = at.and_then(|at| datagram.get(at)) else { return verify() };
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known().get(first) == Some(datagram) {
            return Ok(());
        }
        verify()?;
        known().insert(*first, datagram.clone());
        Ok(())
    }
}
