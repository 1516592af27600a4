//! The inner loops of the dense road, once, for any [`Vector`]: register tiles of matrix products, and what lies between the products.

// The index is a register's: an iterator would hide that.
#![allow(clippy::needless_range_loop)]

use super::Vector;
use super::loops::prefetch;

/// What one register tile multiplies: C = scale A B, or C += scale A B.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// Number (r, k) is at `r · a_row + k · a_column`.
    pub a: &'a [f32],
    pub a_row: usize,
    pub a_column: usize,
    /// As many columns as a tile has; row k is at `k · b_row`.
    pub b: &'a [f32],
    pub b_row: usize,
    /// Columns of A, which are rows of B.
    pub depth: usize,
    pub scale: f32,
    /// Whether C is added to, and not written over.
    pub add: bool,
}

const AHEAD: usize = 16;

/// See `Kernels::product`.
#[inline(always)]
pub fn product<V: Vector, const ROWS: usize, const VECTORS: usize>(
    product: Product<'_>,
    rows: usize,
    columns: usize,
    c: &mut [f32],
    c_row: usize,
) {
    let Product { a, a_row, a_column, b, b_row, depth, scale, add } = product;
    let width = VECTORS * V::LANES;
    assert!((1..=ROWS).contains(&rows) && (1..=width).contains(&columns) && depth > 0);
    assert!((rows - 1) * a_row + (depth - 1) * a_column < a.len());
    assert!((depth - 1) * b_row + width <= b.len());
    assert!((rows - 1) * c_row + columns <= c.len());
    // Rows beyond the last repeat it.
    // SAFETY: the last row of A begins in it.
    let of_row: [*const f32; ROWS] = std::array::from_fn(|r| unsafe { a.as_ptr().add(r.min(rows - 1) * a_row) });
    // What is added to will be here by the time that it is.
    if add {
        for r in 0..ROWS {
            for v in 0..VECTORS {
                prefetch(c.as_ptr().wrapping_add(r.min(rows - 1) * c_row + v * V::LANES));
            }
        }
    }
    let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
    let (mut at, mut b) = (0, b.as_ptr());
    for _ in 0..depth {
        // SAFETY: the last column of A, and the last row of B, were found to be in them.
        unsafe {
            for v in 0..VECTORS {
                prefetch(b.wrapping_add(AHEAD * b_row + v * V::LANES));
            }
            let b_vectors: [V; VECTORS] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
            for r in 0..ROWS {
                let a = V::splat(*of_row[r].add(at));
                for v in 0..VECTORS {
                    sums[r][v] = V::mul_add(b_vectors[v], a, sums[r][v]);
                }
            }
            at += a_column;
            b = b.wrapping_add(b_row); // after the last round, it may lie beyond the end
        }
    }
    let scales = V::splat(scale);
    // With bounds that the compiler knows, the sums stay in registers.
    if rows == ROWS && columns == width {
        for r in 0..ROWS {
            for v in 0..VECTORS {
                // SAFETY: the last row of C was found to be in it.
                unsafe {
                    let c = c.as_mut_ptr().add(r * c_row + v * V::LANES);
                    let sum = if add { V::mul_add(sums[r][v], scales, V::load(c)) } else { sums[r][v].mul(scales) };
                    sum.store(c);
                }
            }
        }
        return;
    }
    let mut whole = [[0f32; MAX_COLUMNS]; ROWS];
    assert!(width <= MAX_COLUMNS);
    for r in 0..ROWS {
        for v in 0..VECTORS {
            // SAFETY: a row of `whole` has room for the tile's.
            unsafe { sums[r][v].mul(scales).store(whole[r].as_mut_ptr().add(v * V::LANES)) };
        }
    }
    for (r, whole) in whole.iter().enumerate().take(rows) {
        for (c, number) in c[r * c_row..][..columns].iter_mut().zip(whole) {
            *c = if add { *c + number } else { *number };
        }
    }
}

/// Most columns that a tile of any instruction set has.
const MAX_COLUMNS: usize = 64;

/// Sums that do not wait for one another, for the compiler to keep in as many lanes.
const LANES: usize = 16;

/// See `Kernels::activate`.
#[inline(always)]
pub fn activate(z: &mut [f32], bias: f32, cut: f32) -> (usize, f32) {
    let (mut counts, mut sums) = ([0u32; LANES], [0f32; LANES]);
    let mut one = |l: usize, z: &mut f32| {
        let biased = *z + bias;
        let kept = biased > cut;
        *z = if kept { biased } else { 0.0 };
        counts[l] += u32::from(kept);
        sums[l] += *z;
    };
    let mut chunks = z.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for l in 0..LANES {
            one(l, &mut chunk[l]);
        }
    }
    for (l, z) in chunks.into_remainder().iter_mut().enumerate() {
        one(l, z);
    }
    (counts.iter().sum::<u32>() as usize, sums.iter().sum())
}

/// See `Kernels::band`.
#[inline(always)]
pub fn band<V: Vector>(z: &[f32], bias: f32, threshold: f32, half: f32, first: u32, places: &mut Vec<u32>) {
    let (biases, thresholds, halves, minus) = (V::splat(bias), V::splat(-threshold), V::splat(half), V::splat(-1.0));
    let mut i = 0;
    while i + V::LANES <= z.len() {
        // SAFETY: i + LANES ≤ the length of z.
        let distance = unsafe { V::load(z.as_ptr().add(i)) }.add(biases).add(thresholds);
        let mut bits = halves.above(distance.max(distance.mul(minus)));
        while bits != 0 {
            places.push(first + i as u32 + bits.trailing_zeros());
            bits &= bits - 1;
        }
        i += V::LANES;
    }
    for (i, z) in z.iter().enumerate().skip(i) {
        if (z + bias - threshold).abs() < half {
            places.push(first + i as u32);
        }
    }
}

/// See `Kernels::gate`.
#[inline(always)]
pub fn gate(g: &mut [f32], f: &[f32], scale: f32, penalty: f32) -> f32 {
    assert!(g.len() == f.len());
    let mut sums = [0f32; LANES];
    let mut one = |l: usize, g: &mut f32, f: f32| {
        *g = if f > 0.0 { scale * *g + penalty } else { 0.0 };
        sums[l] += *g;
    };
    let (mut of_g, of_f) = (g.chunks_exact_mut(LANES), f.chunks_exact(LANES));
    let rest = of_f.remainder();
    for (g, f) in (&mut of_g).zip(of_f) {
        for l in 0..LANES {
            one(l, &mut g[l], f[l]);
        }
    }
    for (l, (g, &f)) in of_g.into_remainder().iter_mut().zip(rest).enumerate() {
        one(l, g, f);
    }
    sums.iter().sum()
}
