//! The vectors of f32 that the inner loops are written with.

/// A few f32 that are computed on together. The methods are to be inlined into a function that enables the instruction set: the type is used nowhere else.
pub trait Vector: Copy {
    const LANES: usize;
    fn splat(x: f32) -> Self;
    /// # Safety
    /// `p` is valid for reading `LANES` numbers.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// `p` is valid for reading `LANES` integers.
    unsafe fn load_i32(p: *const i32) -> Self;
    /// # Safety
    /// `p` is valid for writing `LANES` numbers.
    unsafe fn store(self, p: *mut f32);
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn max(self, other: Self) -> Self;
    /// a b + c; rounded once where the instruction set can.
    fn mul_add(a: Self, b: Self, c: Self) -> Self;
    /// One bit per lane, the first lane lowest: self > other.
    fn above(self, other: Self) -> u64;
    /// Writes the lanes whose bits are set, side by side.
    /// # Safety
    /// `p` is valid for writing `LANES` numbers, whatever the bits.
    unsafe fn compress(self, bits: u64, p: *mut f32);
    /// The same for the numbers `first`, `first` + 1, …
    /// # Safety
    /// `p` is valid for writing `LANES` numbers, whatever the bits.
    unsafe fn compress_numbers(first: u32, bits: u64, p: *mut u32);
    /// The sum of all lanes, halves first.
    fn sum(self) -> f32;
}

/// `Vector::compress` without an instruction for it.
#[inline(always)]
unsafe fn compress_by_bits<T>(mut bits: u64, mut p: *mut T, lane: impl Fn(u32) -> T) {
    while bits != 0 {
        // SAFETY: there are at most as many bits as lanes, for which the caller has room.
        unsafe {
            p.write(lane(bits.trailing_zeros()));
            p = p.add(1);
        }
        bits &= bits - 1;
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($name:ident, $register:ident, $lanes:literal, $splat:ident, $load:ident, $load_i32:expr, $store:ident, $add:ident, $mul:ident, $div:ident, $sqrt:ident, $max:ident, $fma:ident, $above:expr, $compress:expr, $compress_numbers:expr) => {
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
            unsafe fn load_i32(p: *const i32) -> Self {
                use std::arch::x86_64::*;
                // SAFETY: see the impl.
                Self(unsafe { $load_i32(p) })
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
            fn max(self, other: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$max(self.0, other.0) })
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
            unsafe fn compress(self, bits: u64, p: *mut f32) {
                // SAFETY: see the impl.
                unsafe { $compress(self, bits, p) }
            }
            #[inline(always)]
            unsafe fn compress_numbers(first: u32, bits: u64, p: *mut u32) {
                // SAFETY: see the impl.
                unsafe { $compress_numbers(first, bits, p) }
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
    |p: *const i32| _mm512_cvtepi32_ps(_mm512_loadu_si512(p.cast())),
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_sqrt_ps,
    _mm512_max_ps,
    _mm512_fmadd_ps,
    |a, b| _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) as u64,
    // Compressed in a register: storing the chosen lanes alone is slow on some CPUs.
    |x: F32x16, bits: u64, p: *mut f32| {
        use std::arch::x86_64::*;
        _mm512_storeu_ps(p, _mm512_maskz_compress_ps(bits as u16, x.0))
    },
    |first: u32, bits: u64, p: *mut u32| {
        use std::arch::x86_64::*;
        let numbers =
            _mm512_add_epi32(_mm512_set1_epi32(first as i32), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        _mm512_storeu_si512(p.cast(), _mm512_maskz_compress_epi32(bits as u16, numbers))
    }
);
#[cfg(target_arch = "x86_64")]
x86!(
    F32x8,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    |p: *const i32| _mm256_cvtepi32_ps(_mm256_loadu_si256(p.cast())),
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_sqrt_ps,
    _mm256_max_ps,
    _mm256_fmadd_ps,
    |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) as u32 as u64,
    |x: F32x8, bits: u64, p: *mut f32| {
        let mut lanes = [0f32; 8];
        x.store(lanes.as_mut_ptr());
        compress_by_bits(bits, p, |lane| lanes[lane as usize])
    },
    |first: u32, bits: u64, p: *mut u32| compress_by_bits(bits, p, |lane| first + lane)
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
    unsafe fn load_i32(p: *const i32) -> Self {
        // SAFETY: valid for four integers, says the caller.
        Self(unsafe { p.cast::<[i32; 4]>().read_unaligned() }.map(|i| i as f32))
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
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
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
    unsafe fn compress(self, bits: u64, p: *mut f32) {
        // SAFETY: room for four numbers, says the caller.
        unsafe { compress_by_bits(bits, p, |lane| self.0[lane as usize]) }
    }
    #[inline(always)]
    unsafe fn compress_numbers(first: u32, bits: u64, p: *mut u32) {
        // SAFETY: as in `compress`.
        unsafe { compress_by_bits(bits, p, |lane| first + lane) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}
