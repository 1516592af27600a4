//! The inner loops, once, for any [`Vector`]. All are inlined into functions that enable an instruction set.
//! Slices of other lengths than a loop needs are a bug of the caller, and panic.

// The index is a register's, or a lane's: an iterator would hide that.
#![allow(clippy::needless_range_loop)]

use super::{Bytes, GROUP, Vector};
use crate::candidates::{Candidates, Screened};
use crate::quantize::{Bias, Panel, Rounded};

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

/// √2 − 1: √(a² + b²) ≤ (1 − NEAR) max(a, b) + NEAR (a + b), and equal where a = b or one is 0. A root would cost as much as all the rest of a bound.
const NEAR: f32 = std::f32::consts::SQRT_2 - 1.0;

/// See `Screen::tile`.
#[inline(always)]
pub fn screen<B: Bytes, V: Vector, const TOKENS: usize, const VECTORS: usize>(
    panel: Panel<'_>,
    bias: Bias<'_>,
    inputs: &[u8],
    first: usize,
    tokens: &Screened,
    candidates: &mut [Candidates],
) -> u64 {
    let Bias { bias, doubt: bias_doubt, most: most_bias } = bias;
    let width = VECTORS * B::LANES;
    let words = panel.bytes.len() / (4 * width);
    assert!(B::LANES == V::LANES && panel.bytes.len() == 4 * width * words && width <= 64);
    let of_features = [panel.scale, panel.error, panel.norm, bias, bias_doubt];
    assert!(of_features.iter().all(|numbers| numbers.len() == width) && panel.start.len() == width);
    assert!(inputs.len() == 4 * TOKENS * words);
    let Screened { inverse, error, norm, threshold } = tokens;
    let [inverse, error, norm, threshold] = [inverse, error, norm, threshold].map(|numbers| &numbers[first..first + TOKENS]);
    // What a sum must exceed for its feature to be a candidate, even with the panel's largest scale and doubts.
    let mut limits = [i32::MIN; TOKENS];
    for t in 0..TOKENS {
        let (of_weights, of_inputs) = (panel.most.error * norm[t], panel.most.norm * error[t]);
        let either = (1.0 - NEAR) * of_weights.max(of_inputs) + NEAR * (of_weights + of_inputs);
        let missing = threshold[t] - (either + most_bias * inverse[t]);
        let needed = (missing * panel.most.inverse_scale).min(2e9) as i32;
        limits[t] = if missing > 0.0 { needed - (needed >> 16) - 1 } else { i32::MIN };
    }
    let mut sums = [[0i32; 64]; TOKENS];
    // SAFETY: every load lies in a slice whose length was just checked; every store in `sums`, which has room for 64 features, or in a list
    // that was found to have room for the whole panel, and a vector more.
    unsafe {
        let start: [B; VECTORS] = std::array::from_fn(|v| B::load(panel.start.as_ptr().add(v * B::LANES)));
        let mut acc = [start; TOKENS];
        let (mut weights, mut inputs) = (panel.bytes.as_ptr(), inputs.as_ptr());
        for _ in 0..words {
            let w: [B; VECTORS] = std::array::from_fn(|v| B::load(weights.add(4 * v * B::LANES).cast()));
            for t in 0..TOKENS {
                let x = B::broadcast(inputs.add(4 * t));
                for v in 0..VECTORS {
                    acc[t][v] = acc[t][v].dot(w[v], x);
                }
            }
            weights = weights.add(4 * width);
            inputs = inputs.add(4 * TOKENS);
        }
        // With indices that the compiler knows, it keeps them in registers until here.
        for t in 0..TOKENS {
            for v in 0..VECTORS {
                acc[t][v].store(sums[t].as_mut_ptr().add(v * B::LANES));
            }
        }
        let mut grown = 0;
        for t in 0..TOKENS {
            let sums = sums[t].as_ptr();
            if !(1..VECTORS).fold(B::load(sums), |most, v| most.max(B::load(sums.add(v * B::LANES)))).any_above(limits[t]) {
                continue;
            }
            let (inverse, error, norm) = (V::splat(inverse[t]), V::splat(error[t]), V::splat(norm[t]));
            let threshold = V::splat(threshold[t]);
            let mut bits = [0; VECTORS];
            let mut bounds = [(threshold, threshold); VECTORS];
            for v in 0..VECTORS {
                let at = v * V::LANES;
                let product = V::load_i32(sums.add(at)).mul(V::load(panel.scale.as_ptr().add(at)));
                let of_weights = V::load(panel.error.as_ptr().add(at)).mul(norm);
                let of_inputs = V::load(panel.norm.as_ptr().add(at)).mul(error);
                let either = V::mul_add(of_weights.max(of_inputs), V::splat(1.0 - NEAR), of_weights.add(of_inputs).mul(V::splat(NEAR)));
                let doubt = V::mul_add(V::load(bias_doubt.as_ptr().add(at)), inverse, either);
                let upper = V::mul_add(V::load(bias.as_ptr().add(at)), inverse, product.add(doubt));
                bits[v] = upper.above(threshold);
                bounds[v] = (upper, doubt);
            }
            if bits.iter().fold(0, |all, bits| all | bits) == 0 {
                continue;
            }
            grown |= 1 << t;
            let list = &mut candidates[t];
            assert!(list.room() >= width + V::LANES);
            for v in 0..VECTORS {
                let (upper, doubt) = bounds[v];
                upper.compress(bits[v], list.upper.as_mut_ptr().add(list.count));
                V::mul_add(doubt, V::splat(-2.0), upper).compress(bits[v], list.lower.as_mut_ptr().add(list.count));
                V::compress_numbers(panel.first + (v * V::LANES) as u32, bits[v], list.feature.as_mut_ptr().add(list.count));
                list.count += bits[v].count_ones() as usize;
            }
        }
        grown
    }
}

