//! Chooses the inner loops for the CPU at hand, once.
//!
//! `loops.rs` holds one source of every inner loop, written against [`Vector`]. Here it is compiled for each instruction set and put into a table
//! of function pointers. Nothing is built for the machine that builds: the same library runs on any CPU of its architecture.

mod bytes;
mod dense;
mod loops;
mod vector;

use crate::candidates::{Candidates, Screened};
use crate::quantize::{Bias, Panel, Rounded};
use bytes::Bytes;
pub use dense::Product;
pub use loops::{Adam, Backward, prefetch_near};
use vector::Vector;

/// How many (token, feature) pairs the backward loops take at a time: each loaded gradient row then serves four of them.
pub const GROUP: usize = 4;

/// Most tokens that a register tile of any instruction set spans.
pub const MAX_TILE_TOKENS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// With byte dot products: Ice Lake, Zen 4 and later, and Cascade Lake.
    Avx512Vnni,
    Avx512,
    /// With byte dot products in 256-bit registers: Alder Lake and later.
    AvxVnni,
    Avx2,
    /// With byte dot products: most 64-bit ARM cores since 2018.
    NeonDot,
    /// What the architecture always has: SSE2 on x86-64, NEON on AArch64.
    Portable,
}

impl Path {
    /// Fastest first.
    pub const ALL: [Path; 6] = [Path::Avx512Vnni, Path::Avx512, Path::AvxVnni, Path::Avx2, Path::NeonDot, Path::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Path::Avx512Vnni => "avx512-vnni",
            Path::Avx512 => "avx512",
            Path::AvxVnni => "avx-vnni",
            Path::Avx2 => "avx2",
            Path::NeonDot => "neon-dotprod",
            Path::Portable => "portable",
        }
    }

    /// Whether this CPU, and its operating system, can run it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Vnni => avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => avx2 && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Path::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => avx2,
            #[cfg(target_arch = "aarch64")]
            Path::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            Path::Portable => true,
            _ => false,
        }
    }

    fn kernels(self) -> Kernels {
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Vnni => avx512_vnni::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => avx512::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Path::AvxVnni => avx_vnni::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => avx2::KERNELS,
            #[cfg(target_arch = "aarch64")]
            Path::NeonDot => neon_dotprod::KERNELS,
            _ => portable::KERNELS,
        }
    }
}

/// Multiplies bytes: several times as fast as f32, and as exact as [`crate::quantize`] says.
#[derive(Clone, Copy)]
pub struct Screen {
    /// Tokens, and features, that one tile spans. The features are the width of a panel.
    pub tokens: usize,
    pub features: usize,
    /// Largest magnitude of an input's byte, and what is added to it.
    pub input_max: i32,
    pub input_offset: i32,
    #[allow(clippy::type_complexity)] // a name would only hide it
    tile: unsafe fn(Panel<'_>, Bias<'_>, &[u8], usize, &Screened, &mut [Candidates]) -> u64,
    cut: unsafe fn(&mut Candidates, usize, f32) -> f32,
    round: unsafe fn(&[f32], i32, i32, &mut [u8]) -> Rounded,
    busy: unsafe fn(usize) -> u64,
}

impl Screen {
    /// Bounds the pre-activations of one tile of [`crate::quantize::Inputs`], whose first token is `first`, and appends those that may exceed their
    /// token's threshold to its candidates. The last tile may have fewer tokens. One bit for each token that has more candidates than before.
    #[inline]
    pub fn tile(
        &self,
        panel: Panel<'_>,
        bias: Bias<'_>,
        inputs: &[u8],
        first: usize,
        tokens: &Screened,
        candidates: &mut [Candidates],
    ) -> u64 {
        // SAFETY: `Kernels::new` hands out a table only after it found the instruction set.
        unsafe { (self.tile)(panel, bias, inputs, first, tokens, candidates) }
    }

