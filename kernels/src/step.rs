//! One training step: forward, backward over the active (token, feature) pairs alone, clipping, Adam.
//!
//! With e_t = x̂_t − x_t, n tokens, and L = mean ‖e_t‖² + λ mean Σ_i f_ti ‖W_dec[i]‖:
//! ```text
//! ∂L/∂f_ti    = 2/n e_t · W_dec[i] + λ/n ‖W_dec[i]‖
//! ∂L/∂W_dec[i] = Σ_t 2/n f_ti e_t + λ/n (Σ_t f_ti) W_dec[i] / ‖W_dec[i]‖
//! ∂L/∂b_enc[i] = Σ_t ∂L/∂f_ti                         over the tokens where i is active
//! ∂L/∂W_enc[i] = Σ_t ∂L/∂f_ti (x_t − b_dec)
//! ∂L/∂b_dec   = Σ_t 2/n e_t − Σ_i ∂L/∂b_enc[i] W_enc[i]   the latter if b_dec shifts the encoder's input
//! ```
//! The aux-k loss of dead features has the same form, with another error and no output bias. Like SAELens 6.54's `calculate_topk_aux_loss`, it takes
//! the residual x − x̂ as a constant, scales by min(dead / k_aux, 1), decodes without b_dec, and lets its gradient reach b_dec through the encoder's
//! shift. Unlike it, and like Gao et al. 2024, it keeps only pre-activations > 0.

use crate::decode;
use crate::encode::{self, Activation};
use crate::error::{Error, filled};
use crate::sae::{Config, Sae};
use crate::simd::{Adam, Backward, GROUP, Kernels};
use crate::sparse::Sparse;
use crate::threads;

/// Features whose gradients one piece of work computes: with theirs and those of [`DENSE_TOKENS`] tokens, the rows fit the second-level cache.
const PIECE: usize = 32;
/// Tokens that such a piece takes at a time, while features are dense.
const DENSE_TOKENS: usize = 64;

/// Hyper-parameters of one step.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// 1-based count of Adam steps.
    pub step: f64,
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub max_gradient_norm: f64,
    pub l1: f64,
    pub unit_decoder: bool,
    pub dead_after: f64,
    pub aux_coefficient: f64,
    pub aux_k: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    pub reconstruction: f64,
    pub sparsity: f64,
    pub auxiliary: f64,
    pub l0: f64,
    pub gradient_norm: f64,
    pub dead: usize,
}

/// One loss as the backward pass sees it: which pairs were active, and the error that they made.
struct Branch<'a> {
    /// By feature.
    columns: &'a Sparse,
    /// [n, dIn]
    errors: &'a [f32],
    scale: f32,
    /// λ / n
    penalty: f32,
    /// ‖W_dec[i]‖, [dSae]; empty where there is no penalty.
    norms: &'a [f32],
}

/// The gradient. Of the features, only those that some token touched have rows.
struct Gradient {
    /// Ascending.
    touched: Vec<u32>,
    /// [touched, dIn]
    w_enc: Vec<f32>,
    b_enc: Vec<f32>,
    w_dec: Vec<f32>,
    b_dec: Vec<f32>,
}