/// See `Screen::cut`.
#[inline(always)]
pub fn cut<V: Vector>(list: &mut Candidates, k: usize, floor: f32) -> f32 {
    let limit = bound_of_largest::<V>(&mut list.lower, list.count, k, floor);
    let threshold = V::splat(limit);
    assert!(list.count + V::LANES <= list.upper.len() && list.lower.len() == list.upper.len() && list.feature.len() == list.upper.len());
    let (upper, lower, feature) = (list.upper.as_mut_ptr(), list.lower.as_mut_ptr(), list.feature.as_mut_ptr());
    let mut kept = 0;
    for i in (0..list.count).step_by(V::LANES) {
        // SAFETY: i < count, and a vector beyond that is inside. What is written ends where what was read ends, or before.
        unsafe {
            let mut bits = V::load(upper.add(i)).above(threshold);
            if i + V::LANES > list.count {
                bits &= (1 << (list.count - i)) - 1;
            }
            let numbers = V::load(feature.add(i).cast());
            V::load(upper.add(i)).compress(bits, upper.add(kept));
            V::load(lower.add(i)).compress(bits, lower.add(kept));
            numbers.compress(bits, feature.add(kept).cast());
            kept += bits.count_ones() as usize;
        }
    }
    list.count = kept;
    limit
}

/// A number that at least k of the first `count` of `values` exceed, near the largest such, if it is more than `floor`. Behind them, there is room
/// for a vector to be filled up.
#[inline(always)]
fn bound_of_largest<V: Vector>(values: &mut [f32], count: usize, k: usize, floor: f32) -> f32 {
    let padded = count.next_multiple_of(V::LANES);
    values[count..padded].fill(f32::NEG_INFINITY);
    let values = &values[..padded];
    // SAFETY: `values` has whole vectors.
    let vectors = || (0..padded).step_by(V::LANES).map(|i| unsafe { V::load(values.as_ptr().add(i)) });
    let above = |limit: f32| vectors().map(|x| x.above(V::splat(limit)).count_ones() as usize).sum::<usize>();
    if above(floor) < k {
        return floor;
    }
    let mut lanes = [0f32; 16];
    // SAFETY: no vector has more lanes.
    unsafe { vectors().fold(V::splat(floor), V::max).store(lanes.as_mut_ptr()) };
    let (mut low, mut high) = (floor, lanes[..V::LANES].iter().fold(floor, |a, &b| if b > a { b } else { a }));
    for _ in 0..8 {
        let middle = 0.5 * (low + high);
        match above(middle) {
            count if count < k => high = middle,
            count => {
                low = middle;
                if count == k {
                    break;
                }
            }
        }
    }
    low
}

