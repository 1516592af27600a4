//! A step while features are dense: five products of matrices, for one block of tokens after another.
//!
//! With X the encoder's inputs of a block, [tokens, dIn], and x those of the autoencoder:
//! ```text
//! Z = W_enc Xᵀ + b_enc,  F = activation(Z)                            [dSae, tokens]
//! E = Fᵀ W_dec + b_dec − x                                            [tokens, dIn]
//! G = 2/n W_dec Eᵀ + λ/n ‖W_dec[i]‖ where F > 0, else 0               [dSae, tokens]
//! ∂L/∂W_dec += 2/n F E,  ∂L/∂W_enc += G X,  ∂L/∂b_enc += Σ_t G
//! ```
//! Each is computed in register tiles ([`Kernels::product`]). A tile reads its right factor row by row, so those lie in panels as wide as a tile: inputs and
//! errors twice, with tokens side by side, and with columns side by side. Left factors are read as they lie, weights among them; only the decoder, where
//! it is a right factor, is copied to panels, a few features at a time. Of tokens × features, only F is kept, for one block; G lives in a cache.
//!
//! Threads share features, or, for E, columns. Each number is summed in one order, whoever sums it.

use crate::backward::{Gradient, Terms};
use crate::buffer::Buffer;
use crate::error::Error;
use crate::sae::{Config, Sae};
use crate::simd::{Kernels, Product};
use crate::step::{Clock, Forward, Seconds};
use crate::threads;

/// Above this share of pre-activations that are kept, multiplying all of them is faster.
pub const SHARE: f64 = 0.125;

/// Tokens of a block: a multiple of every tile's rows and columns. More would share each reading of the weights and the gradient; but inputs and errors
/// should stay in the second-level cache.
const TOKENS: usize = 960;
/// Features that one piece of work takes: their weights stay in the second-level cache while the panels of tokens pass by.
const FEATURES: usize = 64;
/// Columns of W_enc or W_dec that are multiplied at a time: with more, a tile's rows would not fit the first-level cache.
const DEPTH: usize = 640;
/// Features of the decoder that are copied to panels at a time.
const DECODED: usize = 128;
/// Panels of columns that one piece of work takes at most when errors are computed: F is read once for all of them.
const PANELS: usize = 8;
/// Multiply-adds of a product below which one thread does all: about a millisecond's worth.
const SMALL: usize = 4 << 20;

/// Memory for a block. Panels follow one another; `tokens` have tokens side by side, [dIn, tile], and `columns` have columns side by side, [tokens, tile].
#[derive(Default)]
pub(crate) struct Blocks {
    input_tokens: Buffer<f32>,
    input_columns: Buffer<f32>,
    error_tokens: Buffer<f32>,
    error_columns: Buffer<f32>,
    /// F, [dSae, tokens]
    activations: Buffer<f32>,
    /// Of each piece of work, rows of the decoder.
    decoder_columns: Buffer<f32>,
}

/// G of one piece of work, [FEATURES, tokens], on cache lines.
#[repr(align(64))]
struct Local([f32; FEATURES * TOKENS]);

/// Where the tokens of a block lie.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    count: usize,
    /// Tokens that there is room for, a whole number of panels.
    room: usize,
}

impl Sae {
    /// The forward pass, and the gradient of the loss without what [`Sae::backward`] adds. Writes x̂ − x to `errors` where it is asked for.
    #[allow(clippy::too_many_arguments)] // three of them are where results go
    pub(crate) fn dense(
        &self,
        x: &[f32],
        inputs: &[f32],
        terms: &Terms<'_>,
        mut errors: Option<&mut [f32]>,
        gradient: &mut Gradient<'_>,
        blocks: &mut Blocks,
        (clock, seconds): (&mut Clock, &mut Seconds),
    ) -> Result<Forward, Error> {
        let Config { d_in, d_sae, kernels, .. } = self.config;
        let (n, width) = (x.len() / d_in, kernels.tile_features);
        let threads = if n * d_in * d_sae < SMALL { 1 } else { self.config.threads };
        let room = TOKENS.min(n.next_multiple_of(width));
        let panels = d_in.div_ceil(width);
        // As few rounds as can be, in which every thread has a piece.
        let group = panels.div_ceil(threads * panels.div_ceil(PANELS * threads));
        blocks.grow(d_in, d_sae, room, width)?;

        let mut forward = Forward { active: 0, squares: vec![0.0], penalty: 0.0, error_sum: vec![0.0; d_in] };
        for first in (0..n).step_by(room) {
            let block = Block { first, count: room.min(n - first), room };
            self.lay_out(threads, block, x, inputs, blocks);
            let near = self.activate(threads, block, terms, gradient, &mut forward, blocks);
            seconds.encode += clock.lap();
            self.reconstruct_block(threads, block, group, &mut forward, blocks);
            let rows = errors.as_deref_mut().map(|errors| &mut errors[first * d_in..][..block.count * d_in]);
            self.turn_errors(threads, block, blocks, rows);
            seconds.decode += clock.lap();
            self.add_block(threads, block, terms, &near, gradient, blocks);
            gradient.started = true;
            seconds.backward += clock.lap();
        }
        let penalties = terms.norms.iter().zip(&gradient.totals).map(|(&norm, &total)| f64::from(norm) * f64::from(total));
        forward.penalty = penalties.sum();
        Ok(forward)
    }

