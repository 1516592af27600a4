//! The encoder in bytes, and tokens in bytes: what screening multiplies, with what it needs to know about the rounding.
//!
//! A row w becomes r p, with p whole numbers of magnitude ≤ 127 and r = max|w| / 127; a token x becomes s q. Then
//! ```text
//! w·x = r s (p·q) + w·(x − s q) + (w − r p)·(s q)
//! ```
//! and the last two terms are the rounding error. Rounding errors are spread evenly over ±½ step, independently, so a weighted sum of them has at most the
//! variance ‖w‖² / 12 in steps, and tails no heavier than a normal distribution's: with κ = 6/√12, √((s κ_x ‖w‖)² + (r κ_w s ‖q‖)²) is exceeded with a
//! probability below 2 · 10⁻⁹. That holds where the numbers move over several steps. Where most of a row lies within a step of 0, because one coordinate
//! dwarfs the others, rounding is no noise, and κ is the norm of the rounding error itself: a bound that holds always (Cauchy and Schwarz). Such bounds
//! add up as they are, not as variances do; since a + b ≤ √(2 a² + 2 b²), it is enough that the row brings a factor of √2 to both terms.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::error::{Error, filled};
use crate::simd::{Kernels, Screen};
use crate::threads;

/// Largest magnitude of a weight's byte.
const WEIGHT_MAX: i32 = 127;
/// Wider activations would overflow the 32-bit sums.
const MAX_D_IN: usize = 1 << 16;

/// The encoder in bytes: panels as wide as a tile, the last one filled with rows of zeros.
pub struct Quantized {
    screen: Screen,
    d_in: usize,
    features: usize,
    /// [panels, ⌈dIn / 4⌉, width, 4]
    bytes: Buffer<u8>,
    /// Per feature: what the sums start at, which takes away the inputs' offset.
    start: Vec<i32>,
    /// r, κ_w r, and ‖w‖.
    scale: Vec<f32>,
    error: Vec<f32>,
    norm: Vec<f32>,
    /// Of each panel.
    most: Vec<Most>,
}

/// A panel, to be screened.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    /// Its first feature.
    pub first: u32,
    pub bytes: &'a [u8],
    pub start: &'a [i32],
    pub scale: &'a [f32],
    pub error: &'a [f32],
    pub norm: &'a [f32],
    pub most: Most,
}

/// The biases of a panel.
#[derive(Clone, Copy)]
pub struct Bias<'a> {
    pub bias: &'a [f32],
    /// What the bias may be off by.
    pub doubt: &'a [f32],
    /// The largest of bias and doubt.
    pub most: f32,
}

/// The largest of a panel.
#[derive(Clone, Copy, Default)]
pub struct Most {
    pub inverse_scale: f32,
    pub error: f32,
    pub norm: f32,
}

/// A panel, to be written.
pub struct PanelMut<'a> {
    screen: Screen,
    bytes: &'a mut [u8],
    start: &'a mut [i32],
    scale: &'a mut [f32],
    error: &'a mut [f32],
    norm: &'a mut [f32],
    most: &'a mut Most,
}

/// What a row of numbers is in bytes, but for the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rounded {
    /// Number that one step stands for.
    pub scale: f32,
    /// κ
    pub error: f32,
    /// Euclidean norm of the numbers, and of the bytes; like `error`, √2 times that where rounding is no noise.
    pub norm: f32,
    pub norm_in_steps: f32,
    /// Sum of the bytes.
    pub sum: i32,
}

impl Quantized {
    /// The rows of `weights` [features, dIn], or none where this CPU screens nothing.
    pub fn new(kernels: &Kernels, threads: usize, weights: &[f32], d_in: usize) -> Result<Option<Self>, Error> {
        let Some(screen) = kernels.screen.filter(|_| d_in <= MAX_D_IN) else { return Ok(None) };
        let features = weights.len() / d_in;
        let padded = features.next_multiple_of(screen.features);
        let mut quantized = Quantized {
            screen,
            d_in,
            features,
            bytes: Buffer::zeros(padded * d_in.next_multiple_of(4))?,
            start: filled(padded, 0)?,
            scale: filled(padded, 0.0)?,
            error: filled(padded, 0.0)?,
            norm: filled(padded, 0.0)?,
            most: filled(padded / screen.features, Most::default())?,
        };
        let rows = weights.chunks(screen.features * d_in);
        threads::map(threads, quantized.panels_mut().zip(rows), |(mut panel, rows)| {
            let mut scratch = vec![0; d_in];
            for (lane, row) in rows.chunks(d_in).enumerate() {
                panel.write(lane, row, &mut scratch);
            }
            panel.finish();
        });
        Ok(Some(quantized))
    }

    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn panels(&self) -> usize {
        self.features.div_ceil(self.screen.features)
    }

    pub fn panel(&self, p: usize) -> Panel<'_> {
        let (lanes, bytes) = self.range(p);
        Panel {
            first: lanes.start as u32,
            bytes: &self.bytes[bytes],
            start: &self.start[lanes.clone()],
            scale: &self.scale[lanes.clone()],
            error: &self.error[lanes.clone()],
            norm: &self.norm[lanes],
            most: self.most[p],
        }
    }

    fn range(&self, p: usize) -> (Range<usize>, Range<usize>) {
        let (width, row) = (self.screen.features, self.d_in.next_multiple_of(4));
        (p * width..(p + 1) * width, p * width * row..(p + 1) * width * row)
    }

    pub fn panels_mut(&mut self) -> impl Iterator<Item = PanelMut<'_>> {
        let (screen, width) = (self.screen, self.screen.features);
        let row = self.d_in.next_multiple_of(4);
        let sums = self.bytes.chunks_mut(width * row).zip(self.start.chunks_mut(width));
        let numbers = self.scale.chunks_mut(width).zip(self.error.chunks_mut(width)).zip(self.norm.chunks_mut(width));
        let parts = sums.zip(numbers).zip(&mut self.most);
        parts.map(move |(((bytes, start), ((scale, error), norm)), most)| PanelMut { screen, bytes, start, scale, error, norm, most })
    }
}