/// See `Screen::round`. Written for the compiler to vectorise: sums in as many parts as lanes.
#[inline(always)]
pub fn round(row: &[f32], max: i32, offset: i32, bytes: &mut [u8]) -> Rounded {
    const LANES: usize = 16;
    /// Added to a number of magnitude below 2²², this leaves its nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// Smaller steps would have no finite inverse to speak of.
    const LEAST: f32 = 1e-30;
    assert!(bytes.len() == row.len());
    let mut largest = [0u32; LANES];
    for chunk in row.chunks(LANES) {
        for (largest, x) in largest.iter_mut().zip(chunk) {
            *largest = (*largest).max(x.to_bits() & 0x7fff_ffff);
        }
    }
    let largest = f32::from_bits(largest.into_iter().fold(0, u32::max));
    let (scale, inverse) = match largest / max as f32 {
        step if step >= LEAST => (step, 1.0 / step),
        _ => (1.0, 0.0),
    };
    let (mut squares, mut errors, mut in_steps) = ([0f32; LANES], [0f32; LANES], [0i32; LANES]);
    let (mut sum, mut small) = ([0i32; LANES], [0i32; LANES]);
    for (chunk, bytes) in row.chunks(LANES).zip(bytes.chunks_mut(LANES)) {
        for (l, (x, byte)) in chunk.iter().zip(bytes).enumerate() {
            let steps = x * inverse;
            let shifted = steps + ROUND;
            let error = steps - (shifted - ROUND);
            let q = shifted.to_bits() as i32 - ROUND.to_bits() as i32;
            *byte = (q + offset) as u8;
            squares[l] += steps * steps;
            errors[l] += error * error;
            in_steps[l] += q * q;
            sum[l] += q;
            small[l] += i32::from(q.unsigned_abs() <= 1);
        }
    }
    let total = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
    // Where nothing could be rounded, the row is its own error.
    let (norm, rounding) = match inverse {
        0.0 => {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            (norm, norm)
        }
        _ => (total(squares).sqrt() * scale, total(errors).sqrt()),
    };
    let norm_in_steps = (in_steps.iter().map(|&x| i64::from(x)).sum::<i64>() as f32).sqrt();
    let sum = sum.iter().sum();
    match small.iter().sum::<i32>() as usize * 2 <= row.len() {
        true => Rounded { scale, error: SIX_SIGMA, norm, norm_in_steps, sum },
        false => {
            let safe = std::f32::consts::SQRT_2 * (1.0 + 1e-5);
            Rounded { scale, error: safe * rounding, norm: safe * norm, norm_in_steps: safe * norm_in_steps, sum }
        }
    }
}

/// Six standard deviations of a rounding error, in steps: 6 / √12.
const SIX_SIGMA: f32 = 1.732_051;

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

