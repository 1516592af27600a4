//! One training step: forward, backward over the active (token, feature) pairs alone, and then [`crate::update`].
//!
//! With e_t = x̂_t − x_t, n tokens, and L = mean ‖e_t‖² + λ mean Σ_i f_ti ‖W_dec[i]‖:
//! ```text
//! ∂L/∂f_ti    = 2/n e_t · W_dec[i] + λ/n ‖W_dec[i]‖
//! ∂L/∂W_dec[i] = Σ_t 2/n f_ti e_t + λ/n (Σ_t f_ti) W_dec[i] / ‖W_dec[i]‖
//! ∂L/∂b_enc[i] = Σ_t ∂L/∂f_ti                         over the tokens where i is active
//! ∂L/∂W_enc[i] = Σ_t ∂L/∂f_ti (x_t − b_dec)
//! ∂L/∂b_dec   = Σ_t 2/n e_t − Σ_i ∂L/∂b_enc[i] W_enc[i]   the latter if b_dec shifts the encoder's input
//! ```
//! Matryoshka adds the squared errors of reconstructions by prefixes of the features. A feature takes part in the reconstructions of all prefixes that hold
//! it, so e_t above is, for it, the sum of their errors: one matrix of errors for each group of features between two prefixes.
//!
//! JumpReLU's threshold θ has the straight-through derivative −1/ε (θ ∂L/∂f + λ₀/n) at pre-activations within ε/2 of it (Rajamanoharan et al. 2024, eq. 11
//! and 12); those are encoded besides the active ones, with f = 0 where they are not.
//!
//! The aux-k loss of dead features has the same form as the first, with another error and no output bias. Like SAELens 6.54's `calculate_topk_aux_loss`, it
//! takes the residual x − x̂ as a constant, scales by min(dead / k_aux, 1), decodes without b_dec, and lets its gradient reach b_dec through the encoder's
//! shift. Unlike it, and like Gao et al. 2024, it keeps only pre-activations > 0.

use std::time::Instant;

use crate::buffer::Buffer;
use crate::decode;
use crate::encode::{self, Activation, Rule};
use crate::error::{Error, filled};
use crate::sae::{Config, Sae};
use crate::simd::{Backward, GROUP, Kernels};
use crate::sparse::Sparse;
use crate::threads;

/// Features whose gradients one piece of work computes: with theirs and those of [`DENSE_TOKENS`] tokens, the rows fit the second-level cache.
const PIECE: usize = 32;
/// Tokens that such a piece takes at a time, while features are dense.
const DENSE_TOKENS: usize = 64;

/// Hyper-parameters of one step; `StepOptions` of engine.ts.
#[derive(Clone, Debug)]
pub struct StepOptions {
    /// 1-based count of Adam steps.
    pub step: f64,
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub max_gradient_norm: f64,
    pub l1: f64,
    pub l0: f64,
    pub bandwidth: f64,
    pub threshold_rate: f64,
    pub prefixes: Vec<u32>,
    pub unit_decoder: bool,
    pub dead_after: f64,
    pub aux_coefficient: f64,
    pub aux_k: usize,
}

/// `StepStatistics` of engine.ts.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    pub reconstruction: f64,
    pub nested: f64,
    pub sparsity: f64,
    pub auxiliary: f64,
    pub l0: f64,
    pub gradient_norm: f64,
    pub dead: usize,
    pub seconds: Seconds,
}

/// What the stages took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seconds {
    pub encode: f64,
    pub decode: f64,
    pub backward: f64,
    pub update: f64,
}

/// Memory that is needed in every step, and would cost as much to get anew as to compute with.
#[derive(Default)]
pub(crate) struct Scratch {
    shifted: Buffer<f32>,
    errors: Buffer<f32>,
    aux_errors: Buffer<f32>,
    g_enc: Buffer<f32>,
    g_dec: Buffer<f32>,
}

