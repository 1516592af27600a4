//! Encoding: which pre-activations become activations, and by which road they are found.
//!
//! [`crate::screen`] multiplies bytes and computes exactly only what may be kept; [`crate::tiles`] computes all of them in f32. Both find the same.

use crate::error::Error;
use crate::quantize::Quantized;
use crate::simd::Kernels;
use crate::sparse::Sparse;
use crate::{screen, tiles};

/// Which pre-activations become activations; `Activation` of engine.ts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    TopK(usize),
    BatchTopK(usize),
    Relu,
    JumpRelu,
}

/// Which pre-activations are kept.
#[derive(Clone, Copy, Debug)]
pub enum Rule<'a> {
    /// Of each token, the k largest that are > 0; of equal ones, those of the lower features.
    TopK(usize),
    /// Of all tokens, the n largest that are > 0; of equal ones, those of the lower tokens, and then features.
    BatchTopK(usize),
    /// All that are > this.
    Above(f32),
    /// All that are > their feature's.
    AboveEach(&'a [f32]),
}

/// The encoder, or, with `subset`, some of its features.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// [dSae, dIn]
    pub weights: &'a [f32],
    /// [dSae]
    pub bias: &'a [f32],
    /// The weights in bytes, where this CPU can screen.
    pub quantized: Option<&'a Quantized>,
    /// Ascending features; none for all.
    pub subset: Option<&'a [u32]>,
    pub d_in: usize,
}

impl<'a> Encoder<'a> {
    pub fn features(&self) -> usize {
        self.subset.map_or(self.bias.len(), <[u32]>::len)
    }

    /// The feature that is `i`-th among those encoded.
    pub fn feature(&self, i: usize) -> usize {
        self.subset.map_or(i, |subset| subset[i] as usize)
    }

    /// The weights of the feature that is `i`-th.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.weights[self.feature(i) * self.d_in..][..self.d_in]
    }
}

/// One in so many pre-activations may be kept for screening to pay: computing a kept one again costs as much as that many in a tile.
const SPARSE: usize = 16;
/// One in so many features must be among those encoded for screening all of them to pay: that is how much faster bytes are.
const LEAST_SUBSET: usize = 4;
/// Tokens from which the share of pre-activations that are kept is estimated.
const SAMPLE: usize = 64;
/// What is asked for besides the share that a batch keeps on average, when its threshold is guessed from a sample.
const GUESS_MORE: f64 = 1.25;

/// Of a rule that keeps what exceeds something, the share of pre-activations that it keeps, estimated from a few tokens: from the batch and the weights
/// alone, so that every run takes the same roads. None for the other rules.
pub fn share(kernels: &Kernels, threads: usize, encoder: Encoder<'_>, rule: Rule<'_>, x: &[f32]) -> Result<Option<f64>, Error> {
    if !matches!(rule, Rule::Above(_) | Rule::AboveEach(_)) || x.is_empty() {
        return Ok(None);
    }
    let sample = sample(x, encoder.d_in, SAMPLE);
    let pairs = sample.len() / encoder.d_in * encoder.features();
    Ok(Some(tiles::encode(kernels, threads, encoder, rule, &sample)?.entries() as f64 / pairs as f64))
}

/// Pre-activations of `x` [n, dIn] that the rule keeps. b_dec is already subtracted from `x` where it should be. Rows are tokens; indices are features.
pub fn encode(kernels: &Kernels, threads: usize, encoder: Encoder<'_>, rule: Rule<'_>, x: &[f32]) -> Result<Sparse, Error> {
    let few = x.len() / encoder.d_in <= SAMPLE;
    encode_share(kernels, threads, encoder, rule, x, if few { None } else { share(kernels, threads, encoder, rule, x)? })
}