    /// Lays inputs out in panels, and b_dec − x where the reconstruction will be added to it. Lanes beyond the last token or column are 0.
    fn lay_out(&self, threads: usize, Block { first, count, room }: Block, x: &[f32], inputs: &[f32], blocks: &mut Blocks) {
        let Config { d_in, kernels, .. } = self.config;
        let width = kernels.tile_features;
        let (x, inputs) = (&x[first * d_in..][..count * d_in], &inputs[first * d_in..][..count * d_in]);
        let pieces = blocks.input_tokens.chunks_mut(width * d_in).zip(inputs.chunks(width * d_in));
        threads::map(threads, pieces, |(panel, inputs)| {
            if inputs.len() < panel.len() {
                panel.fill(0.0);
            }
            transpose(inputs, d_in, d_in, panel, width);
        });
        let pieces = blocks.input_columns.chunks_mut(room * width).zip(blocks.error_columns.chunks_mut(room * width));
        threads::map(threads, pieces.enumerate().take(d_in.div_ceil(width)), |(q, (of_inputs, of_errors))| {
            let columns = q * width..((q + 1) * width).min(d_in);
            let bias = &self.parameters.b_dec[columns.clone()];
            let rows = x.chunks(d_in).zip(inputs.chunks(d_in)).zip(of_inputs.chunks_mut(width).zip(of_errors.chunks_mut(width)));
            for ((x, inputs), (of_inputs, of_errors)) in rows {
                let (lanes, beyond) = of_inputs.split_at_mut(columns.len());
                lanes.copy_from_slice(&inputs[columns.clone()]);
                beyond.fill(0.0);
                let (lanes, beyond) = of_errors.split_at_mut(columns.len());
                lanes.iter_mut().zip(bias).zip(&x[columns.clone()]).for_each(|((error, b), x)| *error = b - x);
                beyond.fill(0.0);
            }
        });
    }

    /// Computes F, and of each feature Σ_t f and whether it fired. Of each piece of work, returns the places in F of pre-activations near their threshold.
    fn activate(
        &self,
        threads: usize,
        block: Block,
        terms: &Terms<'_>,
        gradient: &mut Gradient<'_>,
        forward: &mut Forward,
        blocks: &mut Blocks,
    ) -> Vec<Vec<u32>> {
        let Config { d_in, d_sae, kernels, .. } = self.config;
        let Block { count, room, .. } = block;
        let tokens = &blocks.input_tokens[..];
        let weights = self.parameters.w_enc.chunks(FEATURES * d_in).zip(self.parameters.b_enc.chunks(FEATURES));
        let sums = gradient.totals.chunks_mut(FEATURES).zip(gradient.fired.chunks_mut(FEATURES));
        let pieces = blocks.activations[..d_sae * room].chunks_mut(FEATURES * room).zip(weights).zip(sums).enumerate();
        let parts = threads::map(threads, pieces, |(piece, ((z, (w_enc, b_enc)), (totals, fired)))| {
            let (mut active, mut near) = (0, Vec::new());
            multiply_tokens(&kernels, d_in, w_enc, tokens, block, z);
            for (slot, z) in z.chunks_mut(room).enumerate() {
                let (i, z, bias) = (piece * FEATURES + slot, &mut z[..count], b_enc[slot]);
                if let Some(jump) = terms.jump {
                    kernels.band(z, bias, jump.threshold[i], 0.5 * jump.bandwidth, (slot * room) as u32, &mut near);
                }
                let (above, total) = kernels.activate(z, bias, terms.jump.map_or(0.0, |jump| jump.cut(i)));
                active += above;
                totals[slot] += total;
                fired[slot] |= above > 0;
            }
            (active, near)
        });
        parts
            .into_iter()
            .map(|(active, near)| {
                forward.active += active;
                near
            })
            .collect()
    }

