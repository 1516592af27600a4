//! The gradient of a step: over active (token, feature) pairs, and the end of it, which is the same whatever road the rest was computed on.

use crate::buffer::Buffer;
use crate::error::{Error, filled};
use crate::sae::{Config, Sae};
use crate::simd::{Backward, GROUP, Kernels};
use crate::sparse::Sparse;
use crate::threads;

/// Features whose gradients one piece of work computes: with theirs and those of [`DENSE_TOKENS`] tokens, the rows fit the second-level cache.
const PIECE: usize = 32;
/// Tokens that such a piece takes at a time, where features are dense.
const DENSE_TOKENS: usize = 64;

/// The constants of a loss's gradient.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// 2 / n, or what takes its place
    pub scale: f32,
    /// λ / n
    pub penalty: f32,
    /// ‖W_dec[i]‖, [dSae]; empty where there is no penalty.
    pub norms: &'a [f32],
    /// Of JumpReLU.
    pub jump: Option<Jump<'a>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Jump<'a> {
    /// [dSae]
    pub threshold: &'a [f32],
    pub bandwidth: f32,
    /// λ₀ / n
    pub penalty: f32,
}

impl Jump<'_> {
    /// What a pre-activation of feature `i` must exceed to become an activation.
    pub fn cut(&self, i: usize) -> f32 {
        self.threshold[i].max(0.0)
    }

    /// The part of a pre-activation near the threshold in the threshold's derivative, given the loss's derivative by the activation.
    pub fn derivative(&self, i: usize, of_f: f32) -> f32 {
        -(self.threshold[i] * of_f + self.penalty) / self.bandwidth
    }
}

/// One loss as the backward pass sees it: which pairs take part, and the error that they made.
pub(crate) struct Branch<'a> {
    /// By feature: pre-activations.
    pub columns: &'a Sparse,
    /// For each group of features, where it ends, and its errors, [n, dIn].
    pub groups: Vec<(usize, &'a [f32])>,
    pub terms: Terms<'a>,
    /// Whether features that take part count as active.
    pub fires: bool,
}

impl<'a> Branch<'a> {
    /// The errors that feature `i` contributed to.
    fn errors(&self, i: usize) -> &'a [f32] {
        self.groups[self.groups.partition_point(|&(end, _)| end <= i)].1
    }

    /// The activation of feature `i` at a pre-activation that was encoded.
    fn activation(&self, i: usize, z: f32) -> f32 {
        match self.terms.jump {
            Some(jump) if z <= jump.cut(i) => 0.0,
            _ => z,
        }
    }
}

/// The gradient. Of the features, only those that some token touched have rows.
pub(crate) struct Gradient<'a> {
    /// Ascending.
    pub touched: Vec<u32>,
    /// Which of them were active, other than for the aux-k loss.
    pub fired: Vec<bool>,
    /// Σ_t f_ti, [touched], where there is a penalty.
    pub totals: Vec<f32>,
    /// [touched, dIn]
    pub w_enc: &'a mut [f32],
    pub b_enc: Vec<f32>,
    pub w_dec: &'a mut [f32],
    pub b_dec: Vec<f32>,
    /// [touched], or empty where thresholds have no gradient.
    pub threshold: Vec<f32>,
    /// Whether rows have numbers to add to. Otherwise, what they hold is to be written over.
    pub started: bool,
}

impl<'a> Gradient<'a> {
    pub fn new(touched: Vec<u32>, d_in: usize, terms: &Terms<'_>, [w_enc, w_dec]: [&'a mut Buffer<f32>; 2]) -> Result<Gradient<'a>, Error> {
        let (features, length) = (touched.len(), touched.len() * d_in);
        w_enc.grow(length)?;
        w_dec.grow(length)?;
        Ok(Gradient {
            fired: filled(features, false)?,
            totals: filled(features, 0.0)?,
            w_enc: &mut w_enc[..length],
            b_enc: filled(features, 0.0)?,
            w_dec: &mut w_dec[..length],
            b_dec: Vec::new(),
            threshold: filled(if terms.jump.is_some() { features } else { 0 }, 0.0)?,
            touched,
            started: false,
        })
    }
}

