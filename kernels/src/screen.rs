//! Encoding by way of bytes: every pre-activation is bounded from a product of bytes, and those that may be kept are computed exactly, in f32.
//!
//! A token's threshold rises while panel after panel of features passes by: as soon as k features have lower bounds above it, no feature whose upper
//! bound does not exceed it can be among the k best. Candidates wait in a list that is cut when it is full, and grows where cutting does not help,
//! so that it never overflows.

use std::ops::Range;

use crate::candidates::{Candidates, Screened};
use crate::encode::{Encoder, Rule};
use crate::error::{Error, filled};
use crate::quantize::{Bias, Inputs, Quantized};
use crate::simd::{Kernels, Screen, prefetch_near};
use crate::sparse::Sparse;
use crate::threads;

/// Tokens that meet a panel before the next one is read: they stay in the second-level cache, candidates included.
const BLOCK_TOKENS: usize = 264;
/// Where the panels do not fit the last-level cache, more tokens share the reading of one.
const BLOCK_TOKENS_FAR: usize = 528;
const FAR: usize = 16 << 20;
/// Panels that are met before a token's threshold is guessed for the first time, and how many times as many before each further guess.
const SAMPLE_PANELS: usize = 8;
const MORE_PANELS: usize = 4;
/// Multiplications of bytes below which one thread does all: about half a millisecond's worth.
const SMALL: usize = 1 << 25;
/// What f32 arithmetic adds to the error of a product of n numbers, relative to their norms: half a unit in the last place per addition, of which a lane of
/// sixteen makes n / 16, and a few at the end.
const ROUNDING: f32 = f32::EPSILON;

/// See [`crate::encode::encode`]. Batch rules are not for here.
pub fn encode(
    kernels: &Kernels,
    threads: usize,
    encoder: Encoder<'_>,
    quantized: &Quantized,
    rule: Rule<'_>,
    x: &[f32],
) -> Result<Sparse, Error> {
    let d = encoder.d_in;
    let n = x.len() / d;
    let threads = if n * quantized.bytes() < SMALL { 1 } else { threads };
    let job = Job { kernels, encoder, quantized, rule, bias: bias(encoder, quantized, rule)? };
    let at_most = if quantized.bytes() > FAR { BLOCK_TOKENS_FAR } else { BLOCK_TOKENS };
    let block = n.div_ceil(4).next_multiple_of(quantized.screen().tokens).min(at_most);
    let panels = quantized.panels();
    let blocks = match threads > 1 && n < 4 * quantized.screen().tokens {
        // Few tokens: the threads share the features.
        true => {
            let size = panels.div_ceil(threads);
            let ranges = (0..panels).step_by(size).map(|first| first..(first + size).min(panels));
            let mut found = threads::map(threads, ranges, |range| job.screen(x, range)).into_iter();
            let mut all = found.next().unwrap_or_else(|| Screening::new(&job, x))?;
            for found in found {
                for (all, found) in all.candidates.iter_mut().zip(&found?.candidates) {
                    all.append(found);
                }
            }
            vec![job.settle(x, all)]
        }
        false => threads::map(threads, x.chunks(block * d), |x| {
            let candidates = job.screen(x, 0..panels)?;
            Ok(job.settle(x, candidates))
        })
        .into_iter()
        .collect::<Result<_, Error>>()?,
    };
    Sparse::concatenate(&blocks, threads)
}

/// b_enc less the feature's cut, −∞ for features that are not encoded and in the lanes beyond the last; what adding those may be off by; and the largest sum of both in each panel.
fn bias(encoder: Encoder<'_>, quantized: &Quantized, rule: Rule<'_>) -> Result<[Vec<f32>; 3], Error> {
    let width = quantized.screen().features;
    let padded = quantized.panels() * width;
    let (mut bias, mut doubt) = (filled(padded, f32::NEG_INFINITY)?, filled(padded, 0.0)?);
    for i in (0..encoder.features()).map(|i| encoder.feature(i)) {
        let b = encoder.bias[i];
        let cut = if let Rule::AboveEach(cuts) = rule { cuts[i] } else { 0.0 };
        bias[i] = b - cut;
        doubt[i] = 4.0 * f32::EPSILON * (b.abs() + cut.abs());
    }
    let sums = |(bias, doubt): (&[f32], &[f32])| bias.iter().zip(doubt).map(|(b, d)| b + d).fold(f32::NEG_INFINITY, f32::max);
    let most = bias.chunks(width).zip(doubt.chunks(width)).map(sums).collect();
    Ok([bias, doubt, most])
}

