//! One training step: forward, backward, and then [`crate::update`]. Forward and [`crate::backward`] visit the active (token, feature) pairs alone, or,
//! while too many are active for that to pay, [`crate::dense`] multiplies matrices.
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

use crate::backward::{Branch, Gradient, Jump, Terms};
use crate::buffer::Buffer;
use crate::decode;
use crate::dense::{self, Blocks};
use crate::encode::{self, Activation, Rule};
use crate::error::{Error, filled};
use crate::sae::{Config, Sae};
use crate::sparse::Sparse;
use crate::threads;

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
    blocks: Blocks,
}

/// What the forward pass knows, summed over tokens.
pub(crate) struct Forward {
    /// How many activations are > 0.
    pub active: usize,
    /// Σ_t ‖e_t‖² of each level.
    pub squares: Vec<f64>,
    /// Σ_t Σ_i f_ti ‖W_dec[i]‖
    pub penalty: f64,
    /// Σ_t e_t, summed over the levels, [dIn]
    pub error_sum: Vec<f32>,
}

/// Tells the time since it was last asked.
pub(crate) struct Clock(Instant);

impl Clock {
    pub fn lap(&mut self) -> f64 {
        std::mem::replace(&mut self.0, Instant::now()).elapsed().as_secs_f64()
    }
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
        let result = self.step_with(x, n, options, &mut scratch, dense::SHARE);
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