/// Features of one piece of the backward pass, and their part of the gradient.
struct Piece<'a> {
    features: &'a [u32],
    fired: &'a mut [bool],
    totals: &'a mut [f32],
    w_enc: &'a mut [f32],
    b_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
    /// Empty where thresholds have no gradient.
    threshold: &'a mut [f32],
    /// Which rows have been written.
    started: [bool; PIECE],
}

/// What a piece of the backward pass adds to the sums over features.
struct Part {
    squares: f64,
    /// −Σ_i ∂L/∂b_enc[i] W_enc[i], [dIn]
    shift: Vec<f32>,
}

impl Sae {
    /// Adds the pairs of `branches` to the gradient, and then what depends on a feature as a whole. `terms` are those of the loss itself, and `error_sum` is
    /// Σ_t e_t. Returns the gradient's squared norm.
    pub(crate) fn backward(
        &self,
        inputs: &[f32],
        branches: &[Branch<'_>],
        terms: &Terms<'_>,
        error_sum: Vec<f32>,
        unit_decoder: bool,
        gradient: &mut Gradient<'_>,
    ) -> f64 {
        let Config { d_in, threads, kernels, apply_b_dec_to_input, .. } = self.config;
        let rows = PIECE * d_in;
        let mut of_thresholds = gradient.threshold.chunks_mut(PIECE);
        let pieces: Vec<_> = (gradient.touched.chunks(PIECE).zip(gradient.w_enc.chunks_mut(rows).zip(gradient.w_dec.chunks_mut(rows))))
            .zip(gradient.b_enc.chunks_mut(PIECE).zip(gradient.fired.chunks_mut(PIECE).zip(gradient.totals.chunks_mut(PIECE))))
            .map(|((features, (w_enc, w_dec)), (b_enc, (fired, totals)))| Piece {
                features,
                fired,
                totals,
                w_enc,
                b_enc,
                w_dec,
                threshold: of_thresholds.next().unwrap_or_default(),
                started: [gradient.started; PIECE],
            })
            .collect();
        let parts = threads::map(threads, pieces, |mut piece| {
            for branch in branches {
                self.add_branch(inputs, branch, &mut piece);
            }
            let mut part = Part { squares: 0.0, shift: vec![0.0; if apply_b_dec_to_input { d_in } else { 0 }] };
            let rows = piece.w_enc.chunks(d_in).zip(piece.w_dec.chunks_mut(d_in)).zip(piece.b_enc.iter().zip(&*piece.totals));
            for (slot, (&i, ((g_enc, g_dec), (&g_bias, total)))) in piece.features.iter().zip(rows).enumerate() {
                let i = i as usize;
                let row = &self.parameters.w_dec[i * d_in..][..d_in];
                // Where the norm is 0 it has no derivative; like PyTorch, take 0.
                if let Some(&norm) = terms.norms.get(i).filter(|&&norm| norm > 0.0) {
                    kernels.axpy(g_dec, terms.penalty * total / norm, row);
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
        b_dec.iter_mut().for_each(|g| *g *= terms.scale);
        let mut squares = 0.0;
        for part in parts {
            squares += part.squares;
            if apply_b_dec_to_input {
                kernels.axpy(&mut b_dec, 1.0, &part.shift);
            }
        }
        squares += b_dec.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
        gradient.b_dec = b_dec;
        squares
    }

    /// Adds the gradient of one branch for a piece's features.
    fn add_branch(&self, inputs: &[f32], branch: &Branch<'_>, piece: &mut Piece<'_>) {
        let Config { d_in, kernels, .. } = self.config;
        let Terms { scale, penalty, norms, jump } = branch.terms;
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
                let penalty = norms.get(i).map_or(0.0, |norm| penalty * norm);
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
                            next_errors: std::array::from_fn(|j| &errors[soon(j)..][..d_in]),
                            first: !std::mem::replace(&mut piece.started[slot], true),
                            scale,
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
                            piece.totals[slot] += if norms.is_empty() { 0.0 } else { f[j] };
                        }
                        if let Some(jump) = jump
                            && (z[at + j] - jump.threshold[i]).abs() < 0.5 * jump.bandwidth
                        {
                            piece.threshold[slot] += jump.derivative(i, of_f[j]);
                        }
                    }
                }
            }
        }
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