/// See `Kernels::dots`.
#[inline(always)]
pub fn dots<V: Vector>(weights: &[f32], rows: &[u32], x: &[f32], out: &mut [f32]) {
    let n = x.len();
    assert!(rows.len() == out.len());
    let row = |i: usize| &weights[rows[i] as usize * n..][..n];
    for i in 0..rows.len() {
        let (a, next) = (row(i), row((i + 1).min(rows.len() - 1)));
        let mut sums = [V::splat(0.0); 4];
        let mut c = 0;
        // SAFETY: every load ends at or before n.
        unsafe {
            while c + 4 * V::LANES <= n {
                for (j, sum) in sums.iter_mut().enumerate() {
                    let at = c + j * V::LANES;
                    prefetch(next.as_ptr().add(at));
                    *sum = V::mul_add(V::load(a.as_ptr().add(at)), V::load(x.as_ptr().add(at)), *sum);
                }
                c += 4 * V::LANES;
            }
            while c + V::LANES <= n {
                sums[0] = V::mul_add(V::load(a.as_ptr().add(c)), V::load(x.as_ptr().add(c)), sums[0]);
                c += V::LANES;
            }
        }
        let mut sum = sums[0].add(sums[2]).add(sums[1].add(sums[3])).sum();
        for (a, x) in a[c..].iter().zip(&x[c..]) {
            sum += a * x;
        }
        out[i] = sum;
    }
}

