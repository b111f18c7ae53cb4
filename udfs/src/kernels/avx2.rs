//! The lane operations on AVX2 with FMA and F16C: eight `f32` per register.
//!
//! Every function here is reachable only through the tables of `lanes`, which are handed out for
//! processors that have the three features.

#![cfg(target_arch = "x86_64")]

use super::lanes::lane_kernels;
use super::max_sim::max_sim_kernel;
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
max_sim_kernel!(#[target_feature(enable = "avx2,fma")]);

/// Asks for the cache line of an address, wherever that is: no address makes it fault.
#[inline]
#[target_feature(enable = "sse")]
fn fetch(address: *const i8) {
    _mm_prefetch::<_MM_HINT_T0>(address);
}

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

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(from: &[f32; LANES]) -> Lane {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    unsafe { std::mem::transmute::<[f32; LANES], Lane>(*from) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store(lane: Lane) -> [f32; LANES] {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    unsafe { std::mem::transmute::<Lane, [f32; LANES]>(lane) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_tail(from: &[f32]) -> Lane {
    let mut lane = [0.0; LANES];
    lane[..from.len()].copy_from_slice(from);
    load(&lane)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_half(from: &[f16; LANES]) -> Lane {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    _mm256_cvtph_ps(unsafe { std::mem::transmute::<[f16; LANES], __m128i>(*from) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_half_tail(from: &[f16]) -> Lane {
    let mut lane = [f16::ZERO; LANES];
    lane[..from.len()].copy_from_slice(from);
    load_half(&lane)
}