struct Job<'a> {
    kernels: &'a Kernels,
    encoder: Encoder<'a>,
    quantized: &'a Quantized,
    rule: Rule<'a>,
    bias: [Vec<f32>; 3],
}

impl Job<'_> {
    /// Candidates of the tokens `x` among the features of some panels.
    fn screen(&self, x: &[f32], panels: Range<usize>) -> Result<Screening, Error> {
        let mut all = Screening::new(self, x)?;
        let Rule::TopK(k) = self.rule else {
            all.meet(self, panels);
            return Ok(all);
        };
        // A sample of the panels tells roughly where the threshold will end, so that not every feature on the way there has to be taken; a larger sample
        // tells it better.
        let mut guesses = vec![0.0; all.candidates.len()];
        let mut stride = 1;
        while panels.len() >= SAMPLE_PANELS * MORE_PANELS * stride {
            stride *= MORE_PANELS;
        }
        let mut met = None;
        loop {
            let is_new = |p: &usize| met.is_none_or(|stride| !(p - panels.start).is_multiple_of(stride));
            all.meet(self, panels.clone().step_by(stride).filter(is_new));
            if stride == 1 {
                break;
            }
            let expected = k as f64 / stride as f64;
            all.guess(self.quantized.screen(), (expected + 3.0 * expected.sqrt()).ceil() as usize + 1, &mut guesses);
            (met, stride) = (Some(stride), stride / MORE_PANELS);
        }
        // Where a guess was too high, again without one.
        let d = self.encoder.d_in;
        let too_high = |t: &usize| {
            let list = &all.candidates[*t];
            guesses[*t] > 0.0 && list.lower[..list.count].iter().filter(|&&lower| lower > guesses[*t]).count() < k
        };
        let missed: Vec<usize> = (0..guesses.len()).filter(too_high).collect();
        if !missed.is_empty() {
            let x: Vec<f32> = missed.iter().flat_map(|t| &x[t * d..][..d]).copied().collect();
            let mut again = Screening::new(self, &x)?;
            again.meet(self, panels);
            for (i, (&t, list)) in missed.iter().zip(again.candidates).enumerate() {
                all.candidates[t] = list;
                all.about.threshold[t] = again.about.threshold[i];
            }
        }
        Ok(all)
    }

    /// Computes what may be kept, and keeps what the rule says.
    fn settle(&self, x: &[f32], Screening { about, candidates, .. }: Screening) -> Sparse {
        let mut found = Sparse { starts: Vec::with_capacity(candidates.len() + 1), ..Sparse::default() };
        found.starts.push(0);
        let mut best = Best::default();
        for ((t, x), list) in x.chunks(self.encoder.d_in).enumerate().zip(candidates) {
            match self.rule {
                Rule::TopK(k) => self.settle_top(x, k, about.threshold[t], list, &mut best, &mut found),
                _ => {
                    let features = &list.feature[..list.count];
                    self.exactly(x, features, &mut best.z);
                    for (&i, &z) in features.iter().zip(&best.z) {
                        let kept = match self.rule {
                            Rule::AboveEach(cuts) => z > cuts[i as usize],
                            Rule::Above(cut) => z > cut,
                            _ => z > 0.0,
                        };
                        if kept {
                            found.indices.push(i);
                            found.values.push(z);
                        }
                    }
                }
            }
            found.starts.push(found.indices.len());
        }
        found
    }

    fn settle_top(&self, x: &[f32], k: usize, threshold: f32, mut list: Candidates, best: &mut Best, found: &mut Sparse) {
        self.quantized.screen().cut(&mut list, k, threshold);
        let features = &list.feature[..list.count];
        self.exactly(x, features, &mut best.z);
        best.keys.clear();
        best.keys.extend(features.iter().zip(&best.z).filter(|&(_, &z)| z > 0.0).map(|(&i, &z)| key(i, z)));
        if best.keys.len() > k {
            best.keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
            best.keys.truncate(k);
        }
        best.keys.sort_unstable_by_key(|&key| place(key));
        found.indices.extend(best.keys.iter().map(|&key| place(key)));
        found.values.extend(best.keys.iter().map(|&key| value(key)));
    }

    /// The pre-activations of `features`.
    fn exactly(&self, x: &[f32], features: &[u32], z: &mut Vec<f32>) {
        z.resize(features.len(), 0.0);
        self.kernels.dots(self.encoder.weights, features, x, z);
        for (z, &i) in z.iter_mut().zip(features) {
            *z += self.encoder.bias[i as usize];
        }
    }
}

