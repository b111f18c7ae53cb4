//! The lane operations in plain Rust: arrays of eight `f32` that the compiler vectorises with
//! whatever the target has by default. The fallback everywhere and the second oracle of the tests.
//!
//! Multiplication and addition stay separate: a fused multiply-add without the instruction is a
//! call into the C library and sixty times slower.

use super::lanes::lane_kernels;
use super::max_sim::max_sim_kernel;
use half::f16;

type Lane = [f32; LANES];

const LANES: usize = 8;

lane_kernels!(float32, f32, load, load_tail);
lane_kernels!(float16, f16, load_half, load_half_tail);
max_sim_kernel!();

/// Hardware of unknown kind fetches ahead by itself, or not.
#[inline(always)]
fn fetch(_: *const i8) {}

#[inline(always)]
fn zero() -> Lane {
    [0.0; LANES]
}

#[inline(always)]
fn zip(a: Lane, b: Lane, term: impl Fn(f32, f32) -> f32) -> Lane {
    std::array::from_fn(|lane| term(a[lane], b[lane]))
}

#[inline(always)]
fn add(a: Lane, b: Lane) -> Lane {
    zip(a, b, |a, b| a + b)
}

#[inline(always)]
fn subtract(a: Lane, b: Lane) -> Lane {
    zip(a, b, |a, b| a - b)
}

#[inline(always)]
fn multiply_add(a: Lane, b: Lane, sum: Lane) -> Lane {
    add(zip(a, b, |a, b| a * b), sum)
}

#[inline(always)]
fn absolute(a: Lane) -> Lane {
    a.map(f32::abs)
}

#[inline(always)]
fn reduce(sums: &[Lane]) -> f32 {
    sums.iter().fold(zero(), |total, sum| add(total, *sum)).iter().sum()
}

#[inline(always)]
fn load(from: &[f32; LANES]) -> Lane {
    *from
}

#[inline(always)]
fn store(lane: Lane) -> [f32; LANES] {
    lane
}

#[inline(always)]
fn load_tail(from: &[f32]) -> Lane {
    let mut lane = zero();
    lane[..from.len()].copy_from_slice(from);
    lane
}

#[inline(always)]
fn load_half(from: &[f16; LANES]) -> Lane {
    from.map(f16::to_f32)
}

#[inline(always)]
fn load_half_tail(from: &[f16]) -> Lane {
    let mut lane = zero();
    lane.iter_mut().zip(from).for_each(|(slot, half)| *slot = half.to_f32());
    lane
}