    /// Where more than the share `dense` of the pre-activations is kept, matrices are multiplied.
    fn step_with(&mut self, x: &[f32], n: usize, options: &StepOptions, scratch: &mut Scratch, dense: f64) -> Result<Statistics, Error> {
        let Config { d_in, d_sae, threads, kernels, activation, .. } = self.config;
        let Scratch { shifted, errors, aux_errors, g_enc, g_dec, blocks } = scratch;
        let mut seconds = Seconds::default();
        let mut clock = Clock(Instant::now());

        let inputs = self.shift(x, shifted)?;
        let quantized = self.quantized()?;
        let norms = match options.l1 != 0.0 {
            true => self.decoder_norms()?,
            false => Vec::new(),
        };
        let terms = Terms {
            scale: (2.0 / n as f64) as f32,
            penalty: (options.l1 / n as f64) as f32,
            norms: &norms,
            jump: (activation == Activation::JumpRelu).then_some(Jump {
                threshold: &self.parameters.threshold,
                bandwidth: options.bandwidth as f32,
                penalty: (options.l0 / n as f64) as f32,
            }),
        };
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
        let encoder = self.encoder(quantized, None);
        let share = encode::share(&kernels, threads, encoder, rule, inputs)?;
        let levels: Vec<usize> = options.prefixes.iter().map(|&prefix| prefix as usize).chain([d_sae]).collect();
        errors.grow(levels.len() * x.len())?;
        let errors = &mut errors[..levels.len() * x.len()];

        let dead: Vec<u32> = (0..d_sae as u32).filter(|&i| f64::from(self.tokens_since_fired[i as usize]) > options.dead_after).collect();
        let aux_k = options.aux_k.min(dead.len());
        let aux_scale = options.aux_coefficient * (dead.len() as f64 / options.aux_k as f64).min(1.0);
        let has_aux = options.aux_coefficient != 0.0 && aux_k > 0;

        let mut least = None;
        // What the forward pass leaves to the backward pass: pairs by feature, or the gradient but for the aux-k loss.
        let (forward, columns, gradient) = if levels.len() == 1 && share.is_some_and(|share| share > dense) {
            let mut gradient = Gradient::new((0..d_sae as u32).collect(), d_in, &terms, [g_enc, g_dec])?;
            seconds.encode = clock.lap();
            let forward =
                self.dense(x, inputs, &terms, has_aux.then_some(&mut *errors), &mut gradient, blocks, (&mut clock, &mut seconds))?;
            (forward, None, Some(gradient))
        } else {
            let near = encode::encode_share(&kernels, threads, encoder, rule, inputs, share)?;
            let above = match terms.jump {
                Some(jump) => Some(near.filter(|i, z| z > jump.cut(i as usize))?),
                None => None,
            };
            let active = above.as_ref().unwrap_or(&near);
            seconds.encode = clock.lap();
            let forward = self.reconstruct(x, active, &norms, &levels, errors);
            least = active.values.iter().copied().min_by(f32::total_cmp);
            (forward, Some(near.transpose(d_sae, threads)?), None)
        };
        let l0 = forward.active as f64 / n as f64;

        let whole = &errors[(levels.len() - 1) * x.len()..];
        let mut auxiliary = 0.0;
        let mut aux = None;
        if has_aux {
            let chosen = encode::encode(&kernels, threads, self.encoder(quantized, Some(&dead)), Rule::TopK(aux_k), inputs)?;
            aux_errors.grow(x.len())?;
            let aux_errors = &mut aux_errors[..x.len()];
            auxiliary = aux_scale * self.reconstruct_error(whole, &chosen, aux_errors) / n as f64;
            aux = Some((chosen.transpose(d_sae, threads)?, &*aux_errors));
        }
        seconds.decode += clock.lap();

        let mut branches = Vec::new();
        if let Some(columns) = &columns {
            branches.push(Branch { columns, groups: levels.iter().copied().zip(errors.chunks(x.len())).collect(), terms, fires: true });
        }
        branches.extend(aux.as_ref().map(|(columns, errors)| Branch {
            columns,
            groups: vec![(d_sae, *errors)],
            terms: Terms { scale: (2.0 * aux_scale / n as f64) as f32, penalty: 0.0, norms: &[], jump: None },
            fires: false,
        }));
        let mut gradient = match gradient {
            Some(gradient) => gradient,
            None => {
                let is_touched = |&i: &u32| branches.iter().any(|branch| !branch.columns.row(i as usize).0.is_empty());
                Gradient::new((0..d_sae as u32).filter(is_touched).collect(), d_in, &terms, [g_enc, g_dec])?
            }
        };
        let squares = self.backward(inputs, &branches, &terms, forward.error_sum, options.unit_decoder, &mut gradient);
        seconds.backward += clock.lap();

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
        statistics.seconds.update = clock.lap();
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
            let mut part = Forward { active: 0, squares: Vec::with_capacity(levels.len()), penalty: 0.0, error_sum: vec![0.0; d_in] };
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
        let mut whole = Forward { active: active.entries(), squares: vec![0.0; levels.len()], penalty: 0.0, error_sum: vec![0.0; d_in] };
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::Precision;
    use crate::simd::{Kernels, Path};

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
    fn both_roads_arrive_at_the_same_step() {
        let wave = |n: usize, step: f32| (0..n).map(move |i| (i as f32 * step).sin());
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            // Blocks that end within a panel and a tile; more columns than are multiplied at a time; fewer than anything.
            let shapes = [(1, 1, 1), (7, 70, 13), (21, 300, 500), (50, 129, 240), (700, 9, 31)];
            for &(d_in, d_sae, n) in &shapes[..if cfg!(miri) { 2 } else { 5 }] {
                for (activation, l1, l0) in
                    [(Activation::Relu, 0.3, 0.0), (Activation::JumpRelu, 0.0, 0.4), (Activation::JumpRelu, 0.2, 0.4)]
                {
                    let x: Vec<f32> = wave(n * d_in, 0.73).collect();
                    let [pairs, dense] = [f64::INFINITY, -1.0].map(|share| {
                        let apply_b_dec_to_input = l0 == 0.0;
                        let config = Config { d_in, d_sae, activation, apply_b_dec_to_input, threads: 2, moments: Precision::F32, kernels };
                        let mut sae = Sae::new(config).unwrap();
                        for (name, step) in [("wEnc", 0.37), ("wDec", 0.41), ("bEnc", 0.9), ("bDec", 1.1)] {
                            let all: Vec<f32> = wave(sae.length(name).unwrap(), step).collect();
                            sae.write(name, &all, 0).unwrap();
                        }
                        sae.parameters.threshold.iter_mut().zip(wave(d_sae, 0.2)).for_each(|(threshold, w)| *threshold = 0.1 + 0.1 * w);
                        // Some features have been silent for long.
                        sae.tokens_since_fired.iter_mut().zip(wave(d_sae, 2.0)).for_each(|(since, w)| *since = 1000.0 * w.max(0.0));
                        sae.prepare().unwrap();
                        let options = StepOptions { beta1: 0.0, l1, l0, unit_decoder: l1 == 0.0, ..options() };
                        let mut scratch = Scratch::default();
                        let statistics = sae.step_with(&x, n, &options, &mut scratch, share).unwrap();
                        assert_eq!(scratch.blocks.is_empty(), share > 1.0);
                        (statistics, sae)
                    });
                    let about = format!("{:?} {d_in} {d_sae} {n} {activation:?}", kernels.path);
                    let close = |a: &[f32], b: &[f32]| {
                        let norm = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                        norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) <= 1e-5 * norm(&mut b.iter().copied())
                    };
                    let of =
                        |s: &Statistics| [s.reconstruction, s.sparsity, s.auxiliary, s.l0, s.gradient_norm].map(|number| number as f32);
                    for (a, b) in of(&dense.0).iter().zip(of(&pairs.0)) {
                        assert!(close(&[*a], &[b]), "{about}: {:?} {:?}", dense.0, pairs.0);
                    }
                    assert_eq!(dense.1.tokens_since_fired, pairs.1.tokens_since_fired, "{about}");
                    for name in ["m.wEnc", "m.bEnc", "m.wDec", "m.bDec", "m.threshold"] {
                        let [a, b] = [&dense.1, &pairs.1].map(|sae| {
                            let mut numbers = vec![0.0; sae.length(name).unwrap()];
                            sae.read(name, 0, &mut numbers).unwrap();
                            numbers
                        });
                        assert!(close(&a, &b), "{about}: {name}");
                    }
                }
            }
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