    /// Adds the reconstruction to b_dec − x, and the errors to the sums.
    fn reconstruct_block(&self, threads: usize, block: Block, group: usize, forward: &mut Forward, blocks: &mut Blocks) {
        let Config { d_in, d_sae, kernels, .. } = self.config;
        let Block { count, room, .. } = block;
        let (rows, width) = (kernels.tile_tokens, kernels.tile_features);
        let f = &blocks.activations[..];
        let panels = d_in.div_ceil(width);
        let errors = blocks.error_columns[..panels * room * width].chunks_mut(group * room * width);
        let pieces = errors.zip(blocks.decoder_columns.chunks_mut(group * DECODED * width)).enumerate();
        let parts = threads::map(threads, pieces, |(piece, (errors, decoder))| {
            let first = piece * group * width;
            for from in (0..d_sae).step_by(DECODED) {
                let depth = DECODED.min(d_sae - from);
                for (k, row) in self.parameters.w_dec[from * d_in..].chunks(d_in).take(depth).enumerate() {
                    for (q, columns) in row[first..].chunks(width).take(group).enumerate() {
                        let (lanes, beyond) = decoder[(q * DECODED + k) * width..][..width].split_at_mut(columns.len());
                        lanes.copy_from_slice(columns);
                        beyond.fill(0.0);
                    }
                }
                for t in (0..count).step_by(rows) {
                    for (errors, decoder) in errors.chunks_mut(room * width).zip(decoder.chunks(DECODED * width)) {
                        let a = &f[from * room + t..];
                        let product = Product { a, a_row: 1, a_column: room, b: decoder, b_row: width, depth, scale: 1.0, add: true };
                        kernels.product(product, rows.min(count - t), width, &mut errors[t * width..], width);
                    }
                }
            }
            let of_panel = |errors: &[f32]| {
                let mut sums = vec![0f32; width];
                let mut squares = 0.0;
                for row in errors.chunks(width).take(count) {
                    kernels.axpy(&mut sums, 1.0, row);
                    squares += f64::from(kernels.dot(row, row));
                }
                (squares, sums)
            };
            errors.chunks(room * width).map(of_panel).collect::<Vec<_>>()
        });
        for ((squares, sums), of_columns) in parts.into_iter().flatten().zip(forward.error_sum.chunks_mut(width)) {
            forward.squares[0] += squares;
            of_columns.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
        }
    }

    /// Lays errors out with tokens side by side, and, where they are asked for, in rows.
    fn turn_errors(&self, threads: usize, Block { count, room, .. }: Block, blocks: &mut Blocks, rows: Option<&mut [f32]>) {
        let Config { d_in, kernels, .. } = self.config;
        let width = kernels.tile_features;
        let columns = &blocks.error_columns[..];
        let panels = blocks.error_tokens.chunks_mut(width * d_in).take(count.div_ceil(width));
        let mut rows = rows.map(|rows| rows.chunks_mut(width * d_in));
        let pieces: Vec<_> = panels.map(|panel| (panel, rows.as_mut().and_then(Iterator::next))).enumerate().collect();
        threads::map(threads, pieces, |(p, (panel, mut rows))| {
            let lanes = width.min(count - p * width);
            for (q, panel) in panel.chunks_mut(width * width).enumerate() {
                let errors = &columns[(q * room + p * width) * width..][..lanes * width];
                transpose(errors, width, panel.len() / width, panel, width);
                if let Some(rows) = rows.as_deref_mut() {
                    for (row, errors) in rows.chunks_mut(d_in).zip(errors.chunks(width)) {
                        let row = &mut row[q * width..];
                        let columns = width.min(row.len());
                        row[..columns].copy_from_slice(&errors[..columns]);
                    }
                }
            }
        });
    }