impl Sae {
    /// One Adam step on the batch `x` [n, dIn]. After an error, the autoencoder is as it was before.
    pub fn step(&mut self, x: &[f32], options: &StepOptions) -> Result<Statistics, Error> {
        let Config { d_sae, threads, kernels, activation, .. } = self.config;
        let n = self.check_input(x)?;
        if n == 0 {
            return Err(Error::Shape("a training step needs at least one token".to_owned()));
        }
        let mut shifted = Vec::new();
        let inputs = self.shift(x, &mut shifted)?;

        let active = encode::encode(&kernels, threads, self.encoder(None), activation, inputs)?;
        let norms = match options.l1 != 0.0 {
            true => self.decoder_norms()?,
            false => Vec::new(),
        };
        let mut errors = filled(x.len(), 0f32)?;
        let forward = self.reconstruct(x, &active, &norms, &mut errors);
        let columns = active.transpose(d_sae, threads)?;
        let l0 = active.entries() as f64 / n as f64;
        drop(active);

        let dead: Vec<u32> = (0..d_sae as u32).filter(|&i| f64::from(self.tokens_since_fired[i as usize]) > options.dead_after).collect();
        let aux_k = options.aux_k.min(dead.len());
        let aux_scale = options.aux_coefficient * (dead.len() as f64 / options.aux_k as f64).min(1.0);
        let mut auxiliary = 0.0;
        let mut aux = None;
        if options.aux_coefficient != 0.0 && aux_k > 0 {
            let chosen = encode::encode(&kernels, threads, self.encoder(Some(&dead)), Activation::TopK(aux_k), inputs)?;
            let mut aux_errors = filled(x.len(), 0f32)?;
            auxiliary = aux_scale * self.reconstruct_error(&errors, &chosen, &mut aux_errors) / n as f64;
            aux = Some((chosen.transpose(d_sae, threads)?, aux_errors));
        }

        let mut branches = vec![Branch {
            columns: &columns,
            errors: &errors,
            scale: (2.0 / n as f64) as f32,
            penalty: (options.l1 / n as f64) as f32,
            norms: &norms,
        }];
        branches.extend(aux.as_ref().map(|(columns, errors)| Branch {
            columns,
            errors,
            scale: (2.0 * aux_scale / n as f64) as f32,
            penalty: 0.0,
            norms: &[],
        }));
        let (gradient, squares) = self.backward(inputs, &branches, forward.error_sum, options.unit_decoder)?;

        let statistics = Statistics {
            reconstruction: forward.squares / n as f64,
            sparsity: options.l1 * forward.penalty / n as f64,
            auxiliary,
            l0,
            gradient_norm: squares.sqrt(),
            dead: dead.len(),
        };
        let loss = statistics.reconstruction + statistics.sparsity + statistics.auxiliary;
        if !loss.is_finite() || !squares.is_finite() {
            return Err(Error::NonFinite(format!(
                "the loss is {loss} and the norm of its gradient {}, although the activations are finite. \
                 The weights are as before this step; use a lower learning rate or smaller activations.",
                statistics.gradient_norm
            )));
        }
        self.update(&gradient, &columns, n, statistics.gradient_norm, options);
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

    /// Writes x̂ − x to `errors`.
    fn reconstruct(&self, x: &[f32], active: &Sparse, norms: &[f32], errors: &mut [f32]) -> Forward {
        let Config { d_in, threads, kernels, .. } = self.config;
        let block = decode::BLOCK_TOKENS;
        let blocks = errors.chunks_mut(block * d_in).zip(x.chunks(block * d_in)).enumerate();
        let parts = threads::map(threads, blocks, |(b, (errors, x))| {
            for (error, x) in errors.chunks_mut(d_in).zip(x.chunks(d_in)) {
                for ((error, x), b) in error.iter_mut().zip(x).zip(&self.parameters.b_dec) {
                    *error = b - x;
                }
            }
            let range = b * block..b * block + x.len() / d_in;
            decode::add_features(&kernels, &self.parameters.w_dec, d_in, active, range.clone(), errors);
            let mut part = Forward { squares: 0.0, penalty: 0.0, error_sum: vec![0.0; d_in] };
            for error in errors.chunks(d_in) {
                part.squares += f64::from(kernels.dot(error, error));
                kernels.axpy(&mut part.error_sum, 1.0, error);
            }
            if !norms.is_empty() {
                let entries = active.starts[range.start]..active.starts[range.end];
                let (indices, values) = (&active.indices[entries.clone()], &active.values[entries]);
                part.penalty = indices.iter().zip(values).map(|(&i, &f)| f64::from(f * norms[i as usize])).sum();
            }
            part
        });
        let mut whole = Forward { squares: 0.0, penalty: 0.0, error_sum: vec![0.0; d_in] };
        for part in parts {
            whole.squares += part.squares;
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
            decode::add_features(&kernels, &self.parameters.w_dec, d_in, chosen, range, aux_errors);
            aux_errors.chunks(d_in).map(|e| f64::from(kernels.dot(e, e))).sum::<f64>()
        });
        parts.into_iter().sum()
    }