    /// Drops the candidates that cannot be among the k best; returns the threshold that k lower bounds exceed, or `floor` if that is more.
    #[inline]
    pub fn cut(&self, candidates: &mut Candidates, k: usize, floor: f32) -> f32 {
        // SAFETY: as in `tile`.
        unsafe { (self.cut)(candidates, k, floor) }
    }

    /// Rounds a row of finite numbers to whole steps of magnitude ≤ `max`, and adds `offset`.
    #[inline]
    pub fn round(&self, row: &[f32], max: i32, offset: i32, bytes: &mut [u8]) -> Rounded {
        // SAFETY: as in `tile`.
        unsafe { (self.round)(row, max, offset, bytes) }
    }

    /// Multiplies bytes, in registers alone; how many operations that was.
    pub fn busy(&self, rounds: usize) -> u64 {
        // SAFETY: as in `tile`.
        unsafe { (self.busy)(rounds) }
    }
}

/// The inner loops, compiled for one instruction set. Where slices come in groups, they have one length.
#[derive(Clone, Copy)]
#[allow(clippy::type_complexity)] // a name per signature would only hide it
pub struct Kernels {
    pub path: Path,
    /// Tokens that one register tile spans.
    pub tile_tokens: usize,
    /// Features that one register tile spans: the width of a packed panel.
    pub tile_features: usize,
    /// None where multiplying bytes is no faster.
    pub screen: Option<Screen>,
    tile: unsafe fn(&[&[f32]], &[f32], &[f32], &[f32], &mut [f32], &mut [u64]),
    dot: unsafe fn(&[f32], &[f32]) -> f32,
    dots: unsafe fn(&[f32], &[u32], &[f32], &mut [f32]),
    axpy: unsafe fn(&mut [f32], f32, &[f32]),
    axpy_group: unsafe fn(&mut [f32], [f32; GROUP], [&[f32]; GROUP], [&[f32]; GROUP]),
    backward: unsafe fn(Backward<'_>, &mut [f32], &mut [f32]) -> [f32; GROUP],
    adam: unsafe fn(&Adam, &mut [f32], &mut [f32], &mut [f32], &[f32]),
    scale: unsafe fn(&mut [f32], f32),
    widen: unsafe fn(&[u16], &mut [f32]),
    narrow: unsafe fn(&[f32], &mut [u16], u32, u32),
    product: unsafe fn(Product<'_>, usize, usize, &mut [f32], usize),
    activate: unsafe fn(&mut [f32], f32, f32) -> (usize, f32),
    band: unsafe fn(&[f32], f32, f32, f32, u32, &mut Vec<u32>),
    gate: unsafe fn(&mut [f32], &[f32], f32, f32) -> f32,
    busy: unsafe fn(usize) -> u64,
}

impl Kernels {
    /// The loops for `path`, or none when this CPU cannot run it.
    pub fn new(path: Path) -> Option<Self> {
        path.is_available().then(|| path.kernels())
    }

    /// The fastest loops that this CPU can run.
    pub fn best() -> Self {
        Path::ALL.into_iter().find_map(Self::new).unwrap_or(portable::KERNELS)
    }

    /// Pre-activations of one register tile: `z[t · tile_features + i] = rows[t] · feature i + bias[i]`, where `panel` holds the features
    /// interleaved, [dIn, tile_features]. Bit i of `above[t]` says whether that exceeds `thresholds[t]`.
    #[inline]
    pub fn tile(&self, rows: &[&[f32]], panel: &[f32], bias: &[f32], thresholds: &[f32], z: &mut [f32], above: &mut [u64]) {
        // SAFETY: `new` hands out a table only after it found the instruction set; the same holds for the methods below.
        unsafe { (self.tile)(rows, panel, bias, thresholds, z, above) }
    }

    /// a · b.
    #[inline]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: as in `tile`.
        unsafe { (self.dot)(a, b) }
    }

    /// `out[i]` = row `rows[i]` of `weights` · x, the same as `dot` gives.
    #[inline]
    pub fn dots(&self, weights: &[f32], rows: &[u32], x: &[f32], out: &mut [f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.dots)(weights, rows, x, out) }
    }

