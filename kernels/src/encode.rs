//! Encoding: pre-activations in register tiles, of which only those that may be kept leave the registers' neighbourhood.
//!
//! Features are packed in panels as wide as a tile. A block of tokens, small enough for the second-level cache, meets one panel after another;
//! each result that exceeds its token's running threshold becomes a candidate. Panels come in ascending order of feature, so the threshold can be strict:
//! among equal values the lower feature wins, exactly.

use crate::error::{Error, filled};
use crate::simd::{Kernels, MAX_TILE_TOKENS};
use crate::sparse::Sparse;
use crate::threads;

/// Tokens that meet a panel before the next one is read: with a panel they fit the second-level cache.
const BLOCK_TOKENS: usize = 240;
/// Features packed at a time. Bounds the memory that packing takes, at two thread starts per this many.
const PACKED_FEATURES: usize = 8192;
/// Up to this many tokens, packing would cost more than it gains: each feature's row is read once, as it lies.
const FEW_TOKENS: usize = 6;
/// Multiply-adds below which one thread does all: about a millisecond's worth.
const SMALL: usize = 4 << 20;

/// Which pre-activations become activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The k largest that are > 0; of equal ones, those of the lower features.
    TopK(usize),
    /// All that are > 0.
    Relu,
}

/// The encoder, or, with `subset`, some of its features.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// [dSae, dIn]
    pub weights: &'a [f32],
    /// [dSae]
    pub bias: &'a [f32],
    /// Ascending features; none for all.
    pub subset: Option<&'a [u32]>,
    pub d_in: usize,
}

impl<'a> Encoder<'a> {
    fn features(&self) -> usize {
        self.subset.map_or(self.bias.len(), <[u32]>::len)
    }

    /// The feature that is `i`-th among those encoded.
    fn feature(&self, i: usize) -> usize {
        self.subset.map_or(i, |subset| subset[i] as usize)
    }

    fn row(&self, i: usize) -> &'a [f32] {
        &self.weights[self.feature(i) * self.d_in..][..self.d_in]
    }
}

/// Activations of `x` [n, dIn], from which b_dec is already subtracted where it should be. Rows are tokens; indices are features.
pub fn encode(kernels: &Kernels, threads: usize, encoder: Encoder<'_>, activation: Activation, x: &[f32]) -> Result<Sparse, Error> {
    let n = x.len() / encoder.d_in;
    let small = n * encoder.weights.len() < SMALL;
    let threads = if small { 1 } else { threads };
    let keep = match activation {
        Activation::TopK(k) => k.min(encoder.features()),
        Activation::Relu => usize::MAX,
    };
    let mut candidates: Vec<Candidates> = Vec::new();
    candidates.try_reserve_exact(n)?;
    candidates.resize_with(n, Candidates::default);
    if n <= FEW_TOKENS {
        screen_rows(kernels, threads, encoder, keep, x, &mut candidates);
    } else {
        screen_tiles(kernels, threads, encoder, keep, x, &mut candidates)?;
    }
    collect(threads, encoder, keep, candidates)
}

/// The running selection of one token.
#[derive(Default)]
struct Candidates {
    /// The bits of the pre-activation, which for positive numbers order as the numbers do, above the complement of the feature's place:
    /// larger keys are better.
    keys: Vec<u64>,
    /// Only larger pre-activations can still be kept.
    threshold: f32,
}

impl Candidates {
    #[inline(always)]
    fn push(&mut self, place: usize, z: f32) {
        self.keys.push((u64::from(z.to_bits()) << 32) | u64::from(!(place as u32)));
    }

    /// Reduces to the best `keep`, when there are enough more for that to pay.
    #[inline(always)]
    fn prune(&mut self, keep: usize) {
        if keep < usize::MAX / 4 && self.keys.len() >= 2 * keep + 32 {
            self.select(keep);
        }
    }

    fn select(&mut self, keep: usize) {
        if self.keys.len() > keep {
            let (_, last, _) = self.keys.select_nth_unstable_by(keep - 1, |a, b| b.cmp(a));
            self.threshold = value(*last);
            self.keys.truncate(keep);
        }
    }
}

