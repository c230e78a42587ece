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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::viewers::programme::tests::piece;

    fn indices(kept: &Kept) -> Vec<u64> {
        kept.all().iter().map(|piece| piece.index).collect()
    }

    #[test]
    fn the_newest_keyframe_and_what_follows_are_kept_whole_or_not_at_all() {
        let mut kept = Kept::default();
        kept.push(&piece(1, false));
        assert!(kept.all().is_empty(), "nobody can begin there");
        for index in 2..5 {
            kept.push(&piece(index, index == 2));
        }
        assert_eq!(indices(&kept), [2, 3, 4]);
        kept.push(&piece(5, true));
        kept.push(&piece(6, false));
        assert_eq!(indices(&kept), [5, 6]);
        kept.push(&piece(8, false));
        assert!(kept.all().is_empty(), "with a hole it is worth nothing");
    }

    #[test]
    fn what_grows_too_large_is_given_up_up_to_the_next_keyframe() {
        let mut kept = Kept::default();
        let large = |index, begins| Piece {
            payload: vec![0; MAX_BYTES / 2].into(),
            ..piece(index, begins)
        };
        for index in 0..4 {
            kept.push(&large(index, index == 0));
        }
        assert!(kept.all().is_empty());
        kept.push(&large(4, true));
        assert_eq!(indices(&kept), [4]);
    }
}