/// Tokens on their way past the panels.
struct Screening {
    inputs: Inputs,
    about: Screened,
    candidates: Vec<Candidates>,
}

impl Screening {
    fn new(job: &Job<'_>, x: &[f32]) -> Result<Self, Error> {
        let (screen, d) = (job.quantized.screen(), job.encoder.d_in);
        let inputs = Inputs::new(screen, x, d)?;
        let rounding = ROUNDING * (d as f32 / 16.0 + 32.0);
        let mut about = Screened::default();
        for rounded in &inputs.rounded {
            let inverse = 1.0 / rounded.scale;
            about.inverse.push(inverse);
            about.error.push(rounded.error + rounded.norm * inverse * rounding);
            about.norm.push(rounded.norm_in_steps);
            about.threshold.push(if let Rule::Above(cut) = job.rule { cut * inverse * (1.0 - 4.0 * f32::EPSILON) } else { 0.0 });
        }
        let padded = inputs.rounded.len().next_multiple_of(screen.tokens);
        for numbers in [&mut about.inverse, &mut about.error, &mut about.norm] {
            numbers.resize(padded, 0.0);
        }
        about.threshold.resize(padded, f32::INFINITY); // nothing comes of these
        let limit = if let Rule::TopK(k) = job.rule { 3 * k + 32 } else { usize::MAX };
        let candidates = inputs.rounded.iter().map(|_| Candidates::new(limit)).collect();
        Ok(Screening { inputs, about, candidates })
    }

    fn meet(&mut self, job: &Job<'_>, panels: impl Iterator<Item = usize>) {
        let screen = job.quantized.screen();
        let width = screen.features;
        let k = if let Rule::TopK(k) = job.rule { k } else { usize::MAX };
        let mut panels = panels.peekable();
        while let Some(p) = panels.next() {
            let panel = job.quantized.panel(p);
            // Each tile asks for a part of the next panel.
            let next = panels.peek().map_or(&[][..], |&next| job.quantized.panel(next).bytes);
            let mut parts = next.chunks(next.len().div_ceil(self.candidates.len().div_ceil(screen.tokens)).max(1));
            let range = p * width..(p + 1) * width;
            let bias = Bias { bias: &job.bias[0][range.clone()], doubt: &job.bias[1][range], most: job.bias[2][p] };
            let tiles = self.inputs.tiles().zip(self.candidates.chunks_mut(screen.tokens));
            for (tile, (inputs, candidates)) in tiles.enumerate() {
                prefetch_near(parts.next().unwrap_or_default());
                let first = tile * screen.tokens;
                let mut grown = screen.tile(panel, bias, inputs, first, &self.about, candidates);
                while grown != 0 {
                    let t = grown.trailing_zeros() as usize;
                    let threshold = &mut self.about.threshold[first + t];
                    candidates[t].settle(|list| *threshold = screen.cut(list, k, *threshold));
                    grown &= grown - 1;
                }
            }
        }
    }

    /// Raises each token's threshold to what `m` lower bounds exceed so far, and tells where that is more than it was.
    fn guess(&mut self, screen: &Screen, m: usize, guesses: &mut [f32]) {
        for ((list, threshold), guess) in self.candidates.iter_mut().zip(&mut self.about.threshold).zip(guesses) {
            let raised = screen.cut(list, m, *threshold);
            if raised > *threshold {
                (*threshold, *guess) = (raised, raised);
            }
        }
    }
}

/// What is known exactly of one token.
#[derive(Default)]
struct Best {
    /// Pre-activations of the candidates.
    z: Vec<f32>,
    /// The positive ones with their features: larger keys are better.
    keys: Vec<u64>,
}

/// The bits of a positive number, which order as the numbers do, above the complement of its place: of equal numbers, the first is the largest.
pub(crate) fn key(place: u32, z: f32) -> u64 {
    (u64::from(z.to_bits()) << 32) | u64::from(!place)
}

pub(crate) fn value(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

pub(crate) fn place(key: u64) -> u32 {
    !(key as u32)
}