fn value(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

fn place(key: u64) -> usize {
    !(key as u32) as usize
}

fn screen_tiles(
    kernels: &Kernels,
    threads: usize,
    encoder: Encoder<'_>,
    keep: usize,
    x: &[f32],
    candidates: &mut [Candidates],
) -> Result<(), Error> {
    let (d, features, width) = (encoder.d_in, encoder.features(), kernels.tile_features);
    let at_once = (PACKED_FEATURES / width * width).min(features.next_multiple_of(width));
    let mut packed = filled(at_once * d, 0f32)?;
    // −∞ in the lanes beyond the last feature: never above a threshold.
    let mut bias = filled(at_once, f32::NEG_INFINITY)?;
    // Enough blocks for the threads to share, none smaller than a tile.
    let n = candidates.len();
    let tokens = BLOCK_TOKENS.min(n.div_ceil(4).next_multiple_of(kernels.tile_tokens));
    for first in (0..features).step_by(at_once) {
        let count = at_once.min(features - first);
        let panels = count.div_ceil(width);
        let pieces = packed.chunks_mut(width * d).zip(bias.chunks_mut(width)).take(panels);
        threads::map(threads, pieces.enumerate(), |(p, (panel, bias))| {
            let start = first + p * width;
            pack(encoder, start..(start + width).min(features), width, panel, bias);
        });
        let blocks = x.chunks(tokens * d).zip(candidates.chunks_mut(tokens));
        threads::map(threads, blocks, |(x, candidates)| {
            for p in 0..panels {
                let panel = &packed[p * width * d..][..width * d];
                let bias = &bias[p * width..][..width];
                screen_block(kernels, panel, bias, first + p * width, keep, x, candidates);
            }
        });
    }
    Ok(())
}

/// Interleaves the rows of `range` into a panel, [dIn, width].
fn pack(encoder: Encoder<'_>, range: std::ops::Range<usize>, width: usize, panel: &mut [f32], bias: &mut [f32]) {
    /// Columns moved at a time: what is written meanwhile stays in the first-level cache.
    const COLUMNS: usize = 16;
    bias.fill(f32::NEG_INFINITY);
    for start in (0..encoder.d_in).step_by(COLUMNS) {
        let end = (start + COLUMNS).min(encoder.d_in);
        for (lane, i) in range.clone().enumerate() {
            let row = &encoder.row(i)[start..end];
            for (c, &w) in row.iter().enumerate() {
                panel[(start + c) * width + lane] = w;
            }
        }
    }
    for (lane, i) in range.enumerate() {
        bias[lane] = encoder.bias[encoder.feature(i)];
    }
}

/// One block of tokens against one panel, whose first feature is `first`.
fn screen_block(kernels: &Kernels, panel: &[f32], bias: &[f32], first: usize, keep: usize, x: &[f32], candidates: &mut [Candidates]) {
    let (tokens, width) = (kernels.tile_tokens, kernels.tile_features);
    let d = panel.len() / width;
    let mut z = [0f32; MAX_TILE_TOKENS * 64];
    let z = &mut z[..tokens * width];
    let mut thresholds = [0f32; MAX_TILE_TOKENS];
    let mut above = [0u64; MAX_TILE_TOKENS];
    for (x, candidates) in x.chunks(tokens * d).zip(candidates.chunks_mut(tokens)) {
        // A tile with fewer tokens repeats its last one, and ignores what comes of it.
        let last = candidates.len() - 1;
        let mut rows = [&x[..0]; MAX_TILE_TOKENS];
        for t in 0..tokens {
            rows[t] = &x[t.min(last) * d..][..d];
            thresholds[t] = candidates[t.min(last)].threshold;
        }
        kernels.tile(&rows[..tokens], panel, bias, &thresholds[..tokens], z, &mut above[..tokens]);
        for (t, candidates) in candidates.iter_mut().enumerate() {
            let mut bits = above[t];
            if bits == 0 {
                continue;
            }
            while bits != 0 {
                let lane = bits.trailing_zeros() as usize;
                candidates.push(first + lane, z[t * width + lane]);
                bits &= bits - 1;
            }
            candidates.prune(keep);
        }
    }
}

/// A few tokens against all features, row by row.
fn screen_rows(kernels: &Kernels, threads: usize, encoder: Encoder<'_>, keep: usize, x: &[f32], candidates: &mut [Candidates]) {
    let features = encoder.features();
    let size = features.div_ceil(threads).max(1);
    let pieces = (0..features).step_by(size);
    let found = threads::map(threads, pieces, |first| {
        let mut found: Vec<Candidates> = candidates.iter().map(|_| Candidates::default()).collect();
        for i in first..(first + size).min(features) {
            let (row, bias) = (encoder.row(i), encoder.bias[encoder.feature(i)]);
            for (x, candidates) in x.chunks(encoder.d_in).zip(&mut found) {
                let z = kernels.dot(row, x) + bias;
                if z > candidates.threshold {
                    candidates.push(i, z);
                    candidates.prune(keep);
                }
            }
        }
        found
    });
    for found in found {
        for (all, found) in candidates.iter_mut().zip(found) {
            all.keys.extend(found.keys);
        }
    }
}

/// Settles the selection and writes it out in ascending order of feature.
fn collect(threads: usize, encoder: Encoder<'_>, keep: usize, mut candidates: Vec<Candidates>) -> Result<Sparse, Error> {
    let mut starts = filled(candidates.len() + 1, 0usize)?;
    for (t, candidates) in candidates.iter().enumerate() {
        starts[t + 1] = starts[t] + candidates.keys.len().min(keep);
    }
    let entries = starts[candidates.len()];
    let (mut indices, mut values) = (filled(entries, 0u32)?, filled(entries, 0f32)?);
    let mut pieces = Vec::new();
    let (mut indices_left, mut values_left) = (&mut indices[..], &mut values[..]);
    let mut done = 0;
    for candidates in candidates.chunks_mut(BLOCK_TOKENS) {
        let count = starts[done + candidates.len()] - starts[done];
        done += candidates.len();
        let (indices, indices_rest) = indices_left.split_at_mut(count);
        let (values, values_rest) = values_left.split_at_mut(count);
        (indices_left, values_left) = (indices_rest, values_rest);
        pieces.push((candidates, indices, values));
    }
    threads::map(threads, pieces, |(candidates, indices, values)| {
        let mut at = 0;
        for candidates in candidates {
            if keep < usize::MAX {
                candidates.select(keep);
                candidates.keys.sort_unstable_by_key(|&key| place(key));
            }
            for &key in &candidates.keys {
                indices[at] = encoder.feature(place(key)) as u32;
                values[at] = value(key);
                at += 1;
            }
            candidates.keys = Vec::new();
        }
    });
    Ok(Sparse { starts, indices, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Path;

    /// Small multiples of 1/8, in which sums of products are exact: there are ties, and all kernels must agree to the bit.
    fn grid(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) as f32 - 128.0).trunc() / 64.0
        };
        std::iter::repeat_with(next).map(|x| (x * 8.0).round() / 8.0).take(n).collect()
    }

    /// The definition: sort all pre-activations.
    fn by_sorting(encoder: Encoder<'_>, keep: usize, x: &[f32]) -> Sparse {
        let mut sparse = Sparse { starts: vec![0], ..Sparse::default() };
        for x in x.chunks(encoder.d_in) {
            let mut z: Vec<(f32, u32)> = (0..encoder.features())
                .map(|i| {
                    let sum: f32 = encoder.row(i).iter().zip(x).map(|(w, x)| w * x).sum();
                    (sum + encoder.bias[encoder.feature(i)], encoder.feature(i) as u32)
                })
                .filter(|&(z, _)| z > 0.0)
                .collect();
            z.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            z.truncate(keep);
            z.sort_by_key(|&(_, i)| i);
            for (z, i) in z {
                sparse.indices.push(i);
                sparse.values.push(z);
            }
            sparse.starts.push(sparse.indices.len());
        }
        sparse
    }

    #[test]
    fn keeps_what_sorting_would_keep() {
        let subset: Vec<u32> = (0..150).filter(|i| i % 3 == 1).collect();
        for path in Path::ALL {
            let Some(kernels) = Kernels::new(path) else { continue };
            for (n, d_in, features) in
                [(1, 1, 1), (5, 7, 150), (6, 16, 33), (7, 40, 150), (100, 19, 150), (300, 8, 200), (9, 2, PACKED_FEATURES + 90)]
            {
                let (weights, bias, x) = (grid(features * d_in, 1), grid(features, 2), grid(n * d_in, 3));
                for subset in [None, (features == 150).then_some(&subset[..])] {
                    let encoder = Encoder { weights: &weights, bias: &bias, subset, d_in };
                    for (activation, keep) in
                        [(Activation::TopK(1), 1), (Activation::TopK(5), 5), (Activation::TopK(1000), 1000), (Activation::Relu, usize::MAX)]
                    {
                        let found = encode(&kernels, 2, encoder, activation, &x).unwrap();
                        assert_eq!(found, by_sorting(encoder, keep, &x), "{path:?} {n} {d_in} {features} {activation:?}");
                    }
                }
            }
        }
    }
}