    /// Adds the block's part of the gradient.
    fn add_block(&self, threads: usize, block: Block, terms: &Terms<'_>, near: &[Vec<u32>], gradient: &mut Gradient<'_>, blocks: &Blocks) {
        let Config { d_in, d_sae, kernels, .. } = self.config;
        let Block { count, room, .. } = block;
        let started = gradient.started;
        let mut of_thresholds = gradient.threshold.chunks_mut(FEATURES);
        let rows = gradient.w_enc.chunks_mut(FEATURES * d_in).zip(gradient.w_dec.chunks_mut(FEATURES * d_in));
        let known = blocks.activations[..d_sae * room].chunks(FEATURES * room).zip(near);
        let pieces: Vec<_> = (rows.zip(gradient.b_enc.chunks_mut(FEATURES)).zip(known))
            .map(|piece| (piece, of_thresholds.next().unwrap_or_default()))
            .enumerate()
            .collect();
        threads::map(threads, pieces, |(piece, ((((g_enc, g_dec), g_bias), (f, near)), g_threshold))| {
            let first = piece * FEATURES;
            let w_dec = &self.parameters.w_dec[first * d_in..][..g_dec.len()];
            let mut local = Local([0.0; FEATURES * TOKENS]);
            let g = &mut local.0[..f.len()];
            multiply_tokens(&kernels, d_in, w_dec, &blocks.error_tokens, block, g);
            let penalty = |slot: usize| terms.norms.get(first + slot).map_or(0.0, |norm| terms.penalty * norm);
            if let Some(jump) = terms.jump {
                for &place in near {
                    let slot = place as usize / room;
                    g_threshold[slot] += jump.derivative(first + slot, terms.scale * g[place as usize] + penalty(slot));
                }
            }
            for (slot, (g, f)) in g.chunks_mut(room).zip(f.chunks(room)).enumerate() {
                g_bias[slot] += kernels.gate(&mut g[..count], &f[..count], terms.scale, penalty(slot));
            }
            add_outer(&kernels, f, &blocks.error_columns, terms.scale, block, started, g_dec, d_in);
            add_outer(&kernels, g, &blocks.input_columns, 1.0, block, started, g_enc, d_in);
        });
    }
}

impl Blocks {
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.activations.is_empty()
    }

    fn grow(&mut self, d_in: usize, d_sae: usize, room: usize, width: usize) -> Result<(), Error> {
        let padded = d_in.next_multiple_of(width);
        self.input_tokens.grow(d_in * room)?;
        self.error_tokens.grow(d_in * room)?;
        self.input_columns.grow(padded * room)?;
        self.error_columns.grow(padded * room)?;
        self.activations.grow(d_sae * room)?;
        self.decoder_columns.grow(padded * DECODED)
    }
}

/// `to` [features, room] = `weights` [features, dIn] times the tokens of a block, which lie side by side in the panels `tokens`.
fn multiply_tokens(kernels: &Kernels, d_in: usize, weights: &[f32], tokens: &[f32], block: Block, to: &mut [f32]) {
    let (rows, width) = (kernels.tile_tokens, kernels.tile_features);
    let features = weights.len() / d_in;
    // Parts of one size, so that none is too short to be worth its start.
    let depth = d_in.div_ceil(d_in.div_ceil(DEPTH));
    for (p, panel) in tokens.chunks(width * d_in).take(block.count.div_ceil(width)).enumerate() {
        for from in (0..d_in).step_by(depth) {
            let (b, depth) = (&panel[from * width..], depth.min(d_in - from));
            for i in (0..features).step_by(rows) {
                let a = &weights[i * d_in + from..];
                let product = Product { a, a_row: d_in, a_column: 1, b, b_row: width, depth, scale: 1.0, add: from > 0 };
                kernels.product(product, rows.min(features - i), width, &mut to[i * block.room + p * width..], block.room);
            }
        }
    }
}

/// `to` [features, dIn] = or += scale · `of_tokens` [features, room] times a block's panels of columns.
#[allow(clippy::too_many_arguments)] // a product has that many
fn add_outer(
    kernels: &Kernels,
    of_tokens: &[f32],
    columns: &[f32],
    scale: f32,
    Block { count, room, .. }: Block,
    add: bool,
    to: &mut [f32],
    d_in: usize,
) {
    let (rows, width) = (kernels.tile_tokens, kernels.tile_features);
    let features = to.len() / d_in;
    for (q, b) in columns.chunks(room * width).take(d_in.div_ceil(width)).enumerate() {
        for i in (0..features).step_by(rows) {
            let a = &of_tokens[i * room..];
            let product = Product { a, a_row: room, a_column: 1, b, b_row: width, depth: count, scale, add };
            kernels.product(product, rows.min(features - i), width.min(d_in - q * width), &mut to[i * d_in + q * width..], d_in);
        }
    }
}

/// Writes the first `columns` of each row of `from` below one another, in lane after lane of `to`, whose rows are `width` numbers.
fn transpose(from: &[f32], row: usize, columns: usize, to: &mut [f32], width: usize) {
    /// Columns moved at a time: what is written meanwhile stays in the first-level cache.
    const COLUMNS: usize = 16;
    for start in (0..columns).step_by(COLUMNS) {
        for (lane, numbers) in from.chunks(row).enumerate() {
            for (c, &number) in numbers[start..columns.min(start + COLUMNS)].iter().enumerate() {
                to[(start + c) * width + lane] = number;
            }
        }
    }
}
