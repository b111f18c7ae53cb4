//! Sums of a query's components under the signs of many codes, thirty-two codes at a time.
//!
//! FastScan (André, Kermarrec and Le Scouarnec, VLDB 2015) over codes of one bit for each component, as RaBitQ uses it:
//! of every four components the sixteen sums that their signs can make are rounded to bytes, one shuffle looks
//! up those of sixteen codes, and the bytes add up in 16 bits. Exact in every instruction set, as integers are.
//!
//! A block of 32 codes holds, for each group of four components, 16 bytes: byte `j` has the signs of code `j` in its
//! low half and those of code `j + 16` in its high half.

use super::dispatch::widened;
#[cfg(target_arch = "x86_64")]
use super::{InstructionSet, instruction_set};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Codes of a block.
pub const SIGN_BLOCK: usize = 32;
/// Components whose signs are looked up at once.
const GROUP: usize = 4;
const PATTERNS: usize = 1 << GROUP;
/// Groups whose bytes add up in 16 bits.
const RUN: usize = 256;

/// Bytes of a block of codes of `padded` components.
#[must_use]
pub fn sign_block_bytes(padded: usize) -> usize {
    padded / GROUP * PATTERNS
}

/// Bytes of a code of `padded` components outside of a block.
#[must_use]
pub fn sign_patterns_bytes(padded: usize) -> usize {
    padded / GROUP
}

/// Writes the signs of each [`GROUP`] of components, in a byte of its own: a bit for each that is not negative.
pub fn sign_patterns(values: &[f32], out: &mut [u8]) {
    let (groups, _) = values.as_chunks::<GROUP>();
    for (group, out) in groups.iter().zip(out) {
        *out = (0..GROUP).fold(0, |signs, at| signs | u8::from(group[at] >= 0.0) << at);
    }
}

/// Sets code `slot` of a block, which is still zero there.
pub fn set_signs(block: &mut [u8], slot: usize, patterns: &[u8]) {
    let (high, byte) = (slot / PATTERNS, slot % PATTERNS);
    for (bytes, signs) in block.chunks_exact_mut(PATTERNS).zip(patterns) {
        bytes[byte] |= signs << (GROUP * high);
    }
}

/// The sums that the signs of codes select, of one query.
#[derive(Debug, Clone)]
pub struct SignTables {
    tables: Vec<u8>,
    /// What one unit of the bytes stands for.
    step: f32,
    /// The sum when all bytes are zero.
    least: f32,
}

impl SignTables {
    /// The tables of a query, whose length is a multiple of 16.
    #[must_use]
    pub fn new(query: &[f32]) -> Self {
        let (groups, _) = query.as_chunks::<GROUP>();
        let spans = groups.iter().map(|group| group.iter().map(|value| value.abs()).sum::<f32>());
        let widest = spans.clone().fold(0.0, f32::max);
        let step = (2.0 * widest / 255.0).max(f32::MIN_POSITIVE);
        let mut tables = vec![0; groups.len() * PATTERNS];
        write_tables(groups, step, &mut tables);
        Self { tables, step, least: -spans.sum::<f32>() }
    }

    /// What one unit of an integer stands for, and what zero does.
    #[must_use]
    pub fn scale(&self) -> (f32, f32) {
        (self.step, self.least)
    }

    /// Writes the looked-up integer of each code of `blocks` to `out`, [`SIGN_BLOCK`] for each block.
    pub fn look_up(&self, blocks: &[u8], out: &mut [i32]) {
        out.fill(0);
        let (out, _) = out.as_chunks_mut::<SIGN_BLOCK>();
        for (block, out) in blocks.chunks_exact(self.tables.len().max(1)).zip(out) {
            for (tables, bytes) in self.tables.chunks(RUN * PATTERNS).zip(block.chunks(RUN * PATTERNS)) {
                look_up_run(tables, bytes, out);
            }
        }
    }
}

