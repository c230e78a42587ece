//! The pictures since the newest keyframe, for who joins. Pure.
//!
//! Whole or none, as [`alfarid_stream::gop`] has it for machines; here they are shared with what
//! viewers are sent live.

use alfarid_stream::gop::MAX_BYTES;

use super::programme::Piece;

#[derive(Debug, Default)]
pub(super) struct Kept {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Kept {
    pub(super) fn push(&mut self, piece: &Piece) {
        let follows = self.pieces.last().is_some_and(|last| last.index + 1 == piece.index);
        if piece.begins || !follows {
            self.clear();
        }
        if !piece.begins && self.pieces.is_empty() {
            return;
        }
        self.bytes += piece.payload.len();
        if self.bytes > MAX_BYTES {
            return self.clear();
        }
        self.pieces.push(piece.clone());
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }

    pub(super) fn all(&self) -> &[Piece] {
        &self.pieces
    }
}