/// One loss as the backward pass sees it: which pairs take part, and the error that they made.
struct Branch<'a> {
    /// By feature: pre-activations.
    columns: &'a Sparse,
    /// For each group of features, where it ends, and its errors, [n, dIn].
    groups: Vec<(usize, &'a [f32])>,
    scale: f32,
    /// λ / n
    penalty: f32,
    /// ‖W_dec[i]‖, [dSae]; empty where there is no penalty.
    norms: &'a [f32],
    /// Of JumpReLU.
    jump: Option<Jump<'a>>,
    /// Whether features that take part count as active.
    fires: bool,
}

#[derive(Clone, Copy)]
struct Jump<'a> {
    /// [dSae]
    threshold: &'a [f32],
    bandwidth: f32,
    /// λ₀ / n
    penalty: f32,
}

/// The gradient. Of the features, only those that some token touched have rows.
pub(crate) struct Gradient<'a> {
    /// Ascending.
    pub touched: Vec<u32>,
    /// Which of them were active, other than for the aux-k loss.
    pub fired: Vec<bool>,
    /// [touched, dIn]
    pub w_enc: &'a [f32],
    pub b_enc: Vec<f32>,
    pub w_dec: &'a [f32],
    pub b_dec: Vec<f32>,
    /// [touched], or empty where thresholds have no gradient.
    pub threshold: Vec<f32>,
}

impl Sae {
    /// One Adam step on the batch `x` [n, dIn]. After an error, the autoencoder is as it was before.
    pub fn step(&mut self, x: &[f32], options: &StepOptions) -> Result<Statistics, Error> {
        let n = self.check_input(x)?;
        if n == 0 {
            return Err(Error::Shape("a training step needs at least one token".to_owned()));
        }
        self.check_prefixes(&options.prefixes)?;
        self.prepare()?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = self.step_with(x, n, options, &mut scratch);
        self.scratch = scratch;
        result
    }

    fn check_prefixes(&self, prefixes: &[u32]) -> Result<(), Error> {
        let ascending = prefixes.windows(2).all(|pair| pair[0] < pair[1]);
        let inside =
            prefixes.first().is_none_or(|&first| first > 0) && prefixes.last().is_none_or(|&last| (last as usize) < self.config.d_sae);
        match ascending && inside {
            true => Ok(()),
            false => Err(Error::Shape(format!("expected ascending prefixes from 1 to below {}, found {prefixes:?}", self.config.d_sae))),
        }
    }