    /// The gradient and its squared norm.
    fn backward(&self, inputs: &[f32], branches: &[Branch<'_>], error_sum: Vec<f32>, unit_decoder: bool) -> Result<(Gradient, f64), Error> {
        let Config { d_in, d_sae, threads, kernels, apply_b_dec_to_input, .. } = self.config;
        let touched: Vec<u32> =
            (0..d_sae as u32).filter(|&i| branches.iter().any(|branch| !branch.columns.row(i as usize).0.is_empty())).collect();
        let mut w_enc = filled(touched.len() * d_in, 0f32)?;
        let mut w_dec = filled(touched.len() * d_in, 0f32)?;
        let mut b_enc = filled(touched.len(), 0f32)?;

        let rows = PIECE * d_in;
        let pieces = touched.chunks(PIECE).zip(w_enc.chunks_mut(rows).zip(w_dec.chunks_mut(rows))).zip(b_enc.chunks_mut(PIECE));
        let parts = threads::map(threads, pieces, |((features, (w_enc, w_dec)), b_enc)| {
            for branch in branches {
                self.add_branch(inputs, branch, features, w_enc, b_enc, w_dec);
            }
            let mut part = Part { squares: 0.0, shift: vec![0.0; if apply_b_dec_to_input { d_in } else { 0 }] };
            let rows = w_enc.chunks(d_in).zip(w_dec.chunks_mut(d_in)).zip(&*b_enc);
            for (&i, ((g_enc, g_dec), &g_bias)) in features.iter().zip(rows) {
                let i = i as usize;
                let row = &self.parameters.w_dec[i * d_in..][..d_in];
                for branch in branches {
                    // Where the norm is 0 it has no derivative; like PyTorch, take 0.
                    if let Some(&norm) = branch.norms.get(i).filter(|&&norm| norm > 0.0) {
                        let total: f32 = branch.columns.row(i).1.iter().sum();
                        kernels.axpy(g_dec, branch.penalty * total / norm, row);
                    }
                }
                if unit_decoder {
                    remove_component(&kernels, g_dec, row);
                }
                if apply_b_dec_to_input {
                    kernels.axpy(&mut part.shift, -g_bias, &self.parameters.w_enc[i * d_in..][..d_in]);
                }
                part.squares +=
                    f64::from(kernels.dot(g_enc, g_enc)) + f64::from(kernels.dot(g_dec, g_dec)) + f64::from(g_bias) * f64::from(g_bias);
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
        Ok((Gradient { touched, w_enc, b_enc, w_dec, b_dec }, squares))
    }

    /// Adds the gradient of one branch for a piece's features.
    fn add_branch(&self, inputs: &[f32], branch: &Branch<'_>, features: &[u32], w_enc: &mut [f32], b_enc: &mut [f32], w_dec: &mut [f32]) {
        let Config { d_in, kernels, .. } = self.config;
        let n = inputs.len() / d_in;
        let columns: Vec<(&[u32], &[f32])> = features.iter().map(|&i| branch.columns.row(i as usize)).collect();
        let pairs: usize = columns.iter().map(|(tokens, _)| tokens.len()).sum();
        let dense = pairs * 16 > n * features.len();
        let block = if dense { DENSE_TOKENS } else { n };
        let mut next = vec![0usize; features.len()];
        for end in (block..n + block).step_by(block) {
            for (slot, &(tokens, activations)) in columns.iter().enumerate() {
                let i = features[slot] as usize;
                let from = next[slot];
                let to = from + tokens[from..].partition_point(|&t| (t as usize) < end);
                next[slot] = to;
                let g_enc = &mut w_enc[slot * d_in..][..d_in];
                let g_dec = &mut w_dec[slot * d_in..][..d_in];
                let penalty = branch.norms.get(i).map_or(0.0, |norm| branch.penalty * norm);
                for at in (from..to).step_by(GROUP) {
                    let count = GROUP.min(to - at);
                    let token = |j: usize| tokens[at + j.min(count - 1)] as usize * d_in;
                    b_enc[slot] += kernels.backward(
                        Backward {
                            count,
                            f: std::array::from_fn(|j| activations[at + j.min(count - 1)]),
                            inputs: std::array::from_fn(|j| &inputs[token(j)..][..d_in]),
                            errors: std::array::from_fn(|j| &branch.errors[token(j)..][..d_in]),
                            scale: branch.scale,
                            penalty,
                            w_dec: &self.parameters.w_dec[i * d_in..][..d_in],
                        },
                        g_dec,
                        g_enc,
                    );
                }
            }
        }
    }

    /// Clips, and moves every parameter by Adam. Features that no token touched have the gradient 0: their moments decay.
    fn update(&mut self, gradient: &Gradient, columns: &Sparse, n: usize, norm: f64, options: &StepOptions) {
        let Config { d_in, threads, kernels, .. } = self.config;
        let StepOptions { step, beta1, beta2, .. } = *options;
        let clip = if norm > options.max_gradient_norm { options.max_gradient_norm / norm } else { 1.0 };
        let adam = Adam {
            b1: beta1 as f32,
            b2: beta2 as f32,
            c1: (1.0 - beta1) as f32,
            c2: (1.0 - beta2) as f32,
            epsilon: options.epsilon as f32,
            rate: (options.learning_rate / (1.0 - beta1.powf(step))) as f32,
            v_scale: (1.0 / (1.0 - beta2.powf(step)).sqrt()) as f32,
            clip: clip as f32,
        };
        let Sae { parameters, m, v, tokens_since_fired, .. } = self;
        kernels.adam(&adam, &mut parameters.b_dec, &mut m.b_dec, &mut v.b_dec, &gradient.b_dec);
        let pieces = Rows::split(&mut parameters.w_enc, &mut m.w_enc, &mut v.w_enc, PIECE * d_in)
            .zip(Rows::split(&mut parameters.w_dec, &mut m.w_dec, &mut v.w_dec, PIECE * d_in))
            .zip(Rows::split(&mut parameters.b_enc, &mut m.b_enc, &mut v.b_enc, PIECE))
            .zip(tokens_since_fired.chunks_mut(PIECE))
            .enumerate();
        threads::map(threads, pieces, |(piece, (((mut enc, mut dec), mut bias), since))| {
            let zeros = vec![0f32; d_in];
            let mut bias_gradient = [0f32; PIECE];
            let first = piece * PIECE;
            let mut slot = gradient.touched.partition_point(|&i| (i as usize) < first);
            for (j, since) in since.iter_mut().enumerate() {
                let i = first + j;
                let row = j * d_in..(j + 1) * d_in;
                let (mut g_enc, mut g_dec) = (&zeros[..], &zeros[..]);
                if gradient.touched.get(slot) == Some(&(i as u32)) {
                    g_enc = &gradient.w_enc[slot * d_in..][..d_in];
                    g_dec = &gradient.w_dec[slot * d_in..][..d_in];
                    bias_gradient[j] = gradient.b_enc[slot];
                    slot += 1;
                }
                enc.update(&kernels, &adam, row.clone(), g_enc);
                dec.update(&kernels, &adam, row.clone(), g_dec);
                if options.unit_decoder {
                    normalise(&kernels, &mut dec.w[row]);
                }
                *since = if columns.row(i).0.is_empty() { *since + n as f32 } else { 0.0 };
            }
            let all = 0..since.len();
            bias.update(&kernels, &adam, all.clone(), &bias_gradient[all]);
        });
    }
}

/// What the forward pass knows, summed over tokens.
struct Forward {
    /// Σ_t ‖e_t‖²
    squares: f64,
    /// Σ_t Σ_i f_ti ‖W_dec[i]‖
    penalty: f64,
    /// Σ_t e_t, [dIn]
    error_sum: Vec<f32>,
}

/// What a piece of the backward pass adds to the sums over features.
struct Part {
    squares: f64,
    /// −Σ_i ∂L/∂b_enc[i] W_enc[i], [dIn]
    shift: Vec<f32>,
}

/// A run of one parameter with its moments.
struct Rows<'a> {
    w: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl<'a> Rows<'a> {
    fn split(w: &'a mut [f32], m: &'a mut [f32], v: &'a mut [f32], length: usize) -> impl Iterator<Item = Self> {
        w.chunks_mut(length).zip(m.chunks_mut(length)).zip(v.chunks_mut(length)).map(|((w, m), v)| Rows { w, m, v })
    }

    fn update(&mut self, kernels: &Kernels, adam: &Adam, range: std::ops::Range<usize>, gradient: &[f32]) {
        kernels.adam(adam, &mut self.w[range.clone()], &mut self.m[range.clone()], &mut self.v[range], gradient);
    }
}

/// Removes from `g` its component along `w`.
fn remove_component(kernels: &Kernels, g: &mut [f32], w: &[f32]) {
    let squared = kernels.dot(w, w);
    if squared > 0.0 {
        let along = kernels.dot(g, w) / squared;
        kernels.axpy(g, -along, w);
    }
}

/// Scales `w` to unit norm.
fn normalise(kernels: &Kernels, w: &mut [f32]) {
    let norm = kernels.dot(w, w).sqrt();
    if norm > 0.0 {
        w.iter_mut().for_each(|w| *w /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: StepOptions = StepOptions {
        step: 1.0,
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        max_gradient_norm: 1.0,
        l1: 0.0,
        unit_decoder: true,
        dead_after: 100.0,
        aux_coefficient: 0.03,
        aux_k: 8,
    };

    fn sae(threads: usize, activation: Activation) -> Sae {
        let mut sae =
            Sae::new(Config { d_in: 21, d_sae: 90, activation, apply_b_dec_to_input: true, threads, kernels: Kernels::best() }).unwrap();
        for (i, (enc, dec)) in sae.parameters.w_enc.iter_mut().zip(&mut sae.parameters.w_dec).enumerate() {
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
        for activation in [Activation::TopK(4), Activation::Relu] {
            let l1 = if activation == Activation::Relu { 0.1 } else { 0.0 };
            let mut both = [sae(1, activation), sae(3, activation)];
            let mut losses = Vec::new();
            for step in 1..=150 {
                let options = StepOptions { step: f64::from(step), l1, unit_decoder: l1 == 0.0, ..OPTIONS };
                let x = tokens(300, step as usize);
                let [one, three] = both.each_mut().map(|sae| sae.step(&x, &options).unwrap());
                assert_eq!(one, three);
                losses.push(one.reconstruction + one.sparsity);
            }
            assert!(losses[149] < 0.3 * losses[0], "{} then {}", losses[0], losses[149]);
            assert_eq!(both[0].parameters.w_dec, both[1].parameters.w_dec);
        }
    }

    #[test]
    fn an_error_changes_nothing() {
        let mut sae = sae(2, Activation::TopK(4));
        let before = sae.parameters.w_enc.clone();
        let mut x = tokens(10, 0);
        assert!(matches!(sae.step(&x[..20], &OPTIONS), Err(Error::Shape(_))));
        x[30] = 1e30;
        assert!(matches!(sae.step(&x, &OPTIONS), Err(Error::NonFinite(_))));
        x[30] = f32::NAN;
        let Err(Error::NonFinite(message)) = sae.step(&x, &OPTIONS) else { panic!("NaN went unseen") };
        assert!(message.starts_with("activations: row 1, column 9 is NaN."), "{message}");
        assert_eq!(sae.parameters.w_enc, before);
    }
}
