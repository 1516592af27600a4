//! Encoding in f32: pre-activations in register tiles, of which only those that may be kept leave the registers' neighbourhood.
//!
//! Features are packed in panels as wide as a tile. A block of tokens, small enough for the second-level cache, meets one panel after another;
//! each result that exceeds its token's running threshold becomes a candidate. Panels come in ascending order of feature, so the threshold can be strict:
//! among equal values the lower feature wins, exactly.

use std::ops::Range;

use crate::encode::{Encoder, Rule};
use crate::error::{Error, filled};
use crate::screen::{key, place, value};
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

/// See [`crate::encode::encode`]. Batch rules are not for here.
pub fn encode(kernels: &Kernels, threads: usize, encoder: Encoder<'_>, rule: Rule<'_>, x: &[f32]) -> Result<Sparse, Error> {
    let n = x.len() / encoder.d_in;
    let small = n * encoder.weights.len() < SMALL;
    let threads = if small { 1 } else { threads };
    let (keep, threshold) = match rule {
        Rule::TopK(k) => (k.min(encoder.features()), 0.0),
        Rule::Above(cut) => (usize::MAX, cut),
        Rule::BatchTopK(_) | Rule::AboveEach(_) => (usize::MAX, 0.0),
    };
    let job = Job { kernels, encoder, cuts: if let Rule::AboveEach(cuts) = rule { Some(cuts) } else { None }, keep };
    let mut candidates: Vec<Candidates> = Vec::new();
    candidates.try_reserve_exact(n)?;
    candidates.resize_with(n, || Candidates { threshold, ..Candidates::default() });
    if n <= FEW_TOKENS {
        job.screen_rows(threads, x, &mut candidates);
    } else {
        job.screen_tiles(threads, x, &mut candidates)?;
    }
    job.collect(threads, candidates)
}

/// The running selection of one token.
#[derive(Default)]
struct Candidates {
    /// Pre-activations, less the feature's cut, with the feature's place.
    keys: Vec<u64>,
    /// Only larger pre-activations can still be kept.
    threshold: f32,
}

impl Candidates {
    #[inline(always)]
    fn push(&mut self, place: usize, z: f32) {
        self.keys.push(key(place as u32, z));
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

struct Job<'a> {
    kernels: &'a Kernels,
    encoder: Encoder<'a>,
    /// Subtracted from the bias, so that only positive numbers are kept, and added again.
    cuts: Option<&'a [f32]>,
    /// How many to keep of a token.
    keep: usize,
}

impl Job<'_> {
    fn cut(&self, i: usize) -> f32 {
        self.cuts.map_or(0.0, |cuts| cuts[self.encoder.feature(i)])
    }

    fn bias(&self, i: usize) -> f32 {
        self.encoder.bias[self.encoder.feature(i)] - self.cut(i)
    }

    fn screen_tiles(&self, threads: usize, x: &[f32], candidates: &mut [Candidates]) -> Result<(), Error> {
        let (d, features, width) = (self.encoder.d_in, self.encoder.features(), self.kernels.tile_features);
        let at_once = (PACKED_FEATURES / width * width).min(features.next_multiple_of(width));
        let mut packed = filled(at_once * d, 0f32)?;
        // −∞ in the lanes beyond the last feature: never above a threshold.
        let mut bias = filled(at_once, f32::NEG_INFINITY)?;
        // Enough blocks for the threads to share, none smaller than a tile.
        let n = candidates.len();
        let tokens = BLOCK_TOKENS.min(n.div_ceil(4).next_multiple_of(self.kernels.tile_tokens));
        for first in (0..features).step_by(at_once) {
            let count = at_once.min(features - first);
            let panels = count.div_ceil(width);
            let pieces = packed.chunks_mut(width * d).zip(bias.chunks_mut(width)).take(panels);
            threads::map(threads, pieces.enumerate(), |(p, (panel, bias))| {
                let start = first + p * width;
                self.pack(start..(start + width).min(features), panel, bias);
            });
            let blocks = x.chunks(tokens * d).zip(candidates.chunks_mut(tokens));
            threads::map(threads, blocks, |(x, candidates)| {
                for p in 0..panels {
                    let panel = &packed[p * width * d..][..width * d];
                    let bias = &bias[p * width..][..width];
                    self.screen_block(panel, bias, first + p * width, x, candidates);
                }
            });
        }
        Ok(())
    }

    /// Interleaves the rows of `range` into a panel, [dIn, width].
    fn pack(&self, range: Range<usize>, panel: &mut [f32], bias: &mut [f32]) {
        /// Columns moved at a time: what is written meanwhile stays in the first-level cache.
        const COLUMNS: usize = 16;
        let (d, width) = (self.encoder.d_in, bias.len());
        bias.fill(f32::NEG_INFINITY);
        for start in (0..d).step_by(COLUMNS) {
            let end = (start + COLUMNS).min(d);
            for (lane, i) in range.clone().enumerate() {
                let row = &self.encoder.row(i)[start..end];
                for (c, &w) in row.iter().enumerate() {
                    panel[(start + c) * width + lane] = w;
                }
            }
        }
        for (lane, i) in range.enumerate() {
            bias[lane] = self.bias(i);
        }
    }

    /// One block of tokens against one panel, whose first feature is `first`.
    fn screen_block(&self, panel: &[f32], bias: &[f32], first: usize, x: &[f32], candidates: &mut [Candidates]) {
        let (tokens, width) = (self.kernels.tile_tokens, self.kernels.tile_features);
        let d = self.encoder.d_in;
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
            self.kernels.tile(&rows[..tokens], panel, bias, &thresholds[..tokens], z, &mut above[..tokens]);
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
                candidates.prune(self.keep);
            }
        }
    }

    /// A few tokens against all features, row by row.
    fn screen_rows(&self, threads: usize, x: &[f32], candidates: &mut [Candidates]) {
        let features = self.encoder.features();
        let size = features.div_ceil(threads).max(1);
        let pieces = (0..features).step_by(size);
        let found = threads::map(threads, pieces, |first| {
            let mut found: Vec<Candidates> =
                candidates.iter().map(|all| Candidates { threshold: all.threshold, ..Candidates::default() }).collect();
            for i in first..(first + size).min(features) {
                let (row, bias) = (self.encoder.row(i), self.bias(i));
                for (x, candidates) in x.chunks(self.encoder.d_in).zip(&mut found) {
                    let z = self.kernels.dot(row, x) + bias;
                    if z > candidates.threshold {
                        candidates.push(i, z);
                        candidates.prune(self.keep);
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
    fn collect(&self, threads: usize, mut candidates: Vec<Candidates>) -> Result<Sparse, Error> {
        let blocks = threads::map(threads, candidates.chunks_mut(BLOCK_TOKENS), |candidates| {
            let mut found = Sparse { starts: vec![0], ..Sparse::default() };
            for candidates in candidates {
                if self.keep < usize::MAX {
                    candidates.select(self.keep);
                    candidates.keys.sort_unstable_by_key(|&key| place(key));
                }
                let place = |key: &u64| place(*key) as usize;
                found.indices.extend(candidates.keys.iter().map(|key| self.encoder.feature(place(key)) as u32));
                found.values.extend(candidates.keys.iter().map(|key| value(*key) + self.cut(place(key))));
                found.starts.push(found.indices.len());
                candidates.keys = Vec::new();
            }
            found
        });
        Sparse::concatenate(&blocks, threads)
    }
}
