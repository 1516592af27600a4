//! The inner loops, once, for any [`Vector`]. All are inlined into functions that enable an instruction set.
//! Slices of other lengths than a loop needs are a bug of the caller, and panic.

use super::{GROUP, Vector};

/// See `Kernels::tile`. The sums of a tile are independent of one another and of where the tile lies: a token's pre-activations do not
/// depend on its neighbours.
#[inline(always)]
pub fn tile<V: Vector, const TOKENS: usize, const VECTORS: usize>(
    rows: &[&[f32]],
    panel: &[f32],
    bias: &[f32],
    thresholds: &[f32],
    z: &mut [f32],
    above: &mut [u64],
) {
    let features = VECTORS * V::LANES;
    let d = rows[0].len();
    assert!(rows.len() == TOKENS && rows.iter().all(|row| row.len() == d));
    assert!(panel.len() == d * features && bias.len() == features);
    assert!(thresholds.len() == TOKENS && above.len() == TOKENS && z.len() == TOKENS * features);
    let rows: [*const f32; TOKENS] = std::array::from_fn(|t| rows[t].as_ptr());
    let mut sums = [[V::splat(0.0); VECTORS]; TOKENS];
    let mut weights = panel.as_ptr();
    for c in 0..d {
        // SAFETY: c < d, the length of every row; `weights` is at panel[c · features].
        unsafe {
            let w: [V; VECTORS] = std::array::from_fn(|v| V::load(weights.add(v * V::LANES)));
            for t in 0..TOKENS {
                let x = V::splat(*rows[t].add(c));
                for v in 0..VECTORS {
                    sums[t][v] = V::mul_add(w[v], x, sums[t][v]);
                }
            }
            weights = weights.add(features);
        }
    }
    for t in 0..TOKENS {
        let threshold = V::splat(thresholds[t]);
        let mut bits = 0;
        for (v, &sum) in sums[t].iter().enumerate() {
            // SAFETY: `bias` has `features` numbers and `z` TOKENS times as many.
            unsafe {
                let value = sum.add(V::load(bias.as_ptr().add(v * V::LANES)));
                value.store(z.as_mut_ptr().add(t * features + v * V::LANES));
                bits |= value.above(threshold) << (v * V::LANES);
            }
        }
        above[t] = bits;
    }
}

/// See `Kernels::dot`.
#[inline(always)]
pub fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len();
    assert!(b.len() == n);
    let mut sums = [V::splat(0.0); 4];
    let mut i = 0;
    // SAFETY: every load ends at or before n.
    unsafe {
        while i + 4 * V::LANES <= n {
            for (j, sum) in sums.iter_mut().enumerate() {
                let at = i + j * V::LANES;
                *sum = V::mul_add(V::load(a.as_ptr().add(at)), V::load(b.as_ptr().add(at)), *sum);
            }
            i += 4 * V::LANES;
        }
        while i + V::LANES <= n {
            sums[0] = V::mul_add(V::load(a.as_ptr().add(i)), V::load(b.as_ptr().add(i)), sums[0]);
            i += V::LANES;
        }
    }
    let mut sum = sums[0].add(sums[2]).add(sums[1].add(sums[3])).sum();
    for (a, b) in a[i..].iter().zip(&b[i..]) {
        sum += a * b;
    }
    sum
}

/// y += Σ a[j] x[j].
#[inline(always)]
pub fn axpy<V: Vector, const N: usize>(y: &mut [f32], a: [f32; N], x: [&[f32]; N]) {
    let n = y.len();
    assert!(x.iter().all(|x| x.len() == n));
    let factors: [V; N] = std::array::from_fn(|j| V::splat(a[j]));
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of y and of every x.
        unsafe {
            let mut sum = V::load(y.as_ptr().add(i));
            for j in 0..N {
                sum = V::mul_add(factors[j], V::load(x[j].as_ptr().add(i)), sum);
            }
            sum.store(y.as_mut_ptr().add(i));
        }
        i += V::LANES;
    }
    for i in i..n {
        for j in 0..N {
            y[i] += a[j] * x[j][i];
        }
    }
}

