//! The vectors of 32-bit sums of products of bytes that screening is written with.

/// A few 32-bit integers. The methods are to be inlined into a function that enables the instruction set: the type is used nowhere else.
pub trait Bytes: Copy {
    const LANES: usize;
    /// Largest magnitude of an input's byte; a weight's is always 127.
    const INPUT_MAX: i32;
    /// What is added to an input's byte where the instruction takes it unsigned.
    const INPUT_OFFSET: i32;
    /// # Safety
    /// `p` is valid for reading `LANES` integers.
    unsafe fn load(p: *const i32) -> Self;
    /// # Safety
    /// `p` is valid for writing `LANES` integers.
    unsafe fn store(self, p: *mut i32);
    /// The four bytes at `p` in every lane.
    /// # Safety
    /// `p` is valid for reading four bytes.
    unsafe fn broadcast(p: *const u8) -> Self;
    /// Adds, in each lane, the four products of the bytes of `weights`, which are signed, and `inputs`.
    fn dot(self, weights: Self, inputs: Self) -> Self;
    fn max(self, other: Self) -> Self;
    /// Whether any lane is > `limit`.
    fn any_above(self, limit: i32) -> bool;
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($name:ident, $register:ident, $lanes:literal, max $max:literal, offset $offset:literal, $load:ident, $store:ident, $broadcast:ident, $dot:expr, $largest:ident, $any_above:expr) => {
        #[derive(Clone, Copy)]
        pub struct $name(std::arch::x86_64::$register);

        // SAFETY, for every intrinsic below: the callers enable the instruction set (see `Bytes`), and `load`, `store` and `broadcast` ask for valid
        // pointers.
        impl Bytes for $name {
            const LANES: usize = $lanes;
            const INPUT_MAX: i32 = $max;
            const INPUT_OFFSET: i32 = $offset;
            #[inline(always)]
            unsafe fn load(p: *const i32) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$load(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut i32) {
                // SAFETY: see the impl.
                unsafe { std::arch::x86_64::$store(p.cast(), self.0) }
            }
            #[inline(always)]
            unsafe fn broadcast(p: *const u8) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$broadcast(p.cast::<i32>().read_unaligned()) })
            }
            #[inline(always)]
            fn dot(self, weights: Self, inputs: Self) -> Self {
                use std::arch::x86_64::*;
                // SAFETY: see the impl.
                Self(unsafe { $dot(self.0, weights.0, inputs.0) })
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: see the impl.
                Self(unsafe { std::arch::x86_64::$largest(self.0, other.0) })
            }
            #[inline(always)]
            fn any_above(self, limit: i32) -> bool {
                use std::arch::x86_64::*;
                // SAFETY: see the impl.
                unsafe { $any_above(self.0, limit) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86!(
    Vnni512,
    __m512i,
    16,
    max 127,
    offset 128,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_set1_epi32,
    |sums, weights, inputs| _mm512_dpbusd_epi32(sums, inputs, weights),
    _mm512_max_epi32,
    |sums, limit| _mm512_cmpgt_epi32_mask(sums, _mm512_set1_epi32(limit)) != 0
);
#[cfg(target_arch = "x86_64")]
x86!(
    Vnni256,
    __m256i,
    8,
    max 127,
    offset 128,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    |sums, weights, inputs| _mm256_dpbusd_avx_epi32(sums, inputs, weights),
    _mm256_max_epi32,
    |sums, limit| _mm256_movemask_epi8(_mm256_cmpgt_epi32(sums, _mm256_set1_epi32(limit))) != 0
);
// Without VNNI, sums of two products must fit 16 bits: the inputs have seven.
#[cfg(target_arch = "x86_64")]
x86!(
    Pairs256,
    __m256i,
    8,
    max 63,
    offset 64,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    |sums, weights, inputs| _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), _mm256_set1_epi16(1))),
    _mm256_max_epi32,
    |sums, limit| _mm256_movemask_epi8(_mm256_cmpgt_epi32(sums, _mm256_set1_epi32(limit))) != 0
);

#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub struct Sdot(std::arch::aarch64::int32x4_t);

#[cfg(target_arch = "aarch64")]
impl Bytes for Sdot {
    const LANES: usize = 4;
    const INPUT_MAX: i32 = 127;
    const INPUT_OFFSET: i32 = 0;
    #[inline(always)]
    unsafe fn load(p: *const i32) -> Self {
        // SAFETY: valid for four integers, says the caller; NEON is part of the architecture.
        Self(unsafe { std::arch::aarch64::vld1q_s32(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: as in `load`.
        unsafe { std::arch::aarch64::vst1q_s32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const u8) -> Self {
        // SAFETY: valid for four bytes, says the caller.
        Self(unsafe { std::arch::aarch64::vdupq_n_s32(p.cast::<i32>().read_unaligned()) })
    }
    #[inline(always)]
    fn dot(self, weights: Self, inputs: Self) -> Self {
        let mut sums = self.0;
        // SAFETY: the callers enable the dot product (see `Bytes`), whose intrinsic is not stable yet; it reads and writes registers alone.
        unsafe {
            std::arch::asm!(
                "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights.0,
                inputs = in(vreg) inputs.0,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        Self(sums)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: as in `load`.
        Self(unsafe { std::arch::aarch64::vmaxq_s32(self.0, other.0) })
    }
    #[inline(always)]
    fn any_above(self, limit: i32) -> bool {
        // SAFETY: as in `load`.
        unsafe { std::arch::aarch64::vmaxvq_s32(self.0) > limit }
    }
}