    fn step_with(&mut self, x: &[f32], n: usize, options: &StepOptions, scratch: &mut Scratch) -> Result<Statistics, Error> {
        let Config { d_in, d_sae, threads, kernels, activation, .. } = self.config;
        let Scratch { shifted, errors, aux_errors, g_enc, g_dec } = scratch;
        let mut seconds = Seconds::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();

        let inputs = self.shift(x, shifted)?;
        let quantized = self.quantized()?;
        let cuts: Vec<f32>;
        let rule = match activation {
            Activation::TopK(k) => Rule::TopK(k),
            Activation::BatchTopK(k) => Rule::BatchTopK(k * n),
            Activation::Relu => Rule::Above(0.0),
            Activation::JumpRelu => {
                cuts = self.parameters.threshold.iter().map(|threshold| threshold - 0.5 * options.bandwidth as f32).collect();
                Rule::AboveEach(&cuts)
            }
        };
        let near = encode::encode(&kernels, threads, self.encoder(quantized, None), rule, inputs)?;
        let jump = (activation == Activation::JumpRelu).then_some(Jump {
            threshold: &self.parameters.threshold,
            bandwidth: options.bandwidth as f32,
            penalty: (options.l0 / n as f64) as f32,
        });
        let above = match jump {
            Some(jump) => Some(near.filter(|i, z| z > jump.threshold[i as usize].max(0.0))?),
            None => None,
        };
        let active = above.as_ref().unwrap_or(&near);
        seconds.encode = lap();

        let norms = match options.l1 != 0.0 {
            true => self.decoder_norms()?,
            false => Vec::new(),
        };
        let levels: Vec<usize> = options.prefixes.iter().map(|&prefix| prefix as usize).chain([d_sae]).collect();
        errors.grow(levels.len() * x.len())?;
        let errors = &mut errors[..levels.len() * x.len()];
        let forward = self.reconstruct(x, active, &norms, &levels, errors);
        let columns = near.transpose(d_sae, threads)?;
        let l0 = active.entries() as f64 / n as f64;
        let least = active.values.iter().copied().min_by(f32::total_cmp);

        let dead: Vec<u32> = (0..d_sae as u32).filter(|&i| f64::from(self.tokens_since_fired[i as usize]) > options.dead_after).collect();
        let aux_k = options.aux_k.min(dead.len());
        let aux_scale = options.aux_coefficient * (dead.len() as f64 / options.aux_k as f64).min(1.0);
        let whole = &errors[(levels.len() - 1) * x.len()..];
        let mut auxiliary = 0.0;
        let mut aux = None;
        if options.aux_coefficient != 0.0 && aux_k > 0 {
            let chosen = encode::encode(&kernels, threads, self.encoder(None, Some(&dead)), Rule::TopK(aux_k), inputs)?;
            aux_errors.grow(x.len())?;
            let aux_errors = &mut aux_errors[..x.len()];
            auxiliary = aux_scale * self.reconstruct_error(whole, &chosen, aux_errors) / n as f64;
            aux = Some((chosen.transpose(d_sae, threads)?, &*aux_errors));
        }
        seconds.decode = lap();

        let mut branches = vec![Branch {
            columns: &columns,
            groups: levels.iter().copied().zip(errors.chunks(x.len())).collect(),
            scale: (2.0 / n as f64) as f32,
            penalty: (options.l1 / n as f64) as f32,
            norms: &norms,
            jump,
            fires: true,
        }];
        branches.extend(aux.as_ref().map(|(columns, errors)| Branch {
            columns,
            groups: vec![(d_sae, *errors)],
            scale: (2.0 * aux_scale / n as f64) as f32,
            penalty: 0.0,
            norms: &[],
            jump: None,
            fires: false,
        }));
        let touched: Vec<u32> =
            (0..d_sae as u32).filter(|&i| branches.iter().any(|branch| !branch.columns.row(i as usize).0.is_empty())).collect();
        g_enc.grow(touched.len() * d_in)?;
        g_dec.grow(touched.len() * d_in)?;
        let (gradient, squares) = self.backward(inputs, &branches, touched, forward.error_sum, options.unit_decoder, g_enc, g_dec)?;
        seconds.backward = lap();

        let mut statistics = Statistics {
            reconstruction: forward.squares[levels.len() - 1] / n as f64,
            nested: forward.squares[..levels.len() - 1].iter().sum::<f64>() / n as f64,
            sparsity: options.l1 * forward.penalty / n as f64 + options.l0 * l0,
            auxiliary,
            l0,
            gradient_norm: squares.sqrt(),
            dead: dead.len(),
            seconds,
        };
        let loss = statistics.reconstruction + statistics.nested + statistics.sparsity + statistics.auxiliary;
        if !loss.is_finite() || !squares.is_finite() {
            return Err(Error::NonFinite(format!(
                "the loss is {loss} and the norm of its gradient {}, although the activations are finite. \
                 The weights are as before this step; use a lower learning rate or smaller activations.",
                statistics.gradient_norm
            )));
        }
        self.update(&gradient, n, statistics.gradient_norm, options)?;
        if let (Activation::BatchTopK(_), Some(least)) = (activation, least) {
            let threshold = &mut self.parameters.threshold[0];
            *threshold = ((1.0 - options.threshold_rate) * f64::from(*threshold) + options.threshold_rate * f64::from(least)) as f32;
        }
        statistics.seconds.update = lap();
        Ok(statistics)
    }

    /// ‖W_dec[i]‖, [dSae].
    fn decoder_norms(&self) -> Result<Vec<f32>, Error> {
        let Config { d_in, d_sae, threads, kernels, .. } = self.config;
        let mut norms = filled(d_sae, 0f32)?;
        let pieces = norms.chunks_mut(1024).zip(self.parameters.w_dec.chunks(1024 * d_in));
        threads::map(threads, pieces, |(norms, rows)| {
            for (norm, row) in norms.iter_mut().zip(rows.chunks(d_in)) {
                *norm = kernels.dot(row, row).sqrt();
            }
        });
        Ok(norms)
    }

