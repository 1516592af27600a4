//! Decoding: sums of decoder rows.

use std::ops::Range;

use crate::simd::{GROUP, Kernels};
use crate::sparse::Sparse;

/// Tokens decoded together: while features are dense, a decoder row that is in the cache serves all of them.
pub const BLOCK_TOKENS: usize = 64;
/// Features per pass over a block of tokens, when they are dense: these rows stay in the second-level cache.
const WINDOW: usize = 64;

/// Adds Σ f_i W_dec[i] over the features `among` to `out` for the tokens `range`. `out` is [range.len(), dIn], `w_dec` [dSae, dIn].
pub fn add_features(
    kernels: &Kernels,
    w_dec: &[f32],
    d_in: usize,
    active: &Sparse,
    range: Range<usize>,
    among: Range<usize>,
    out: &mut [f32],
) {
    let entries = active.starts[range.end] - active.starts[range.start];
    let dense = entries * 16 > range.len() * (w_dec.len() / d_in);
    let window = if dense { WINDOW } else { among.len() };
    let place = |t: usize, first: usize| active.starts[t] + active.row(t).0.partition_point(|&i| (i as usize) < first);
    let mut next: Vec<usize> = range.clone().map(|t| if among.start == 0 { active.starts[t] } else { place(t, among.start) }).collect();
    let last = active.starts[range.end].saturating_sub(1);
    let row = |at: usize| &w_dec[active.indices[at] as usize * d_in..][..d_in];
    for first in among.clone().step_by(window.max(1)) {
        let end = (first + window).min(among.end);
        for ((t, next), out) in range.clone().zip(&mut next).zip(out.chunks_mut(d_in)) {
            let left = &active.indices[*next..active.starts[t + 1]];
            let end = *next + left.partition_point(|&i| (i as usize) < end);
            while *next + GROUP <= end {
                let at = *next;
                let rows = |first: usize| std::array::from_fn(|j| row((first + j).min(last)));
                kernels.axpy_group(out, std::array::from_fn(|j| active.values[at + j]), rows(at), rows(at + GROUP));
                *next += GROUP;
            }
            while *next < end {
                kernels.axpy(out, active.values[*next], row(*next));
                *next += 1;
            }
        }
    }
}