/// See `Kernels::axpy` and `Kernels::axpy_group`.
#[inline(always)]
pub fn axpy<V: Vector, const N: usize>(y: &mut [f32], a: [f32; N], x: [&[f32]; N], next: [&[f32]; N]) {
    let n = y.len();
    assert!(x.iter().chain(&next).all(|x| x.len() == n));
    let factors: [V; N] = std::array::from_fn(|j| V::splat(a[j]));
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of y and of every x.
        unsafe {
            let mut sum = V::load(y.as_ptr().add(i));
            for j in 0..N {
                if N > 1 {
                    prefetch(next[j].as_ptr().add(i));
                }
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

/// Asks for numbers that will be read at once.
#[inline(always)]
pub fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing; SSE is part of the architecture.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Asks for bytes that will be read soon to come as near as the second-level cache.
#[inline(always)]
pub fn prefetch_near(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        // SAFETY: as in `prefetch`.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Tokens of one feature: the first `count` of each array.
#[derive(Clone, Copy)]
pub struct Backward<'a> {
    pub count: usize,
    /// The feature's activations. Where one is 0, nothing flows on to the encoder.
    pub f: [f32; GROUP],
    /// Encoder inputs, [dIn] each.
    pub inputs: [&'a [f32]; GROUP],
    /// Errors of the reconstruction, [dIn] each.
    pub errors: [&'a [f32]; GROUP],
    /// Errors that will be needed next.
    pub next_errors: [&'a [f32]; GROUP],
    /// Whether these are the first of the feature, so that nothing is to be added to.
    pub first: bool,
    /// Derivative of the loss by the reconstruction, divided by the error.
    pub scale: f32,
    /// Derivative of the sparsity penalty by an activation.
    pub penalty: f32,
    /// The feature's decoder row, [dIn].
    pub w_dec: &'a [f32],
}

/// See `Kernels::backward`.
#[inline(always)]
pub fn backward<V: Vector>(pairs: Backward<'_>, g_dec: &mut [f32], g_enc: &mut [f32]) -> [f32; GROUP] {
    let Backward { count, f, inputs, errors, next_errors, first, scale, penalty, w_dec } = pairs;
    let n = w_dec.len();
    assert!(g_dec.len() == n && g_enc.len() == n);
    assert!([errors, inputs, next_errors].iter().flatten().all(|row| row.len() == n));
    let mut sums = [V::splat(0.0); GROUP];
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of every row.
        unsafe {
            let w = V::load(w_dec.as_ptr().add(i));
            for j in 0..GROUP {
                prefetch(inputs[j].as_ptr().add(i));
                sums[j] = V::mul_add(V::load(errors[j].as_ptr().add(i)), w, sums[j]);
            }
        }
        i += V::LANES;
    }
    // Rows beyond `count` repeat another one: their factors are 0.
    let (mut along, mut of_f, mut of_z) = ([0.0; GROUP], [0.0; GROUP], [0.0; GROUP]);
    for j in 0..count.min(GROUP) {
        let mut sum = sums[j].sum();
        for (e, w) in errors[j][i..].iter().zip(&w_dec[i..]) {
            sum += e * w;
        }
        of_f[j] = scale * sum + penalty;
        along[j] = scale * f[j];
        of_z[j] = if f[j] > 0.0 { of_f[j] } else { 0.0 };
    }
    let along_vectors: [V; GROUP] = std::array::from_fn(|j| V::splat(along[j]));
    let of_z_vectors: [V; GROUP] = std::array::from_fn(|j| V::splat(of_z[j]));
    let mut i = 0;
    while i + V::LANES <= n {
        // SAFETY: i + LANES ≤ n, the length of every row.
        unsafe {
            let mut dec = if first { V::splat(0.0) } else { V::load(g_dec.as_ptr().add(i)) };
            let mut enc = if first { V::splat(0.0) } else { V::load(g_enc.as_ptr().add(i)) };
            for j in 0..GROUP {
                prefetch(next_errors[j].as_ptr().add(i));
                dec = V::mul_add(along_vectors[j], V::load(errors[j].as_ptr().add(i)), dec);
                enc = V::mul_add(of_z_vectors[j], V::load(inputs[j].as_ptr().add(i)), enc);
            }
            dec.store(g_dec.as_mut_ptr().add(i));
            enc.store(g_enc.as_mut_ptr().add(i));
        }
        i += V::LANES;
    }
    if first {
        g_dec[i..].fill(0.0);
        g_enc[i..].fill(0.0);
    }
    for i in i..n {
        for j in 0..GROUP {
            g_dec[i] += along[j] * errors[j][i];
            g_enc[i] += of_z[j] * inputs[j][i];
        }
    }
    of_f
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

/// y *= a.
#[inline(always)]
pub fn scale(y: &mut [f32], a: f32) {
    y.iter_mut().for_each(|y| *y *= a);
}

/// See `Kernels::widen`.
#[inline(always)]
pub fn widen(halves: &[u16], numbers: &mut [f32]) {
    assert!(halves.len() == numbers.len());
    for (number, &half) in numbers.iter_mut().zip(halves) {
        *number = f32::from_bits(u32::from(half) << 16);
    }
}

/// See `Kernels::narrow`.
#[inline(always)]
pub fn narrow(numbers: &[f32], halves: &mut [u16], seed: u32, column: u32) {
    assert!(halves.len() == numbers.len());
    for (c, (half, number)) in halves.iter_mut().zip(numbers).enumerate() {
        let mut h = seed.wrapping_add((column + c as u32).wrapping_mul(0x9e37_79b1));
        h ^= h >> 16;
        h = h.wrapping_mul(0x85eb_ca6b);
        h ^= h >> 13;
        *half = (number.to_bits().wrapping_add(h >> 16) >> 16) as u16;
    }
}

/// Sums that do not wait for one another.
const CHAINS: usize = 12;

/// Multiplies bytes in registers; how many multiplications and additions that was.
#[inline(always)]
pub fn busy_bytes<B: Bytes>(rounds: usize) -> u64 {
    let source = std::hint::black_box([1i32; 16]);
    let mut sums = [0i32; 16];
    // SAFETY: no vector has more than sixteen lanes.
    unsafe {
        let (w, mut all) = (B::load(source.as_ptr()), [B::load(source.as_ptr()); CHAINS]);
        for _ in 0..rounds {
            for sum in &mut all {
                *sum = sum.dot(w, w);
            }
        }
        all.iter().fold(all[0], |a, &b| a.max(b)).store(sums.as_mut_ptr());
    }
    std::hint::black_box(sums);
    (rounds * CHAINS * B::LANES * 8) as u64
}

/// The same in f32.
#[inline(always)]
pub fn busy<V: Vector>(rounds: usize) -> u64 {
    let (w, mut all) = (V::splat(std::hint::black_box(0.5)), [V::splat(1.0); CHAINS]);
    for _ in 0..rounds {
        for sum in &mut all {
            *sum = V::mul_add(*sum, w, w);
        }
    }
    std::hint::black_box(all.iter().fold(w, |a, &b| a.add(b)).sum());
    (rounds * CHAINS * V::LANES * 2) as u64
}
