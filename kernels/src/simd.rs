//! Chooses the inner loops for the CPU at hand, once.
//!
//! `loops.rs` holds one source of every inner loop, written against [`Vector`]. Here it is compiled for each instruction set and put into a table
//! of function pointers. Nothing is built for the machine that builds: the same library runs on any CPU of its architecture.

mod loops;
mod vector;

pub use loops::{Adam, Backward};
use vector::Vector;

/// How many (token, feature) pairs the backward loops take at a time: each loaded gradient row then serves four of them.
pub const GROUP: usize = 4;

/// Most tokens that a register tile of any instruction set spans.
pub const MAX_TILE_TOKENS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Avx512,
    Avx2,
    /// What the architecture always has: SSE2 on x86-64, NEON on AArch64.
    Portable,
}

impl Path {
    pub const ALL: [Path; 3] = [Path::Avx512, Path::Avx2, Path::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Path::Avx512 => "avx512",
            Path::Avx2 => "avx2",
            Path::Portable => "portable",
        }
    }

    /// Whether this CPU, and its operating system, can run it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Path::Avx512 | Path::Avx2 => false,
            Path::Portable => true,
        }
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
    tile: unsafe fn(&[&[f32]], &[f32], &[f32], &[f32], &mut [f32], &mut [u64]),
    dot: unsafe fn(&[f32], &[f32]) -> f32,
    axpy: unsafe fn(&mut [f32], f32, &[f32]),
    axpy_group: unsafe fn(&mut [f32], [f32; GROUP], [&[f32]; GROUP]),
    backward: unsafe fn(Backward<'_>, &mut [f32], &mut [f32]) -> f32,
    adam: unsafe fn(&Adam, &mut [f32], &mut [f32], &mut [f32], &[f32]),
}

impl Kernels {
    /// The loops for `path`, or none when this CPU cannot run it.
    pub fn new(path: Path) -> Option<Self> {
        path.is_available().then_some(match path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => avx512::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => avx2::KERNELS,
            _ => portable::KERNELS,
        })
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

    /// y += a x.
    #[inline]
    pub fn axpy(&self, y: &mut [f32], a: f32, x: &[f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.axpy)(y, a, x) }
    }

    /// y += Σ a[i] x[i], in this order.
    #[inline]
    pub fn axpy_group(&self, y: &mut [f32], a: [f32; GROUP], x: [&[f32]; GROUP]) {
        // SAFETY: as in `tile`.
        unsafe { (self.axpy_group)(y, a, x) }
    }

    /// Adds the gradient of up to [`GROUP`] active tokens of one feature to its decoder and encoder rows; returns that of its bias.
    #[inline]
    pub fn backward(&self, pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> f32 {
        // SAFETY: as in `tile`.
        unsafe { (self.backward)(pairs, g_dec, g_enc) }
    }

    /// One Adam update of `w` with moments `m` and `v` for the gradient `g`.
    #[inline]
    pub fn adam(&self, adam: &Adam, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.adam)(adam, w, m, v, g) }
    }
}

/// Compiles the loops for one instruction set. The tile is tokens × vectors: all its sums, one row of weights and one broadcast stay in registers.
macro_rules! compile {
    ($name:ident, $path:expr, $vector:ty, tokens $tokens:literal, vectors $vectors:literal $(, features $features:literal)?) => {
        mod $name {
            use super::*;

            $(#[target_feature(enable = $features)])?
            unsafe fn tile(rows: &[&[f32]], panel: &[f32], bias: &[f32], thresholds: &[f32], z: &mut [f32], above: &mut [u64]) {
                loops::tile::<$vector, $tokens, $vectors>(rows, panel, bias, thresholds, z, above)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
                loops::dot::<$vector>(a, b)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn axpy(y: &mut [f32], a: f32, x: &[f32]) {
                loops::axpy::<$vector, 1>(y, [a], [x])
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn axpy_group(y: &mut [f32], a: [f32; GROUP], x: [&[f32]; GROUP]) {
                loops::axpy::<$vector, GROUP>(y, a, x)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn backward(pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> f32 {
                loops::backward::<$vector>(pairs, g_dec, g_enc)
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn adam(adam: &Adam, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
                loops::adam::<$vector>(adam, w, m, v, g)
            }

            pub const KERNELS: Kernels = Kernels {
                path: $path,
                tile_tokens: $tokens,
                tile_features: $vectors * <$vector>::LANES,
                tile,
                dot,
                axpy,
                axpy_group,
                backward,
                adam,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, Path::Avx512, vector::F32x16, tokens 8, vectors 3, features "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
compile!(avx2, Path::Avx2, vector::F32x8, tokens 6, vectors 2, features "avx2,fma");
#[cfg(target_arch = "aarch64")]
compile!(portable, Path::Portable, vector::F32x4, tokens 6, vectors 4);
#[cfg(not(target_arch = "aarch64"))]
compile!(portable, Path::Portable, vector::F32x4, tokens 6, vectors 2);

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

                let mut sum = y.clone();
                kernels.axpy(&mut sum, 0.5, x);
                assert!((0..n).all(|c| close(sum[c], f64::from(y[c]) + 0.5 * f64::from(x[c]))));

                // Two of four places in use.
                let pairs = Backward {
                    count: 2,
                    f: [0.5, 2.0, 9.0, 9.0],
                    inputs: std::array::from_fn(|j| &rows[1 + j.min(1)][..]),
                    errors: std::array::from_fn(|j| &rows[3 + j.min(1)][..]),
                    scale: 0.25,
                    penalty: 0.125,
                    w_dec: w,
                };
                let (mut g_dec, mut g_enc) = (vec![1.0; n], vec![2.0; n]);
                let bias = kernels.backward(pairs, &mut g_dec, &mut g_enc);
                let of_f = [0.25 * dot(&rows[3], w) + 0.125, 0.25 * dot(&rows[4], w) + 0.125];
                assert!(close(bias, of_f[0] + of_f[1]));
                for c in 0..n {
                    assert!(close(g_dec[c], 1.0 + 0.25 * (0.5 * f64::from(rows[3][c]) + 2.0 * f64::from(rows[4][c]))));
                    assert!(close(g_enc[c], 2.0 + of_f[0] * f64::from(rows[1][c]) + of_f[1] * f64::from(rows[2][c])));
                }

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
    fn moments_of_silent_features_never_become_subnormal() {
        let adam = Adam { b1: 0.9, b2: 0.99, c1: 0.1, c2: 0.01, epsilon: 1e-8, rate: 0.1, v_scale: 1.0, clip: 1.0 };
        for kernels in Path::ALL.into_iter().filter_map(Kernels::new) {
            let (mut w, mut m, mut v) = ([1.0; 37], [-1e-3; 37], [1e-6; 37]);
            for _ in 0..9000 {
                kernels.adam(&adam, &mut w, &mut m, &mut v, &[0.0; 37]);
            }
            assert!(m.iter().chain(&v).all(|x| !x.is_subnormal() && x.abs() < 1e-30), "{m:?} {v:?}");
        }
    }
}