    /// For each level, which ends at a feature, writes to its part of `errors` the sum of x̂ − x over this level and those above it.
    fn reconstruct(&self, x: &[f32], active: &Sparse, norms: &[f32], levels: &[usize], errors: &mut [f32]) -> Forward {
        let Config { d_in, threads, kernels, .. } = self.config;
        let block = decode::BLOCK_TOKENS;
        let mut of_level: Vec<_> = errors.chunks_mut(x.len()).map(|errors| errors.chunks_mut(block * d_in)).collect();
        let blocks: Vec<Vec<&mut [f32]>> =
            (0..x.len().div_ceil(block * d_in)).map(|_| of_level.iter_mut().filter_map(Iterator::next).collect()).collect();
        let parts = threads::map(threads, blocks.into_iter().zip(x.chunks(block * d_in)).enumerate(), |(b, (mut errors, x))| {
            let range = b * block..b * block + x.len() / d_in;
            let mut part = Forward { squares: Vec::with_capacity(levels.len()), penalty: 0.0, error_sum: vec![0.0; d_in] };
            let mut from = 0;
            for (level, &end) in levels.iter().enumerate() {
                let (below, rest) = errors.split_at_mut(level);
                let own = &mut rest[0];
                match below.last() {
                    Some(below) => own.copy_from_slice(below),
                    None => {
                        for (error, x) in own.chunks_mut(d_in).zip(x.chunks(d_in)) {
                            for ((error, x), b) in error.iter_mut().zip(x).zip(&self.parameters.b_dec) {
                                *error = b - x;
                            }
                        }
                    }
                }
                decode::add_features(&kernels, &self.parameters.w_dec, d_in, active, range.clone(), from..end, own);
                part.squares.push(own.chunks(d_in).map(|error| f64::from(kernels.dot(error, error))).sum());
                from = end;
            }
            for level in (1..levels.len()).rev() {
                let (below, above) = errors.split_at_mut(level);
                kernels.axpy(below[level - 1], 1.0, above[0]);
            }
            for error in errors[0].chunks(d_in) {
                kernels.axpy(&mut part.error_sum, 1.0, error);
            }
            if !norms.is_empty() {
                let entries = active.starts[range.start]..active.starts[range.end];
                let (indices, values) = (&active.indices[entries.clone()], &active.values[entries]);
                part.penalty = indices.iter().zip(values).map(|(&i, &f)| f64::from(f * norms[i as usize])).sum();
            }
            part
        });
        let mut whole = Forward { squares: vec![0.0; levels.len()], penalty: 0.0, error_sum: vec![0.0; d_in] };
        for part in parts {
            whole.squares.iter_mut().zip(part.squares).for_each(|(sum, squares)| *sum += squares);
            whole.penalty += part.penalty;
            kernels.axpy(&mut whole.error_sum, 1.0, &part.error_sum);
        }
        whole
    }

    /// Writes ê − (x − x̂), the error of the dead features' reconstruction ê of the error, to `aux_errors`; returns Σ_t of its squared norm.
    fn reconstruct_error(&self, errors: &[f32], chosen: &Sparse, aux_errors: &mut [f32]) -> f64 {
        let Config { d_in, threads, kernels, .. } = self.config;
        let block = decode::BLOCK_TOKENS;
        let blocks = aux_errors.chunks_mut(block * d_in).zip(errors.chunks(block * d_in)).enumerate();
        let parts = threads::map(threads, blocks, |(b, (aux_errors, errors))| {
            aux_errors.copy_from_slice(errors);
            let range = b * block..b * block + errors.len() / d_in;
            decode::add_features(&kernels, &self.parameters.w_dec, d_in, chosen, range, 0..self.config.d_sae, aux_errors);
            aux_errors.chunks(d_in).map(|e| f64::from(kernels.dot(e, e))).sum::<f64>()
        });
        parts.into_iter().sum()
    }

