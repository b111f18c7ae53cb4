//! Distances between packed bits: eight components to a byte.
//!
//! Words of 64 bits are counted with `POPCNT` where the processor has it. Where lengths differ the
//! shorter counts, as in every kernel.

use super::{InstructionSet, instruction_set};

/// The number of bits that differ.
pub fn hamming(a: &[u8], b: &[u8]) -> u64 {
    count(a, b).0
}

/// `1 - |a AND b| / |a OR b|` over set bits; two vectors without a set bit are at distance 0.
pub fn jaccard(a: &[u8], b: &[u8]) -> f64 {
    let (differing, union) = count(a, b);
    if union == 0 { 0.0 } else { differing as f64 / union as f64 }
}

/// The bits set in exactly one of both, and in at least one.
fn count(a: &[u8], b: &[u8]) -> (u64, u64) {
    match instruction_set() {
        InstructionSet::Portable => count_words(a, b),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every other instruction set is only reported together with POPCNT.
        _ => unsafe { count_popcnt(a, b) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => count_words(a, b),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn count_popcnt(a: &[u8], b: &[u8]) -> (u64, u64) {
    count_words(a, b)
}

#[inline(always)]
fn count_words(a: &[u8], b: &[u8]) -> (u64, u64) {
    let length = a.len().min(b.len());
    let (words_a, rest_a) = a[..length].as_chunks::<8>();
    let (words_b, rest_b) = b[..length].as_chunks::<8>();
    let mut counts = (0, 0);
    for (a, b) in words_a.iter().zip(words_b) {
        add(&mut counts, u64::from_le_bytes(*a), u64::from_le_bytes(*b));
    }
    for (a, b) in rest_a.iter().zip(rest_b) {
        add(&mut counts, u64::from(*a), u64::from(*b));
    }
    counts
}

#[inline(always)]
fn add(counts: &mut (u64, u64), a: u64, b: u64) {
    counts.0 += u64::from((a ^ b).count_ones());
    counts.1 += u64::from((a | b).count_ones());
}