/// The same, where [`share`] is known, or of no use.
pub fn encode_share(
    kernels: &Kernels,
    threads: usize,
    encoder: Encoder<'_>,
    rule: Rule<'_>,
    x: &[f32],
    share: Option<f64>,
) -> Result<Sparse, Error> {
    let run = |rule: Rule<'_>, x: &[f32], quantized: Option<&Quantized>| match quantized {
        Some(quantized) => screen::encode(kernels, threads, encoder, quantized, rule, x),
        None => tiles::encode(kernels, threads, encoder, rule, x),
    };
    let (n, features) = (x.len() / encoder.d_in, encoder.features());
    let quantized = encoder.quantized.filter(|_| features * LEAST_SUBSET >= encoder.bias.len());
    match rule {
        Rule::TopK(k) => run(rule, x, quantized.filter(|_| k * SPARSE / 4 <= features)),
        Rule::Above(_) | Rule::AboveEach(_) => {
            let dense = share.is_some_and(|share| share * SPARSE as f64 > 1.0);
            run(rule, x, quantized.filter(|_| !dense))
        }
        Rule::BatchTopK(keep) => {
            let keep = keep.min(n * features);
            let quantized = quantized.filter(|_| keep * SPARSE <= n * features);
            // A threshold that leaves a few more than are kept: guessed from a sample, and lowered until it does.
            let sample = sample(x, encoder.d_in, (n / 16).clamp(1, 256));
            let sampled = sample.len() / encoder.d_in;
            let wanted = (keep as f64 / n as f64 * GUESS_MORE * sampled as f64).ceil() as usize;
            let per_token = (8 * wanted.div_ceil(sampled)).min(features);
            let mut values = run(Rule::TopK(per_token), &sample, quantized)?.values;
            let mut guess = match wanted < values.len() {
                true => *values.select_nth_unstable_by(wanted, |a, b| b.total_cmp(a)).1,
                false => 0.0,
            };
            loop {
                let found = run(Rule::Above(guess), x, quantized)?;
                if found.entries() >= keep || guess == 0.0 {
                    return found.largest(keep);
                }
                guess = if guess > 1e-3 { guess / 2.0 } else { 0.0 };
            }
        }
    }
}