    /// The gradient, whose rows are written to `g_enc` and `g_dec`, and its squared norm.
    #[allow(clippy::too_many_arguments)] // two of them are memory
    fn backward<'a>(
        &self,
        inputs: &[f32],
        branches: &[Branch<'_>],
        touched: Vec<u32>,
        error_sum: Vec<f32>,
        unit_decoder: bool,
        g_enc: &'a mut [f32],
        g_dec: &'a mut [f32],
    ) -> Result<(Gradient<'a>, f64), Error> {
        let Config { d_in, threads, kernels, apply_b_dec_to_input, .. } = self.config;
        let jumps = branches[0].jump.is_some();
        let mut b_enc = filled(touched.len(), 0f32)?;
        let mut threshold = filled(if jumps { touched.len() } else { 0 }, 0f32)?;
        let mut fired = filled(touched.len(), false)?;

        let rows = PIECE * d_in;
        let length = touched.len() * d_in;
        let mut of_thresholds = threshold.chunks_mut(PIECE);
        let pieces: Vec<_> = (touched.chunks(PIECE).zip(g_enc[..length].chunks_mut(rows).zip(g_dec[..length].chunks_mut(rows))))
            .zip(b_enc.chunks_mut(PIECE).zip(fired.chunks_mut(PIECE)))
            .map(|((features, (w_enc, w_dec)), (b_enc, fired))| Piece {
                features,
                w_enc,
                w_dec,
                b_enc,
                fired,
                started: [false; PIECE],
                threshold: of_thresholds.next().unwrap_or_default(),
            })
            .collect();
        let parts = threads::map(threads, pieces, |mut piece| {
            for branch in branches {
                self.add_branch(inputs, branch, &mut piece);
            }
            let mut part = Part { squares: 0.0, shift: vec![0.0; if apply_b_dec_to_input { d_in } else { 0 }] };
            let rows = piece.w_enc.chunks(d_in).zip(piece.w_dec.chunks_mut(d_in)).zip(&*piece.b_enc);
            for (slot, (&i, ((g_enc, g_dec), &g_bias))) in piece.features.iter().zip(rows).enumerate() {
                let i = i as usize;
                let row = &self.parameters.w_dec[i * d_in..][..d_in];
                for branch in branches {
                    let (_, activations) = branch.columns.row(i);
                    // Where the norm is 0 it has no derivative; like PyTorch, take 0.
                    if let Some(&norm) = branch.norms.get(i).filter(|&&norm| norm > 0.0) {
                        let total: f32 = activations.iter().map(|&z| branch.activation(i, z)).sum();
                        kernels.axpy(g_dec, branch.penalty * total / norm, row);
                    }
                }
                if unit_decoder {
                    remove_component(&kernels, g_dec, row);
                }
                if apply_b_dec_to_input {
                    kernels.axpy(&mut part.shift, -g_bias, &self.parameters.w_enc[i * d_in..][..d_in]);
                }
                let g_threshold = piece.threshold.get(slot).map_or(0.0, |&g| f64::from(g));
                part.squares += f64::from(kernels.dot(g_enc, g_enc))
                    + f64::from(kernels.dot(g_dec, g_dec))
                    + f64::from(g_bias) * f64::from(g_bias)
                    + g_threshold * g_threshold;
            }
            part
        });

        let mut b_dec = error_sum;
        b_dec.iter_mut().for_each(|g| *g *= branches[0].scale);
        let mut squares = 0.0;
        for part in parts {
            squares += part.squares;
            if apply_b_dec_to_input {
                kernels.axpy(&mut b_dec, 1.0, &part.shift);
            }
        }
        squares += b_dec.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
        Ok((Gradient { touched, fired, w_enc: g_enc, b_enc, w_dec: g_dec, b_dec, threshold }, squares))
    }

