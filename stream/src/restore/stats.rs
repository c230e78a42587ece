//! What a machine counts.

/// What happened so far, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sources that came and were verified.
    pub received: u64,
    /// Sources that were brought back by parity.
    pub restored: u64,
    /// Sources that were never there in time, whether they came too late or not at all.
    pub lost: u64,
    /// Signatures checked.
    pub checked: u64,
    /// Dropped: what the box sent has another digest or ticket, or contradicts what it signed.
    pub forged: u64,
    /// Dropped: nothing said in time whether the box had sent it.
    pub unsure: u64,
    /// Dropped: not signed by the box.
    pub bad_signature: u64,
    /// Dropped: of the past.
    pub replayed: u64,
    /// Dropped: it was there already, or no longer needed.
    pub duplicate: u64,
    /// Dropped: nothing that the box sends looks like that.
    pub malformed: u64,
    /// Dropped: too far ahead, too many candidates, or too many signatures to check.
    pub over_limits: u64,
    /// Dropped: of a stream that is none of this lesson's.
    pub foreign: u64,
    /// Dropped: nobody polled.
    pub overflow: u64,
    /// Sources and parity that together did not make a block: some source was forged.
    pub failed_decodes: u64,
    pub requests: u64,
}