    /// y += a x.
    #[inline]
    pub fn axpy(&self, y: &mut [f32], a: f32, x: &[f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.axpy)(y, a, x) }
    }

    /// y += Σ a[i] x[i], in this order, while the `next` x are asked for.
    #[inline]
    pub fn axpy_group(&self, y: &mut [f32], a: [f32; GROUP], x: [&[f32]; GROUP], next: [&[f32]; GROUP]) {
        // SAFETY: as in `tile`.
        unsafe { (self.axpy_group)(y, a, x, next) }
    }

    /// Adds the gradient of up to [`GROUP`] tokens of one feature to its decoder and encoder rows; returns the loss's derivative by each activation.
    #[inline]
    pub fn backward(&self, pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> [f32; GROUP] {
        // SAFETY: as in `tile`.
        unsafe { (self.backward)(pairs, g_dec, g_enc) }
    }

    /// One Adam update of `w` with moments `m` and `v` for the gradient `g`.
    #[inline]
    pub fn adam(&self, adam: &Adam, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.adam)(adam, w, m, v, g) }
    }

    /// y *= a.
    #[inline]
    pub fn scale(&self, y: &mut [f32], a: f32) {
        // SAFETY: as in `tile`.
        unsafe { (self.scale)(y, a) }
    }

    /// bf16 to f32.
    #[inline]
    pub fn widen(&self, halves: &[u16], numbers: &mut [f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.widen)(halves, numbers) }
    }

    /// f32 to bf16, up or down at random. Of a row with this `seed`, these are the numbers from `column` on.
    #[inline]
    pub fn narrow(&self, numbers: &[f32], halves: &mut [u16], seed: u32, column: u32) {
        // SAFETY: as in `tile`.
        unsafe { (self.narrow)(numbers, halves, seed, column) }
    }

    /// The first `rows` and `columns` of one tile of a product of matrices, written or added to `c`, whose rows are `c_row` numbers apart.
    /// Each number is summed in the order of the columns of A, wherever in a tile it lies.
    #[inline]
    pub fn product(&self, product: Product<'_>, rows: usize, columns: usize, c: &mut [f32], c_row: usize) {
        // SAFETY: as in `tile`.
        unsafe { (self.product)(product, rows, columns, c, c_row) }
    }

    /// Pre-activations, less their bias, become activations: what does not exceed `cut` becomes 0. How many do, and their sum.
    #[inline]
    pub fn activate(&self, z: &mut [f32], bias: f32, cut: f32) -> (usize, f32) {
        // SAFETY: as in `tile`.
        unsafe { (self.activate)(z, bias, cut) }
    }

    /// Appends the places, counted from `first`, of the pre-activations, given less their bias, that are nearer than `half` to `threshold`.
    #[inline]
    pub fn band(&self, z: &[f32], bias: f32, threshold: f32, half: f32, first: u32, places: &mut Vec<u32>) {
        // SAFETY: as in `tile`.
        unsafe { (self.band)(z, bias, threshold, half, first, places) }
    }

    /// g = scale g + penalty where f > 0, else 0. The sum of that.
    #[inline]
    pub fn gate(&self, g: &mut [f32], f: &[f32], scale: f32, penalty: f32) -> f32 {
        // SAFETY: as in `tile`.
        unsafe { (self.gate)(g, f, scale, penalty) }
    }

    /// Multiplies f32 numbers, in registers alone; how many operations that was.
    pub fn busy(&self, rounds: usize) -> u64 {
        // SAFETY: as in `tile`.
        unsafe { (self.busy)(rounds) }
    }
}