    /// Adds the gradient of one branch for a piece's features.
    fn add_branch(&self, inputs: &[f32], branch: &Branch<'_>, piece: &mut Piece<'_>) {
        let Config { d_in, kernels, .. } = self.config;
        let n = inputs.len() / d_in;
        let columns: Vec<(&[u32], &[f32])> = piece.features.iter().map(|&i| branch.columns.row(i as usize)).collect();
        let pairs: usize = columns.iter().map(|(tokens, _)| tokens.len()).sum();
        let dense = pairs * 16 > n * piece.features.len();
        let block = if dense { DENSE_TOKENS } else { n };
        let mut next = vec![0usize; columns.len()];
        for end in (block..n + block).step_by(block) {
            for (slot, &(tokens, z)) in columns.iter().enumerate() {
                let i = piece.features[slot] as usize;
                let errors = branch.errors(i);
                let from = next[slot];
                let to = from + tokens[from..].partition_point(|&t| (t as usize) < end);
                next[slot] = to;
                let g_enc = &mut piece.w_enc[slot * d_in..][..d_in];
                let g_dec = &mut piece.w_dec[slot * d_in..][..d_in];
                let penalty = branch.norms.get(i).map_or(0.0, |norm| branch.penalty * norm);
                for at in (from..to).step_by(GROUP) {
                    let count = GROUP.min(to - at);
                    // This feature's next tokens, or the next feature's first.
                    let soon = match tokens.get(at + GROUP..) {
                        Some(soon) if !soon.is_empty() => soon,
                        _ => columns.get(slot + 1).map_or(tokens, |&(next, _)| if next.is_empty() { tokens } else { next }),
                    };
                    let soon = |j: usize| soon[j.min(soon.len() - 1)] as usize * d_in;
                    let token = |j: usize| tokens[at + j.min(count - 1)] as usize * d_in;
                    let f: [f32; GROUP] = std::array::from_fn(|j| branch.activation(i, z[at + j.min(count - 1)]));
                    let of_f = kernels.backward(
                        Backward {
                            count,
                            f,
                            inputs: std::array::from_fn(|j| &inputs[token(j)..][..d_in]),
                            errors: std::array::from_fn(|j| &errors[token(j)..][..d_in]),
                            next_inputs: std::array::from_fn(|j| &inputs[soon(j)..][..d_in]),
                            next_errors: std::array::from_fn(|j| &errors[soon(j)..][..d_in]),
                            first: !std::mem::replace(&mut piece.started[slot], true),
                            scale: branch.scale,
                            penalty,
                            w_dec: &self.parameters.w_dec[i * d_in..][..d_in],
                        },
                        g_dec,
                        g_enc,
                    );
                    for j in 0..count {
                        if f[j] > 0.0 {
                            piece.b_enc[slot] += of_f[j];
                            piece.fired[slot] |= branch.fires;
                        }
                        if let Some(Jump { threshold, bandwidth, penalty }) = branch.jump
                            && (z[at + j] - threshold[i]).abs() < 0.5 * bandwidth
                        {
                            piece.threshold[slot] -= (threshold[i] * of_f[j] + penalty) / bandwidth;
                        }
                    }
                }
            }
        }
    }
}

impl<'a> Branch<'a> {
    /// The errors that feature `i` contributed to.
    fn errors(&self, i: usize) -> &'a [f32] {
        self.groups[self.groups.partition_point(|&(end, _)| end <= i)].1
    }

    /// The activation of feature `i` at a pre-activation that was encoded.
    fn activation(&self, i: usize, z: f32) -> f32 {
        match self.jump {
            Some(jump) if z <= jump.threshold[i].max(0.0) => 0.0,
            _ => z,
        }
    }
}

/// Features of one piece of the backward pass, and their part of the gradient.
struct Piece<'a> {
    features: &'a [u32],
    w_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
    b_enc: &'a mut [f32],
    fired: &'a mut [bool],
    /// Which rows have been written.
    started: [bool; PIECE],
    /// Empty where thresholds have no gradient.
    threshold: &'a mut [f32],
}

/// What the forward pass knows, summed over tokens.
struct Forward {
    /// Σ_t ‖e_t‖² of each level.
    squares: Vec<f64>,
    /// Σ_t Σ_i f_ti ‖W_dec[i]‖
    penalty: f64,
    /// Σ_t e_t, summed over the levels, [dIn]
    error_sum: Vec<f32>,
}

/// What a piece of the backward pass adds to the sums over features.
struct Part {
    squares: f64,
    /// −Σ_i ∂L/∂b_enc[i] W_enc[i], [dIn]
    shift: Vec<f32>,
}

