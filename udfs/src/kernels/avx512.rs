//! The lane operations on AVX-512 F, BW and VL: sixteen `f32` per register, tails by mask.
//!
//! Every function here is reachable only through the tables of `lanes`, which are handed out for
//! processors that have the three features.

#![cfg(target_arch = "x86_64")]

use super::lanes::lane_kernels;
use half::f16;
use std::arch::x86_64::*;

type Lane = __m512;

const LANES: usize = 16;

lane_kernels!(
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    float32,
    f32,
    load,
    load_tail
);
lane_kernels!(
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    float16,
    f16,
    load_half,
    load_half_tail
);

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> Lane {
    _mm512_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: Lane, b: Lane) -> Lane {
    _mm512_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn subtract(a: Lane, b: Lane) -> Lane {
    _mm512_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add(a: Lane, b: Lane, sum: Lane) -> Lane {
    _mm512_fmadd_ps(a, b, sum)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn absolute(a: Lane) -> Lane {
    _mm512_abs_ps(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(sums: &[Lane]) -> f32 {
    let mut total = zero();
    for sum in sums {
        total = add(total, *sum);
    }
    _mm512_reduce_add_ps(total)
}

/// # Safety
/// `from` must be valid for reading [`LANES`] elements.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const f32) -> Lane {
    // SAFETY: the caller's promise; the load is unaligned.
    unsafe { _mm512_loadu_ps(from) }
}

/// # Safety
/// `from` must be valid for reading `length < LANES` elements.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_tail(from: *const f32, length: usize) -> Lane {
    let mask = (1u16 << length) - 1;
    // SAFETY: the caller's promise; lanes outside the mask are not touched.
    unsafe { _mm512_maskz_loadu_ps(mask, from) }
}

/// # Safety
/// As [`load`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_half(from: *const f16) -> Lane {
    // SAFETY: the caller's promise; sixteen halves are 32 bytes and the load is unaligned.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
}

/// # Safety
/// As [`load_tail`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_half_tail(from: *const f16, length: usize) -> Lane {
    let mask = (1u16 << length) - 1;
    // SAFETY: the caller's promise; lanes outside the mask are not touched.
    unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from.cast())) }
}
