//! The lane operations on AVX-512 F, BW and VL: sixteen `f32` per register, tails by mask.
//!
//! Every function here is reachable only through the tables of `lanes`, which are handed out for
//! processors that have the three features.

#![cfg(target_arch = "x86_64")]

use super::lanes::lane_kernels;
use super::max_sim::max_sim_kernel;
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
max_sim_kernel!(#[target_feature(enable = "avx512f,avx512bw,avx512vl")]);

/// Asks for the cache line of an address, wherever that is: no address makes it fault.
#[inline]
#[target_feature(enable = "sse")]
fn fetch(address: *const i8) {
    _mm_prefetch::<_MM_HINT_T0>(address);
}

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

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[f32; LANES]) -> Lane {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    unsafe { std::mem::transmute::<[f32; LANES], Lane>(*from) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(lane: Lane) -> [f32; LANES] {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    unsafe { std::mem::transmute::<Lane, [f32; LANES]>(lane) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_tail(from: &[f32]) -> Lane {
    // SAFETY: the mask has one bit per element of the slice; other lanes are not read.
    unsafe { _mm512_maskz_loadu_ps(mask(from.len()), from.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_half(from: &[f16; LANES]) -> Lane {
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    _mm512_cvtph_ps(unsafe { std::mem::transmute::<[f16; LANES], __m256i>(*from) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_half_tail(from: &[f16]) -> Lane {
    // SAFETY: the mask has one bit per element of the slice; other lanes are not read.
    _mm512_cvtph_ps(unsafe { _mm256_maskz_loadu_epi16(mask(from.len()), from.as_ptr().cast()) })
}

/// One bit for each of the first `length` lanes; all of them from [`LANES`] on.
#[inline]
fn mask(length: usize) -> u16 {
    1u32.checked_shl(length as u32).map_or(u16::MAX, |bit| (bit - 1) as u16)
}