impl PanelMut<'_> {
    /// Rounds `row` into place, by way of `scratch`, which has a byte per number.
    pub fn write(&mut self, lane: usize, row: &[f32], scratch: &mut [u8]) {
        let about = self.screen.round(row, WEIGHT_MAX, 0, scratch);
        for (word, to) in scratch.chunks(4).zip(self.bytes.chunks_mut(4 * self.screen.features)) {
            to[4 * lane..4 * lane + word.len()].copy_from_slice(word);
        }
        self.start[lane] = -self.screen.input_offset * about.sum;
        self.scale[lane] = about.scale;
        self.error[lane] = about.error * about.scale;
        self.norm[lane] = about.norm;
    }

    /// To be called when all rows that change are written.
    pub fn finish(&mut self) {
        let most = |numbers: &[f32]| numbers.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        *self.most = Most { inverse_scale: 1.0 / most(self.scale), error: most(self.error), norm: most(self.norm) };
    }
}

/// Tokens in bytes.
pub struct Inputs {
    tile: usize,
    /// [tiles, ⌈dIn / 4⌉, tokens of a tile, 4], with the screen's offset. The last tile is filled with zeros.
    bytes: Buffer<u8>,
    pub rounded: Vec<Rounded>,
}

impl Inputs {
    /// The rows of `x` [tokens, dIn].
    pub fn new(screen: &Screen, x: &[f32], d_in: usize) -> Result<Self, Error> {
        let words = d_in.div_ceil(4);
        let tile = 4 * words * screen.tokens;
        let mut bytes = Buffer::zeros((x.len() / d_in).div_ceil(screen.tokens) * tile)?;
        let mut rounded = Vec::new();
        rounded.try_reserve_exact(x.len() / d_in)?;
        let mut row = vec![screen.input_offset as u8; 4 * words];
        for (x, bytes) in x.chunks(screen.tokens * d_in).zip(bytes.chunks_mut(tile)) {
            for (t, x) in x.chunks(d_in).enumerate() {
                rounded.push(screen.round(x, screen.input_max, screen.input_offset, &mut row[..d_in]));
                for (word, to) in row.chunks_exact(4).zip(bytes[4 * t..].chunks_mut(4 * screen.tokens)) {
                    to[..4].copy_from_slice(word);
                }
            }
        }
        Ok(Inputs { tile, bytes, rounded })
    }

    pub fn tiles(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.tile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Path;

    /// What the bounds are derived from: the error of p·q, and the terms that are to cover it.
    #[test]
    fn products_of_bytes_stay_within_the_bounds() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        for screen in Path::ALL.into_iter().filter_map(Kernels::new).filter_map(|kernels| kernels.screen) {
            for d in [1, 2, 5, 63, 64, 576] {
                for outlier in [1.0, 30.0, 1e4, 1e30] {
                    let mut rows: [Vec<f32>; 2] = std::array::from_fn(|_| (0..d).map(|_| next()).collect());
                    rows[0][d / 2] *= outlier;
                    rows[1][d / 3] *= outlier.sqrt();
                    let mut bytes = [vec![0; d], vec![0; d]];
                    let [x, w] = [0, 1].map(|i| {
                        let (max, offset) = [(screen.input_max, screen.input_offset), (WEIGHT_MAX, 0)][i];
                        screen.round(&rows[i], max, offset, &mut bytes[i])
                    });
                    let product: i32 =
                        bytes[0].iter().zip(&bytes[1]).map(|(&q, &p)| (i32::from(q) - screen.input_offset) * i32::from(p as i8)).sum();
                    if screen.input_offset == 0 {
                        continue; // signed bytes are read as such by the tile's own test
                    }
                    let exact: f64 = rows[0].iter().zip(&rows[1]).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    let error = exact - f64::from(product) * f64::from(x.scale) * f64::from(w.scale);
                    let of_inputs = f64::from(x.scale * x.error) * f64::from(w.norm);
                    let bound = of_inputs.hypot(f64::from(w.scale * w.error) * f64::from(x.scale) * f64::from(x.norm_in_steps));
                    assert!(error.abs() <= bound * (1.0 + 1e-6), "{d} {outlier}: {error} beyond {bound}");
                }
            }
        }
    }

    #[test]
    fn zeros_and_the_smallest_numbers_are_rounded_to_zero() {
        let Some(screen) = Kernels::best().screen else { return };
        for row in [[0.0f32; 5], [1e-44, -1e-40, 0.0, 0.0, 1e-39]] {
            let mut bytes = [1; 5];
            let rounded = screen.round(&row, 127, 0, &mut bytes);
            assert_eq!((bytes, rounded.sum, rounded.norm_in_steps), ([0; 5], 0, 0.0));
            assert!(rounded.scale > 0.0 && rounded.error <= 1e-38);
        }
    }
}