widened! {
    /// Of each group, the sums that its signs can make, above the least, rounded to steps.
    fn write_tables(groups: &[[f32; GROUP]], step: f32, tables: &mut [u8]) {
        let inverse = step.recip();
        let (tables, _) = tables.as_chunks_mut::<PATTERNS>();
        for (group, table) in groups.iter().zip(tables) {
            // Of each component, what either sign adds to the least sum.
            let parts = group.map(|value| [(-2.0 * value).max(0.0), (2.0 * value).max(0.0)]);
            let pairs = [0, 2].map(|at| [0, 1, 2, 3].map(|signs| parts[at][signs & 1] + parts[at + 1][signs >> 1]));
            let mut sums = [0.0_f32; PATTERNS];
            for (signs, sum) in sums.iter_mut().enumerate() {
                *sum = pairs[0][signs & 3] + pairs[1][signs >> 2];
            }
            for (entry, sum) in table.iter_mut().zip(&sums) {
                *entry = (sum * inverse + 0.5) as u8;
            }
        }
    }
}

fn look_up_run(tables: &[u8], bytes: &[u8], out: &mut [i32; SIGN_BLOCK]) {
    match instruction_set_of() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        Some(InstructionSet::Avx512) => unsafe { avx512(tables, bytes, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        Some(InstructionSet::Avx2) => unsafe { avx2(tables, bytes, out) },
        _ => portable(tables, bytes, out),
    }
}

#[cfg(target_arch = "x86_64")]
fn instruction_set_of() -> Option<InstructionSet> {
    Some(instruction_set())
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_set_of() -> Option<()> {
    None
}

fn portable(tables: &[u8], bytes: &[u8], out: &mut [i32; SIGN_BLOCK]) {
    let (tables, _) = tables.as_chunks::<PATTERNS>();
    let (bytes, _) = bytes.as_chunks::<PATTERNS>();
    for (table, bytes) in tables.iter().zip(bytes) {
        for (slot, byte) in bytes.iter().enumerate() {
            out[slot] += i32::from(table[usize::from(byte & 15)]);
            out[slot + PATTERNS] += i32::from(table[usize::from(byte >> 4)]);
        }
    }
}

/// Adds sums of even and of odd bytes, as the vector kernels keep them, to those of their codes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn spread(even: &[u16], odd: &[u16], out: &mut [i32]) {
    let (mut evens, mut odds) = ([0_u16; 8], [0_u16; 8]);
    let (even, _) = even.as_chunks::<8>();
    let (odd, _) = odd.as_chunks::<8>();
    for (even, odd) in even.iter().zip(odd) {
        for at in 0..8 {
            // The even sums were kept in 16 bits together with 256 times the odd ones.
            evens[at] = evens[at].wrapping_add(even[at].wrapping_sub(odd[at] << 8));
            odds[at] = odds[at].wrapping_add(odd[at]);
        }
    }
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, (even, odd)) in pairs.iter_mut().zip(evens.iter().zip(&odds)) {
        pair[0] += i32::from(*even);
        pair[1] += i32::from(*odd);
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! look_up_kernel {
    ($(#[$feature:meta])* $name:ident, $lane:ty, $bytes:literal, $zero:ident, $load:ident, $set:ident, $and:ident,
     $shift:ident, $shuffle:ident, $add:ident, $words:literal) => {
        $(#[$feature])*
        fn $name(tables: &[u8], bytes: &[u8], out: &mut [i32; SIGN_BLOCK]) {
            let (tables, _) = tables.as_chunks::<$bytes>();
            let (bytes, _) = bytes.as_chunks::<$bytes>();
            let mask = $set(15);
            let mut sums = [$zero(); 4];
            for (table, codes) in tables.iter().zip(bytes) {
                // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
                let (table, codes) = unsafe {
                    (std::mem::transmute::<[u8; $bytes], $lane>(*table), std::mem::transmute::<[u8; $bytes], $lane>(*codes))
                };
                let low = $shuffle(table, $and(codes, mask));
                let high = $shuffle(table, $and($shift::<4>(codes), mask));
                sums[0] = $add(sums[0], low);
                sums[1] = $add(sums[1], $shift::<8>(low));
                sums[2] = $add(sums[2], high);
                sums[3] = $add(sums[3], $shift::<8>(high));
            }
            // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
            let sums = unsafe { std::mem::transmute::<[$lane; 4], [[u16; $words]; 4]>(sums) };
            spread(&sums[0], &sums[1], &mut out[..PATTERNS]);
            spread(&sums[2], &sums[3], &mut out[PATTERNS..]);
        }
    };
}

#[cfg(target_arch = "x86_64")]
look_up_kernel!(
    #[target_feature(enable = "avx2")]
    avx2,
    __m256i,
    32,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_set1_epi8,
    _mm256_and_si256,
    _mm256_srli_epi16,
    _mm256_shuffle_epi8,
    _mm256_add_epi16,
    16
);
#[cfg(target_arch = "x86_64")]
look_up_kernel!(
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    avx512,
    __m512i,
    64,
    _mm512_setzero_si512,
    _mm512_loadu_si512,
    _mm512_set1_epi8,
    _mm512_and_si512,
    _mm512_srli_epi16,
    _mm512_shuffle_epi8,
    _mm512_add_epi16,
    32
);

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    fn blocks(rng: &mut SmallRng, padded: usize, codes: usize) -> (Vec<Vec<f32>>, Vec<u8>) {
        let values: Vec<Vec<f32>> =
            (0..codes).map(|_| (0..padded).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let mut blocks = vec![0; codes.div_ceil(SIGN_BLOCK) * sign_block_bytes(padded)];
        for (code, values) in values.iter().enumerate() {
            let block = &mut blocks[code / SIGN_BLOCK * sign_block_bytes(padded)..];
            let mut patterns = vec![0; sign_patterns_bytes(padded)];
            sign_patterns(values, &mut patterns);
            set_signs(&mut block[..sign_block_bytes(padded)], code % SIGN_BLOCK, &patterns);
        }
        (values, blocks)
    }

    #[test]
    fn sums_are_those_of_the_signs_and_the_same_everywhere() {
        let mut rng = SmallRng::seed_from_u64(1);
        for padded in [64, 384, 1536, 2048, 4096, 8192] {
            let (values, blocks) = blocks(&mut rng, padded, 80);
            let query: Vec<f32> = (0..padded).map(|_| rng.random_range(-1.0..1.0)).collect();
            let tables = SignTables::new(&query);
            let mut got = vec![0; 96];
            tables.look_up(&blocks, &mut got);
            let mut want = vec![0; 96];
            for (block, out) in blocks.chunks(sign_block_bytes(padded)).zip(want.as_chunks_mut().0) {
                portable(&tables.tables, block, out);
            }
            assert_eq!(got, want, "{padded}");
            for (code, values) in values.iter().enumerate() {
                let sum: f32 = values
                    .iter()
                    .zip(&query)
                    .map(|(value, query)| if *value >= 0.0 { *query } else { -query })
                    .sum();
                let off = (tables.least + tables.step * got[code] as f32 - sum).abs();
                assert!(off < 0.02 * (padded as f32).sqrt(), "{padded}: {off}");
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_largest_sums_fit() {
        for padded in [2048, 4096] {
            let tables = SignTables::new(&vec![1.0; padded]);
            let mut blocks = vec![0; sign_block_bytes(padded)];
            (0..SIGN_BLOCK).for_each(|slot| set_signs(&mut blocks, slot, &vec![15; padded / GROUP]));
            let mut got = vec![0; SIGN_BLOCK];
            tables.look_up(&blocks, &mut got);
            assert!(got.iter().all(|sum| *sum == padded as i32 / 4 * 255), "{got:?}");
            if instruction_set() >= InstructionSet::Avx2 {
                let mut out = [0; SIGN_BLOCK];
                for (tables, bytes) in tables.tables.chunks(RUN * PATTERNS).zip(blocks.chunks(RUN * PATTERNS))
                {
                    // SAFETY: the processor has AVX2.
                    unsafe { avx2(tables, bytes, &mut out) };
                }
                assert_eq!(out.to_vec(), got);
            }
        }
    }
}
