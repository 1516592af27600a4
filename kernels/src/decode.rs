//! Decoding: sums of decoder rows.

use std::ops::Range;

use crate::simd::{GROUP, Kernels};
use crate::sparse::Sparse;

/// Tokens decoded together: while features are dense, a decoder row that is in the cache serves all of them.
pub const BLOCK_TOKENS: usize = 64;
/// Features per pass over a block of tokens, when they are dense: these rows stay in the second-level cache.
const WINDOW: usize = 64;

/// Adds Σ f_i W_dec[i] to `out` for the tokens `range`. `out` is [range.len(), dIn], `w_dec` [dSae, dIn].
pub fn add_features(kernels: &Kernels, w_dec: &[f32], d_in: usize, active: &Sparse, range: Range<usize>, out: &mut [f32]) {
    let features = w_dec.len() / d_in;
    let entries = active.starts[range.end] - active.starts[range.start];
    let dense = entries * 16 > range.len() * features;
    let window = if dense { WINDOW } else { features };
    let mut next = active.starts[range.clone()].to_vec();
    let row = |i: usize| &w_dec[active.indices[i] as usize * d_in..][..d_in];
    for first in (0..features).step_by(window) {
        for ((t, next), out) in range.clone().zip(&mut next).zip(out.chunks_mut(d_in)) {
            let left = &active.indices[*next..active.starts[t + 1]];
            let end = *next + left.partition_point(|&i| (i as usize) < first + window);
            while *next + GROUP <= end {
                let at = *next;
                kernels.axpy_group(out, std::array::from_fn(|j| active.values[at + j]), std::array::from_fn(|j| row(at + j)));
                *next += GROUP;
            }
            while *next < end {
                kernels.axpy(out, active.values[*next], row(*next));
                *next += 1;
            }
        }
    }
}
