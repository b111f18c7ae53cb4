//! The lane operations on AVX2 with FMA and F16C: eight `f32` per register.
//!
//! Every function here is reachable only through the tables of `lanes`, which are handed out for
//! processors that have the three features.

#![cfg(target_arch = "x86_64")]

use super::lanes::lane_kernels;
use half::f16;
use std::arch::x86_64::*;

type Lane = __m256;

const LANES: usize = 8;

lane_kernels!(
    #[target_feature(enable = "avx2,fma,f16c")]
    float32,
    f32,
    load,
    load_tail
);
lane_kernels!(
    #[target_feature(enable = "avx2,fma,f16c")]
    float16,
    f16,
    load_half,
    load_half_tail
);

#[inline]
#[target_feature(enable = "avx2,fma")]
fn zero() -> Lane {
    _mm256_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(a: Lane, b: Lane) -> Lane {
    _mm256_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn subtract(a: Lane, b: Lane) -> Lane {
    _mm256_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add(a: Lane, b: Lane, sum: Lane) -> Lane {
    _mm256_fmadd_ps(a, b, sum)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn absolute(a: Lane) -> Lane {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), a)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce(sums: &[Lane]) -> f32 {
    let mut total = zero();
    for sum in sums {
        total = add(total, *sum);
    }
    let half = _mm_add_ps(_mm256_castps256_ps128(total), _mm256_extractf128_ps::<1>(total));
    let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
}

/// # Safety
/// `from` must be valid for reading [`LANES`] elements.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load(from: *const f32) -> Lane {
    // SAFETY: the caller's promise; the load is unaligned.
    unsafe { _mm256_loadu_ps(from) }
}

/// # Safety
/// `from` must be valid for reading `length < LANES` elements.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load_tail(from: *const f32, length: usize) -> Lane {
    let mut lane = [0.0; LANES];
    // SAFETY: the caller's promise, and length < LANES; the load is unaligned.
    unsafe {
        std::ptr::copy_nonoverlapping(from, lane.as_mut_ptr(), length);
        _mm256_loadu_ps(lane.as_ptr())
    }
}

/// # Safety
/// As [`load`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load_half(from: *const f16) -> Lane {
    // SAFETY: the caller's promise; eight halves are 16 bytes and the load is unaligned.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
}

/// # Safety
/// As [`load_tail`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load_half_tail(from: *const f16, length: usize) -> Lane {
    let mut lane = [f16::ZERO; LANES];
    // SAFETY: the caller's promise, and length < LANES.
    unsafe {
        std::ptr::copy_nonoverlapping(from, lane.as_mut_ptr(), length);
        load_half(lane.as_ptr())
    }
}