/// Removes from `g` its component along `w`.
fn remove_component(kernels: &Kernels, g: &mut [f32], w: &[f32]) {
    let squared = kernels.dot(w, w);
    if squared > 0.0 {
        let along = kernels.dot(g, w) / squared;
        kernels.axpy(g, -along, w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::Precision;

    fn options() -> StepOptions {
        StepOptions {
            step: 1.0,
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            max_gradient_norm: 1.0,
            l1: 0.0,
            l0: 0.0,
            bandwidth: 0.5,
            threshold_rate: 0.01,
            prefixes: Vec::new(),
            unit_decoder: true,
            dead_after: 100.0,
            aux_coefficient: 0.03,
            aux_k: 8,
        }
    }

    fn sae(threads: usize, activation: Activation, moments: Precision) -> Sae {
        let mut sae =
            Sae::new(Config { d_in: 21, d_sae: 90, activation, apply_b_dec_to_input: true, threads, moments, kernels: Kernels::best() })
                .unwrap();
        for (i, (enc, dec)) in sae.parameters.w_enc.iter_mut().zip(sae.parameters.w_dec.iter_mut()).enumerate() {
            *dec = (i as f32 * 1.7).sin() * 0.3;
            *enc = *dec;
        }
        sae
    }

    /// Tokens that each are the sum of three of forty directions.
    fn tokens(n: usize, seed: usize) -> Vec<f32> {
        let direction = |which: usize, c: usize| ((which * 31 + c * 7) as f32 * 0.9).sin();
        (0..n * 21).map(|i| (0..3).map(|j| direction((i / 21 * 13 + j * 29 + seed * 3) % 40, i % 21)).sum()).collect()
    }

    #[test]
    fn training_lowers_the_loss_and_threads_change_nothing() {
        for (activation, l1, l0, prefixes, moments) in [
            (Activation::TopK(4), 0.0, 0.0, vec![], Precision::F32),
            (Activation::TopK(4), 0.0, 0.0, vec![], Precision::Bf16),
            (Activation::Relu, 0.1, 0.0, vec![], Precision::F32),
            (Activation::BatchTopK(4), 0.0, 0.0, vec![20, 45], Precision::F32),
            (Activation::JumpRelu, 0.0, 0.05, vec![], Precision::F32),
        ] {
            let mut both = [1, 3].map(|threads| sae(threads, activation, moments));
            let mut losses = Vec::new();
            for step in 1..=150u32 {
                let options =
                    StepOptions { step: f64::from(step), l1, l0, prefixes: prefixes.clone(), unit_decoder: l1 == 0.0, ..options() };
                let x = tokens(300, step as usize);
                let [one, three] = both.each_mut().map(|sae| sae.step(&x, &options).unwrap());
                assert_eq!((one.reconstruction, one.gradient_norm), (three.reconstruction, three.gradient_norm));
                losses.push(one.reconstruction + one.nested + one.sparsity);
            }
            assert!(losses[149] < 0.35 * losses[0], "{activation:?}: {} then {}", losses[0], losses[149]);
            assert_eq!(both[0].parameters.w_dec[..], both[1].parameters.w_dec[..]);
        }
    }

    #[test]
    fn an_error_changes_nothing() {
        let mut sae = sae(2, Activation::TopK(4), Precision::F32);
        let before = sae.parameters.w_enc.to_vec();
        let mut x = tokens(10, 0);
        assert!(matches!(sae.step(&x[..20], &options()), Err(Error::Shape(_))));
        assert!(matches!(sae.step(&x, &StepOptions { prefixes: vec![9, 4], ..options() }), Err(Error::Shape(_))));
        x[30] = 1e30;
        assert!(matches!(sae.step(&x, &options()), Err(Error::NonFinite(_))));
        x[30] = f32::NAN;
        let Err(Error::NonFinite(message)) = sae.step(&x, &options()) else { panic!("NaN went unseen") };
        assert!(message.starts_with("activations: row 1, column 9 is NaN."), "{message}");
        assert_eq!(sae.parameters.w_enc[..], before);
    }
}
