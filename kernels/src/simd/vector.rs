//! The vectors of f32 that the inner loops are written with.

/// A few f32 that are computed on together. The methods are to be inlined into a function that enables the instruction set: the type is used nowhere else.
pub trait Vector: Copy {
    const LANES: usize;
    fn splat(x: f32) -> Self;
    /// # Safety
    /// `p` is valid for reading `LANES` numbers.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// `p` is valid for writing `LANES` numbers.
    unsafe fn store(self, p: *mut f32);
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// a b + c; rounded once where the instruction set can.
    fn mul_add(a: Self, b: Self, c: Self) -> Self;
    /// One bit per lane, the first lane lowest: self > other.
    fn above(self, other: Self) -> u64;
    /// The sum of all lanes, halves first.
    fn sum(self) -> f32;
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($name:ident, $register:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $mul:ident, $div:ident, $sqrt:ident, $fma:ident, $above:expr) => {
        #[derive(Clone, Copy)]
        pub struct $name(std::arch::x86_64::$register);

        // SAFETY, for every intrinsic below: the callers enable the instruction set (see `Vector`), and `load` and `store` ask for valid pointers.
        impl Vector for $name {
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(x: f32) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$splat(x) })
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$load(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f32) {
                // SAFETY: see the impl.
                unsafe { std::arch::x86_64::$store(p, self.0) }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$add(self.0, other.0) })
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$mul(self.0, other.0) })
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$div(self.0, other.0) })
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$sqrt(self.0) })
            }
            #[inline(always)]
            fn mul_add(a: Self, b: Self, c: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$fma(a.0, b.0, c.0) })
            }
            #[inline(always)]
            fn above(self, other: Self) -> u64 {
                use std::arch::x86_64::*;
                // SAFETY: see the impl.
                unsafe { $above(self.0, other.0) }
            }
            #[inline(always)]
            fn sum(self) -> f32 {
                let mut lanes = [0.0f32; $lanes];
                // SAFETY: `lanes` has room for all of them.
                unsafe { self.store(lanes.as_mut_ptr()) };
                let mut width = $lanes;
                while width > 1 {
                    width /= 2;
                    for i in 0..width {
                        lanes[i] += lanes[i + width];
                    }
                }
                lanes[0]
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86!(
    F32x16,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_sqrt_ps,
    _mm512_fmadd_ps,
    |a, b| _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) as u64
);
#[cfg(target_arch = "x86_64")]
x86!(
    F32x8,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_sqrt_ps,
    _mm256_fmadd_ps,
    |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) as u32 as u64
);

/// Four lanes in plain Rust, which every compiler back end turns into the baseline's 128-bit registers.
#[derive(Clone, Copy)]
pub struct F32x4([f32; 4]);

impl F32x4 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [e, g, h, i]) = (self.0, other.0);
        Self([f(a, e), f(b, g), f(c, h), f(d, i)])
    }
}

impl Vector for F32x4 {
    const LANES: usize = 4;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: valid for four numbers, says the caller.
        Self(unsafe { p.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: valid for four numbers, says the caller.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn mul_add(a: Self, b: Self, c: Self) -> Self {
        // Without the instruction, f32::mul_add is a library call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            let (a, b, c) = (a.0, b.0, c.0);
            Self([a[0].mul_add(b[0], c[0]), a[1].mul_add(b[1], c[1]), a[2].mul_add(b[2], c[2]), a[3].mul_add(b[3], c[3])])
        } else {
            a.mul(b).add(c)
        }
    }
    #[inline(always)]
    fn above(self, other: Self) -> u64 {
        let (a, b) = (self.0, other.0);
        u64::from(a[0] > b[0]) | u64::from(a[1] > b[1]) << 1 | u64::from(a[2] > b[2]) << 2 | u64::from(a[3] > b[3]) << 3
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}
