//! What came where machines are heard, and was nothing that one of them says: counted by kind.
//! Whoever sends such a thing may send very much of it, so nothing is said of a single one.

use alfarid_stream::feedback;

use super::ProtectError;

/// Datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::broadcast) struct Unheard {
    /// Not made with the key of the machine that they name.
    pub(in crate::broadcast) forged: u64,
    /// Heard before, or overtaken on the way.
    pub(in crate::broadcast) replayed: u64,
    /// Of machines that were not admitted, or are no more: a new grant has a new number. Or a flow
    /// was wanted where the machine is not.
    pub(in crate::broadcast) strangers: u64,
    /// No feedback, or none that makes sense.
    pub(in crate::broadcast) malformed: u64,
}

impl Unheard {
    /// What came since it was `earlier`.
    pub(in crate::broadcast) fn since(self, earlier: Self) -> Self {
        Self {
            forged: self.forged - earlier.forged,
            replayed: self.replayed - earlier.replayed,
            strangers: self.strangers - earlier.strangers,
            malformed: self.malformed - earlier.malformed,
        }
    }

    pub(super) fn count(&mut self, error: &ProtectError) {
        let ProtectError::Feedback(error) = error else {
            // The only other reasons not to hear somebody.
            let is_strange =
                matches!(error, ProtectError::NotAdmitted(_) | ProtectError::Elsewhere(_));
            self.strangers += u64::from(is_strange);
            return;
        };
        let kind = match error {
            feedback::Error::Forged => &mut self.forged,
            feedback::Error::Replayed { .. } => &mut self.replayed,
            feedback::Error::Receiver(_) => &mut self.strangers,
            feedback::Error::Length(_)
            | feedback::Error::Kind(_)
            | feedback::Error::Truncated(_)
            | feedback::Error::Trailing(_)
            | feedback::Error::Entries(_)
            | feedback::Error::Twice(_)
            | feedback::Error::Flags(_)
            | feedback::Error::Shards(_) => &mut self.malformed,
            // The box's own trouble.
            feedback::Error::Exhausted | feedback::Error::Aes => return,
        };
        *kind += 1;
    }
}