/// `count` rows of `x`, evenly spread; all of them when there are no more.
fn sample(x: &[f32], d_in: usize, count: usize) -> Vec<f32> {
    let n = x.len() / d_in;
    let count = count.min(n);
    (0..count).flat_map(|i| &x[i * n / count * d_in..][..d_in]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Path;

    /// Small multiples of 1/8, in which sums of products are exact: there are ties, and all roads must agree to the bit.
    fn grid(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) as f32 - 128.0).trunc() / 64.0
        };
        std::iter::repeat_with(next).map(|x| (x * 8.0).round() / 8.0).take(n).collect()
    }

    /// The definition: all pre-activations, sorted.
    fn by_sorting(encoder: Encoder<'_>, rule: Rule<'_>, x: &[f32]) -> Sparse {
        let mut kept: Vec<(usize, u32, f32)> = Vec::new();
        for (t, x) in x.chunks(encoder.d_in).enumerate() {
            let mut z: Vec<(usize, u32, f32)> = (0..encoder.features())
                .map(|i| {
                    let sum: f32 = encoder.row(i).iter().zip(x).map(|(w, x)| w * x).sum();
                    (t, encoder.feature(i) as u32, sum + encoder.bias[encoder.feature(i)])
                })
                .filter(|&(_, i, z)| match rule {
                    Rule::Above(cut) => z > cut,
                    Rule::AboveEach(cuts) => z > cuts[i as usize],
                    _ => z > 0.0,
                })
                .collect();
            if let Rule::TopK(k) = rule {
                z.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)));
                z.truncate(k);
            }
            kept.extend(z);
        }
        if let Rule::BatchTopK(keep) = rule {
            kept.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
            kept.truncate(keep);
        }
        kept.sort_by_key(|&(t, i, _)| (t, i));
        let mut sparse = Sparse { starts: vec![0], ..Sparse::default() };
        for t in 0..x.len() / encoder.d_in {
            for &(_, i, z) in kept.iter().filter(|&&(token, ..)| token == t) {
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
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            for (n, d_in, features) in
                [(1, 1, 1), (5, 7, 150), (6, 16, 33), (7, 40, 150), (100, 19, 150), (300, 8, 200), (70, 33, 1000), (9, 2, 8300)]
            {
                let (weights, bias, x) = (grid(features * d_in, 1), grid(features, 2), grid(n * d_in, 3));
                let quantized = Quantized::new(&kernels, 2, &weights, d_in).unwrap();
                let cuts: Vec<f32> = (0..features).map(|i| (i % 5) as f32 - 1.0).collect();
                for quantized in [None, quantized.as_ref()] {
                    for subset in [None, (features == 150).then_some(&subset[..])] {
                        let encoder = Encoder { weights: &weights, bias: &bias, quantized, subset, d_in };
                        let total = n * encoder.features();
                        for rule in [
                            Rule::TopK(1),
                            Rule::TopK(5),
                            Rule::TopK(1000),
                            Rule::BatchTopK(3),
                            Rule::BatchTopK(total / 20 + 1),
                            Rule::BatchTopK(total),
                            Rule::Above(0.0),
                            Rule::Above(2.0),
                            Rule::AboveEach(&cuts),
                        ] {
                            let found = encode(&kernels, 2, encoder, rule, &x).unwrap();
                            let expected = by_sorting(encoder, rule, &x);
                            assert_eq!(found, expected, "{:?} {n} {d_in} {features} {rule:?} {}", kernels.path, quantized.is_some());
                        }
                    }
                }
            }
        }
    }

    /// Numbers as residual streams have them, and worse: many small, a few huge, some rows alike, some zero.
    struct Draw(u64);

    impl Draw {
        /// In (0, 1).
        fn next(&mut self) -> f32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 41) as f32 + 0.5) / (1u64 << 23) as f32
        }

        fn below(&mut self, n: usize) -> usize {
            (self.next() * n as f32) as usize % n
        }

        fn rows(&mut self, rows: usize, d: usize) -> Vec<f32> {
            let tail = [0.0, 0.5, 1.0, 3.0][self.below(4)];
            let outliers = [0, 0, 1, 3][self.below(4)];
            let mut all = Vec::with_capacity(rows * d);
            for r in 0..rows {
                let scale = 10f32.powf(6.0 * self.next() - 3.0);
                match self.below(12) {
                    0 => all.extend(vec![0.0; d]),
                    1 if r > 0 => all.extend_from_within((r - 1) * d..), // a tie with the row before
                    _ => all.extend((0..d).map(|_| scale * (self.next() - 0.5) / self.next().powf(tail))),
                }
                for _ in 0..outliers {
                    let c = self.below(d);
                    all[r * d + c] *= 1e3;
                }
            }
            all
        }
    }

    #[test]
    fn screening_misses_nothing() {
        let seeds = if cfg!(miri) { 1..4 } else { 1..400 };
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new).filter(|kernels| kernels.screen.is_some()) {
            for seed in seeds.clone() {
                let mut draw = Draw(seed * 0x9e37_79b9_7f4a_7c15);
                let (d_in, features, n) = (1 + draw.below(200), 1 + draw.below(900), 1 + draw.below(40));
                let (weights, x) = (draw.rows(features, d_in), draw.rows(n, d_in));
                let bias: Vec<f32> = (0..features).map(|_| if draw.below(3) == 0 { 20.0 * (draw.next() - 0.5) } else { 0.0 }).collect();
                let cuts: Vec<f32> = (0..features).map(|_| draw.next()).collect();
                let quantized = Quantized::new(&kernels, 1, &weights, d_in).unwrap().unwrap();
                let encoder = Encoder { weights: &weights, bias: &bias, quantized: None, subset: None, d_in };
                for rule in [Rule::TopK(1 + draw.below(features.min(40))), Rule::Above(draw.next()), Rule::AboveEach(&cuts)] {
                    let found = screen::encode(&kernels, 2, encoder, &quantized, rule, &x).unwrap();
                    // The same arithmetic for every pair: what screening leaves out must be what sorting leaves out, to the last bit.
                    for (t, x) in x.chunks(d_in).enumerate() {
                        let z = |i: usize| kernels.dot(encoder.row(i), x) + bias[i];
                        let mut expected: Vec<(u32, f32)> = (0..features).map(|i| (i as u32, z(i))).collect();
                        match rule {
                            Rule::TopK(k) => {
                                expected.retain(|&(_, z)| z > 0.0);
                                expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                                expected.truncate(k);
                                expected.sort_by_key(|&(i, _)| i);
                            }
                            Rule::AboveEach(cuts) => expected.retain(|&(i, z)| z > cuts[i as usize]),
                            Rule::Above(cut) => expected.retain(|&(_, z)| z > cut),
                            Rule::BatchTopK(_) => unreachable!(),
                        }
                        let (indices, values) = found.row(t);
                        let found: Vec<(u32, f32)> = indices.iter().copied().zip(values.iter().copied()).collect();
                        assert_eq!(found, expected, "{:?}, seed {seed}, token {t}, {rule:?}", kernels.path);
                    }
                }
            }
        }
    }

    #[test]
    fn candidates_that_all_tie_overflow_nothing() {
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            let (d_in, features) = (20, 3000);
            let weights = vec![0.25; features * d_in];
            let (bias, x) = (vec![0.0; features], vec![1.0; 9 * d_in]);
            let Some(quantized) = Quantized::new(&kernels, 1, &weights, d_in).unwrap() else { continue };
            let encoder = Encoder { weights: &weights, bias: &bias, quantized: None, subset: None, d_in };
            let found = screen::encode(&kernels, 1, encoder, &quantized, Rule::TopK(7), &x).unwrap();
            assert_eq!(found.row(8), (&[0, 1, 2, 3, 4, 5, 6][..], &[5.0; 7][..]));
            assert_eq!(screen::encode(&kernels, 1, encoder, &quantized, Rule::Above(4.9), &x).unwrap().entries(), 9 * features);
        }
    }
}