/// Compiles the loops for one instruction set. Tiles are tokens × vectors: all sums, one row of weights and one broadcast stay in registers.
macro_rules! compile {
    ($name:ident, $path:expr, $features:literal, $vector:ident $tokens:literal by $vectors:literal $(, $bytes:ident $byte_tokens:literal by $byte_vectors:literal)?) => {
        mod $name {
            use super::*;

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn tile(rows: &[&[f32]], panel: &[f32], bias: &[f32], thresholds: &[f32], z: &mut [f32], above: &mut [u64]) {
                loops::tile::<vector::$vector, $tokens, $vectors>(rows, panel, bias, thresholds, z, above)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
                loops::dot::<vector::$vector>(a, b)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn dots(weights: &[f32], rows: &[u32], x: &[f32], out: &mut [f32]) {
                loops::dots::<vector::$vector>(weights, rows, x, out)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn axpy(y: &mut [f32], a: f32, x: &[f32]) {
                loops::axpy::<vector::$vector, 1>(y, [a], [x], [x])
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn axpy_group(y: &mut [f32], a: [f32; GROUP], x: [&[f32]; GROUP], next: [&[f32]; GROUP]) {
                loops::axpy::<vector::$vector, GROUP>(y, a, x, next)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn backward(pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> [f32; GROUP] {
                loops::backward::<vector::$vector>(pairs, g_dec, g_enc)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn adam(adam: &Adam, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
                loops::adam::<vector::$vector>(adam, w, m, v, g)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn scale(y: &mut [f32], a: f32) {
                loops::scale(y, a)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn widen(halves: &[u16], numbers: &mut [f32]) {
                loops::widen(halves, numbers)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn narrow(numbers: &[f32], halves: &mut [u16], seed: u32, column: u32) {
                loops::narrow(numbers, halves, seed, column)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn product(product: Product<'_>, rows: usize, columns: usize, c: &mut [f32], c_row: usize) {
                dense::product::<vector::$vector, $tokens, $vectors>(product, rows, columns, c, c_row)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn activate(z: &mut [f32], bias: f32, cut: f32) -> (usize, f32) {
                dense::activate(z, bias, cut)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn band(z: &[f32], bias: f32, threshold: f32, half: f32, first: u32, places: &mut Vec<u32>) {
                dense::band::<vector::$vector>(z, bias, threshold, half, first, places)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn gate(g: &mut [f32], f: &[f32], scale: f32, penalty: f32) -> f32 {
                dense::gate(g, f, scale, penalty)
            }

            #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
            unsafe fn busy(rounds: usize) -> u64 {
                loops::busy::<vector::$vector>(rounds)
            }

            pub const KERNELS: Kernels = Kernels {
                path: $path,
                tile_tokens: $tokens,
                tile_features: $vectors * <vector::$vector as Vector>::LANES,
                screen: first!($(Some(Screen {
                    tokens: $byte_tokens,
                    features: $byte_vectors * <bytes::$bytes as Bytes>::LANES,
                    input_max: <bytes::$bytes as Bytes>::INPUT_MAX,
                    input_offset: <bytes::$bytes as Bytes>::INPUT_OFFSET,
                    tile: {
                        #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
                        unsafe fn screen(panel: Panel<'_>, bias: Bias<'_>, inputs: &[u8], first: usize, tokens: &Screened, candidates: &mut [Candidates]) -> u64 {
                            loops::screen::<bytes::$bytes, vector::$vector, $byte_tokens, $byte_vectors>(panel, bias, inputs, first, tokens, candidates)
                        }
                        screen
                    },
                    cut: {
                        #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
                        unsafe fn cut(candidates: &mut Candidates, k: usize, floor: f32) -> f32 {
                            loops::cut::<vector::$vector>(candidates, k, floor)
                        }
                        cut
                    },
                    round: {
                        #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
                        unsafe fn round(row: &[f32], max: i32, offset: i32, bytes: &mut [u8]) -> Rounded {
                            loops::round(row, max, offset, bytes)
                        }
                        round
                    },
                    busy: {
                        #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), target_feature(enable = $features))]
                        unsafe fn busy_bytes(rounds: usize) -> u64 {
                            loops::busy_bytes::<bytes::$bytes>(rounds)
                        }
                        busy_bytes
                    },
                }),)? None),
                tile,
                dot,
                dots,
                axpy,
                axpy_group,
                backward,
                adam,
                scale,
                widen,
                narrow,
                product,
                activate,
                band,
                gate,
                busy,
            };
        }
    };
}

macro_rules! first {
    ($first:expr $(, $rest:expr)?) => {
        $first
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512_vnni, Path::Avx512Vnni, "avx512f,avx512vnni,avx2,fma", F32x16 8 by 3, Vnni512 6 by 4);
#[cfg(target_arch = "x86_64")]
compile!(avx512, Path::Avx512, "avx512f,avx2,fma", F32x16 8 by 3);
#[cfg(target_arch = "x86_64")]
compile!(avx_vnni, Path::AvxVnni, "avxvnni,avx2,fma", F32x8 6 by 2, Vnni256 6 by 2);
#[cfg(target_arch = "x86_64")]
compile!(avx2, Path::Avx2, "avx2,fma", F32x8 6 by 2, Pairs256 5 by 2);
#[cfg(target_arch = "aarch64")]
compile!(neon_dotprod, Path::NeonDot, "neon,dotprod", F32x4 6 by 4, Sdot 6 by 4);
#[cfg(target_arch = "aarch64")]
compile!(portable, Path::Portable, "neon", F32x4 6 by 4);
#[cfg(not(target_arch = "aarch64"))]
compile!(portable, Path::Portable, "sse2", F32x4 6 by 2);

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() <= 1e-5 * b.abs().max(1.0)
    }

    /// Every loop beside its formula, at lengths that are and are not multiples of the lanes.
    #[test]
    fn every_path_computes_the_formulas() {
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            for n in [1, 3, 4, 15, 16, 17, 63, 64, 65, 200] {
                let rows: Vec<Vec<f32>> = (1..=9).map(|i| wave(n, i as f32 * 0.37)).collect();
                let [w, x, y, ..] = &rows[..] else { unreachable!() };
                let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
                assert!(close(kernels.dot(x, y), dot(x, y)));
                let mut both = [0.0; 2];
                kernels.dots(&[&w[..], &x[..]].concat(), &[1, 0], y, &mut both);
                assert_eq!(both, [kernels.dot(x, y), kernels.dot(w, y)]);

                let mut sum = y.clone();
                kernels.axpy(&mut sum, 0.5, x);
                assert!((0..n).all(|c| close(sum[c], f64::from(y[c]) + 0.5 * f64::from(x[c]))));

                // Two of four places in use.
                let pairs = Backward {
                    count: 2,
                    f: [0.5, 2.0, 9.0, 9.0],
                    inputs: std::array::from_fn(|j| &rows[1 + j.min(1)][..]),
                    errors: std::array::from_fn(|j| &rows[3 + j.min(1)][..]),
                    next_errors: [w; GROUP],
                    first: false,
                    scale: 0.25,
                    penalty: 0.125,
                    w_dec: w,
                };
                let (mut g_dec, mut g_enc) = (vec![1.0; n], vec![2.0; n]);
                let found = kernels.backward(pairs, &mut g_dec, &mut g_enc);
                let of_f = [0.25 * dot(&rows[3], w) + 0.125, 0.25 * dot(&rows[4], w) + 0.125];
                assert!(close(found[0], of_f[0]) && close(found[1], of_f[1]) && found[2..] == [0.0, 0.0]);
                for c in 0..n {
                    assert!(close(g_dec[c], 1.0 + 0.25 * (0.5 * f64::from(rows[3][c]) + 2.0 * f64::from(rows[4][c]))));
                    assert!(close(g_enc[c], 2.0 + of_f[0] * f64::from(rows[1][c]) + of_f[1] * f64::from(rows[2][c])));
                }

                let (mut once, mut other) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                kernels.backward(Backward { first: true, ..pairs }, &mut once, &mut other);
                assert!((0..n).all(|c| close(once[c], f64::from(g_dec[c]) - 1.0) && close(other[c], f64::from(g_enc[c]) - 2.0)));

                let adam = Adam { b1: 0.9, b2: 0.99, c1: 0.1, c2: 0.01, epsilon: 1e-8, rate: 0.1, v_scale: 2.0, clip: 0.5 };
                let (mut w_new, mut m, mut v) = (w.clone(), vec![0.25; n], vec![0.5; n]);
                kernels.adam(&adam, &mut w_new, &mut m, &mut v, x);
                for c in 0..n {
                    let g = 0.5 * f64::from(x[c]);
                    let (m_new, v_new) = (0.9 * 0.25 + 0.1 * g, 0.99 * 0.5 + 0.01 * g * g);
                    assert!(close(m[c], m_new) && close(v[c], v_new));
                    assert!(close(w_new[c], f64::from(w[c]) - 0.1 * m_new / (2.0 * v_new.sqrt() + 1e-8)));
                }
            }
        }
    }

    #[test]
    fn tiles_are_products_of_matrices() {
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            let (most_rows, width) = (kernels.tile_tokens, kernels.tile_features);
            let (a, b) = (wave(9 * 40, 0.37), wave(40 * (width + 3), 0.73));
            for (depth, rows, columns) in [(1, 1, 1), (40, most_rows, width), (17, most_rows - 1, width), (5, most_rows, width - 1)] {
                for (a_row, a_column, b_row) in [(40, 1, width), (1, 9, width + 3)] {
                    for add in [false, true] {
                        let product = Product { a: &a, a_row, a_column, b: &b, b_row, depth, scale: 0.5, add };
                        let mut c = vec![1.0; rows * (width + 2)];
                        kernels.product(product, rows, columns, &mut c, width + 2);
                        for (i, &c) in c.iter().enumerate() {
                            let (r, column) = (i / (width + 2), i % (width + 2));
                            let pairs = (0..depth).map(|k| f64::from(a[r * a_row + k * a_column]) * f64::from(b[k * b_row + column]));
                            match column < columns {
                                true => assert!(close(c, 0.5 * pairs.sum::<f64>() + f64::from(add))),
                                false => assert_eq!(c, 1.0),
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn activations_gates_and_bands() {
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            for n in [1, 3, 16, 17, 45] {
                let (before, g) = (wave(n, 0.37), wave(n, 0.73));
                let z: Vec<f32> = before.iter().map(|z| z + 0.25).collect();
                for cut in [0.0, 0.5] {
                    let mut f = before.clone();
                    let (count, sum) = kernels.activate(&mut f, 0.25, cut);
                    assert!(f.iter().zip(&z).all(|(&f, &z)| f == if z > cut { z } else { 0.0 }));
                    assert_eq!(count, z.iter().filter(|&&z| z > cut).count());
                    assert!(close(sum, f.iter().map(|&f| f64::from(f)).sum()));

                    let mut gated = g.clone();
                    let sum = kernels.gate(&mut gated, &f, 2.0, 0.5);
                    let of_f = |g: f32, f: f32| if f > 0.0 { 2.0 * g + 0.5 } else { 0.0 };
                    assert!(gated.iter().zip(g.iter().zip(&f)).all(|(&gated, (&g, &f))| close(gated, f64::from(of_f(g, f)))));
                    assert!(close(sum, gated.iter().map(|&g| f64::from(g)).sum()));
                }
                let mut places = vec![7];
                kernels.band(&before, 0.25, 0.5, 0.375, 100, &mut places);
                let near = (0..n as u32).filter(|&i| (z[i as usize] - 0.5).abs() < 0.375).map(|i| 100 + i);
                assert_eq!(places, [7].into_iter().chain(near).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn moments_of_silent_features_never_become_subnormal() {
        let adam = Adam { b1: 0.9, b2: 0.99, c1: 0.1, c2: 0.01, epsilon: 1e-8, rate: 0.1, v_scale: 1.0, clip: 1.0 };
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            let (mut w, mut m, mut v) = ([1.0; 37], [-1e-3; 37], [1e-6; 37]);
            for _ in 0..if cfg!(miri) { 9 } else { 9000 } {
                kernels.adam(&adam, &mut w, &mut m, &mut v, &[0.0; 37]);
            }
            assert!(m.iter().chain(&v).all(|x| !x.is_subnormal() && x.abs() < 1e-30), "{m:?} {v:?}");
        }
    }
}