/// Active tokens of one feature: the first `count` of each array.
#[derive(Clone, Copy)]
pub struct Backward<'a> {
    pub count: usize,
    /// The feature's activations.
    pub f: [f32; GROUP],
    /// Encoder inputs, [dIn] each.
    pub inputs: [&'a [f32]; GROUP],
    /// Errors of the reconstruction, [dIn] each.
    pub errors: [&'a [f32]; GROUP],
    /// Derivative of the loss by the reconstruction, divided by the error.
    pub scale: f32,
    /// Derivative of the sparsity penalty by an activation.
    pub penalty: f32,
    /// The feature's decoder row, [dIn].
    pub w_dec: &'a [f32],
}

/// See `Kernels::backward`.
#[inline(always)]
pub fn backward<V: Vector>(pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> f32 {
    let Backward { count, f, inputs, errors, scale, penalty, w_dec } = pairs;
    let n = w_dec.len();
    assert!(g_dec.len() == n && g_enc.len() == n);
    assert!(errors.iter().chain(&inputs).all(|row| row.len() == n));
    let mut sums = [V::splat(0.0); GROUP];
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of every row.
        unsafe {
            let w = V::load(w_dec.as_ptr().add(i));
            for j in 0..GROUP {
                sums[j] = V::mul_add(V::load(errors[j].as_ptr().add(i)), w, sums[j]);
            }
        }
        i += V::LANES;
    }
    // Rows beyond `count` repeat another one: their factors are 0.
    let (mut along, mut of_f) = ([0.0; GROUP], [0.0; GROUP]);
    for j in 0..count.min(GROUP) {
        let mut sum = sums[j].sum();
        for (e, w) in errors[j][i..].iter().zip(&w_dec[i..]) {
            sum += e * w;
        }
        of_f[j] = scale * sum + penalty;
        along[j] = scale * f[j];
    }
    let along_vectors: [V; GROUP] = std::array::from_fn(|j| V::splat(along[j]));
    let of_f_vectors: [V; GROUP] = std::array::from_fn(|j| V::splat(of_f[j]));
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of every row.
        unsafe {
            let mut dec = V::load(g_dec.as_ptr().add(i));
            let mut enc = V::load(g_enc.as_ptr().add(i));
            for j in 0..GROUP {
                dec = V::mul_add(along_vectors[j], V::load(errors[j].as_ptr().add(i)), dec);
                enc = V::mul_add(of_f_vectors[j], V::load(inputs[j].as_ptr().add(i)), enc);
            }
            dec.store(g_dec.as_mut_ptr().add(i));
            enc.store(g_enc.as_mut_ptr().add(i));
        }
        i += V::LANES;
    }
    for i in i..n {
        for j in 0..GROUP {
            g_dec[i] += along[j] * errors[j][i];
            g_enc[i] += of_f[j] * inputs[j][i];
        }
    }
    of_f.iter().sum()
}

/// The numbers of one Adam step that are the same for every weight.
#[derive(Clone, Copy)]
pub struct Adam {
    pub b1: f32,
    pub b2: f32,
    /// 1 − b1 and 1 − b2, rounded once: the difference of two f32 would be off by 1e-5 for b2 = 0.999.
    pub c1: f32,
    pub c2: f32,
    pub epsilon: f32,
    /// Learning rate / (1 − b1ᵗ).
    pub rate: f32,
    /// 1 / √(1 − b2ᵗ).
    pub v_scale: f32,
    /// What clipping leaves of the gradient.
    pub clip: f32,
}

/// Added to a moment and taken away again, this rounds it to a multiple of 2⁻¹²³, or about 10⁻³⁷: no other change is visible.
/// The moments of a silent feature would otherwise decay to subnormal numbers and stay there, at a hundred cycles per operation.
const MOMENT_FLOOR: f32 = 1e-30;

/// See `Kernels::adam`. (Kingma and Ba 2015, as PyTorch orders it: ε is added after the bias correction of v.)
#[inline(always)]
pub fn adam<V: Vector>(adam: &Adam, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    let n = w.len();
    assert!(m.len() == n && v.len() == n && g.len() == n);
    let Adam { b1, b2, c1, c2, epsilon, rate, v_scale, clip } = *adam;
    let (b1s, b2s, v_scales, clips) = (V::splat(b1), V::splat(b2), V::splat(v_scale), V::splat(clip));
    let (c1s, c2s, epsilons, rates) = (V::splat(c1), V::splat(c2), V::splat(epsilon), V::splat(-rate));
    let (floor, minus_floor) = (V::splat(MOMENT_FLOOR), V::splat(-MOMENT_FLOOR));
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of all four.
        unsafe {
            let g = V::load(g.as_ptr().add(i)).mul(clips);
            let m_new = V::mul_add(V::load(m.as_ptr().add(i)), b1s, g.mul(c1s)).add(floor).add(minus_floor);
            let v_new = V::mul_add(V::load(v.as_ptr().add(i)), b2s, g.mul(g).mul(c2s)).add(floor).add(minus_floor);
            m_new.store(m.as_mut_ptr().add(i));
            v_new.store(v.as_mut_ptr().add(i));
            let direction = m_new.div(V::mul_add(v_new.sqrt(), v_scales, epsilons));
            V::mul_add(direction, rates, V::load(w.as_ptr().add(i))).store(w.as_mut_ptr().add(i));
        }
        i += V::LANES;
    }
    for i in i..n {
        let g = g[i] * clip;
        m[i] = m[i] * b1 + g * c1 + MOMENT_FLOOR - MOMENT_FLOOR;
        v[i] = v[i] * b2 + g * g * c2 + MOMENT_FLOOR - MOMENT_FLOOR;
        w[i] -= rate * (m[i] / (v[i].sqrt() * v_scale + epsilon));
    }
}
