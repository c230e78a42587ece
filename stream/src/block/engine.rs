//! The arithmetic of blocks: `reed-solomon-simd`'s own, but for one step, which the library makes
//! for files of many thousand shards.
//!
//! Before a decoder multiplies, it needs for each point x of the field the product of all x - e,
//! where e are the points that are missing. The library works it out for all 65,536 points by two
//! Walsh-Hadamard transforms, however small the block is: where a fifth is lost, two thirds of
//! decoding were spent there. A block has at most 193 points; for so few the sum of the logarithms,
//! one by one, takes a twentieth of that (measured with 50 machines on one computer).

use reed_solomon_simd::engine::{
    DefaultEngine, Engine, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables,
};

/// The library's best engine on this machine.
#[derive(Default)]
pub(super) struct SmallBlocks(DefaultEngine);

impl SmallBlocks {
    /// Has the library make its tables, once a process: that takes 20 ms, which a lesson has before
    /// its first loss and not at it.
    pub(super) fn prepare() {
        let _ = (Self::default(), tables::get_exp_log());
    }
}

impl Engine for SmallBlocks {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.fft(data, pos, size, truncated_size, skew_delta);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.ifft(data, pos, size, truncated_size, skew_delta);
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.0.mul(x, log_m);
    }

    /// `erasures`: 1 for each point that is missing; none is at `points` or behind. Becomes the
    /// logarithm of the product for each point before `points`, which is all that is asked for.
    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], points: usize) {
        let log = &tables::get_exp_log().log;
        let missing: Vec<usize> = (0..points).filter(|&at| erasures[at] == 1).collect();
        for (x, product) in erasures.iter_mut().enumerate().take(points) {
            // In a field of characteristic 2 the difference is the exclusive or; x itself is no
            // factor.
            let others = missing.iter().filter(|&&e| e != x);
            let sum: u32 = others.map(|&e| u32::from(log[x ^ e])).sum();
            *product = GfElement::try_from(sum % u32::from(GF_MODULUS)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// More than a block has.
    const FEW: usize = 512;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn few_points_come_out_as_the_librarys_own(
            missing in proptest::collection::vec(any::<bool>(), 1..=FEW),
        ) {
            let mut own: Box<[GfElement; GF_ORDER]> = vec![0; GF_ORDER].try_into().unwrap();
            for (point, is_missing) in own.iter_mut().zip(&missing) {
                *point = u16::from(*is_missing);
            }
            let mut librarys = own.clone();
            SmallBlocks::eval_poly(&mut own, missing.len());
            DefaultEngine::eval_poly(&mut librarys, missing.len());
            for (own, librarys) in own.iter().zip(librarys.iter()).take(missing.len()) {
                // The library writes a logarithm of 0 as 0 or as the modulus: both multiply alike.
                prop_assert_eq!(own % GF_MODULUS, librarys % GF_MODULUS);
            }
        }
    }
}
