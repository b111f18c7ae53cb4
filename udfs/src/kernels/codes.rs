//! Inner products of one query of 16-bit integers with rows of 8-bit integers.
//!
//! Exact in every instruction set, as integers are. Memory is what bounds it: a row of 8-bit codes is a
//! quarter of the vector that it stands for.

use super::rotation::LANES_PER_CODE;
#[cfg(target_arch = "x86_64")]
use super::{InstructionSet, instruction_set};

/// Writes the inner product of `query` with each row of `query.len()` codes to `out`; rows lie one after the other.
///
/// The length must be a multiple of [`LANES_PER_CODE`], and no sum may leave 32 bits, as
/// [`quantize_query`](super::quantize_query) sees to; otherwise the result is meaningless. Rows that are not
/// there are not written.
pub fn dot_codes(query: &[i16], rows: &[i8], out: &mut [i32]) {
    match instruction_set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        InstructionSet::Avx512 => unsafe { avx512(query, rows, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        InstructionSet::Avx2 => unsafe { avx2(query, rows, out) },
        _ => portable(query, rows, out),
    }
}

/// Writes the inner product of `query` with each of `rows` of `codes`, wherever they lie, to `out`; as [`dot_codes`] otherwise.
///
/// # Panics
/// When a row is not there.
pub fn dot_codes_at(query: &[i16], codes: &[i8], rows: &[u32], out: &mut [i32]) {
    match instruction_set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        InstructionSet::Avx512 => unsafe { avx512_at(query, codes, rows, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this instruction set.
        InstructionSet::Avx2 => unsafe { avx2_at(query, codes, rows, out) },
        _ => each_at(query, codes, rows, out, |_| (), portable_row),
    }
}

#[inline(always)]
fn each_at(
    query: &[i16],
    codes: &[i8],
    rows: &[u32],
    out: &mut [i32],
    fetch: impl Fn(&[[i8; LANES_PER_CODE]]),
    dot: impl Fn(&[[i16; LANES_PER_CODE]], &[[i8; LANES_PER_CODE]]) -> i32,
) {
    let (query, _) = query.as_chunks::<LANES_PER_CODE>();
    let (codes, _) = codes.as_chunks::<LANES_PER_CODE>();
    let row = |row: &u32| &codes[*row as usize * query.len()..(*row as usize + 1) * query.len()];
    rows.iter().for_each(|at| fetch(row(at)));
    for (at, out) in rows.iter().zip(out) {
        *out = dot(query, row(at));
    }
}

#[inline(always)]
fn each_row(
    query: &[i16],
    rows: &[i8],
    out: &mut [i32],
    dot: impl Fn(&[[i16; LANES_PER_CODE]], &[[i8; LANES_PER_CODE]]) -> i32,
) {
    let (query, _) = query.as_chunks::<LANES_PER_CODE>();
    let (rows, _) = rows.as_chunks::<LANES_PER_CODE>();
    if query.is_empty() {
        return;
    }
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = dot(query, row);
    }
}

fn portable(query: &[i16], rows: &[i8], out: &mut [i32]) {
    each_row(query, rows, out, portable_row);
}

fn portable_row(query: &[[i16; LANES_PER_CODE]], row: &[[i8; LANES_PER_CODE]]) -> i32 {
    let mut sums = [0_i32; 16];
    for (query, row) in query.iter().zip(row) {
        for lane in 0..LANES_PER_CODE {
            let term = i32::from(query[lane]) * i32::from(row[lane]);
            sums[lane % 16] = sums[lane % 16].wrapping_add(term);
        }
    }
    sums.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}

/// How far ahead of the row memory is asked for, in bytes; see [`super::lanes`].
#[cfg(target_arch = "x86_64")]
use super::lanes::AHEAD;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(query: &[i16], rows: &[i8], out: &mut [i32]) {
    each_row(query, rows, out, |query, row| avx512_row::<AHEAD>(query, row));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512_at(query: &[i16], codes: &[i8], rows: &[u32], out: &mut [i32]) {
    each_at(query, codes, rows, out, fetch, |query, row| avx512_row::<0>(query, row));
}

/// The inner product of one row; asks for the memory `AHEAD` bytes on, unless that is 0.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512_row<const AHEAD: usize>(query: &[[i16; LANES_PER_CODE]], row: &[[i8; LANES_PER_CODE]]) -> i32 {
    let mut sums = [_mm512_setzero_si512(); 2];
    for (words, bytes) in query.iter().zip(row) {
        if AHEAD > 0 {
            _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_byte_add(AHEAD).cast());
        }
        let (words, _) = words.as_chunks::<32>();
        let (bytes, _) = bytes.as_chunks::<32>();
        for (sum, (words, bytes)) in sums.iter_mut().zip(words.iter().zip(bytes)) {
            // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
            let (word, byte) = unsafe {
                (
                    std::mem::transmute::<[i16; 32], __m512i>(*words),
                    std::mem::transmute::<[i8; 32], __m256i>(*bytes),
                )
            };
            *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(word, _mm512_cvtepi8_epi16(byte)));
        }
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(query: &[i16], rows: &[i8], out: &mut [i32]) {
    each_row(query, rows, out, |query, row| avx2_row::<AHEAD>(query, row));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_at(query: &[i16], codes: &[i8], rows: &[u32], out: &mut [i32]) {
    each_at(query, codes, rows, out, fetch, |query, row| avx2_row::<0>(query, row));
}

/// As `avx512_row`.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn avx2_row<const AHEAD: usize>(query: &[[i16; LANES_PER_CODE]], row: &[[i8; LANES_PER_CODE]]) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 4];
    for (words, bytes) in query.iter().zip(row) {
        if AHEAD > 0 {
            _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_byte_add(AHEAD).cast());
        }
        let (words, _) = words.as_chunks::<16>();
        let (bytes, _) = bytes.as_chunks::<16>();
        for (sum, (words, bytes)) in sums.iter_mut().zip(words.iter().zip(bytes)) {
            // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
            let (word, byte) = unsafe {
                (
                    std::mem::transmute::<[i16; 16], __m256i>(*words),
                    std::mem::transmute::<[i8; 16], __m128i>(*bytes),
                )
            };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(word, _mm256_cvtepi8_epi16(byte)));
        }
    }
    let sum = _mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3]));
    // SAFETY: both are the same bytes, and every pattern of bits is valid in both.
    let lanes = unsafe { std::mem::transmute::<__m256i, [i32; 8]>(sum) };
    lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}

/// Asks for the memory of a row before it is looked at.
#[cfg(target_arch = "x86_64")]
fn fetch(row: &[[i8; LANES_PER_CODE]]) {
    for bytes in row {
        // SAFETY: every processor of this architecture has SSE, and asking for memory reads none.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Rotation, dot, quantize, quantize_query};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn every_instruction_set_gives_the_same_integers() {
        let mut rng = SmallRng::seed_from_u64(1);
        for dims in [64, 384, 1536] {
            let max = ((1_u32 << 31) / (128 * dims as u32)).min(32_767) as i32;
            let query: Vec<i16> = (0..dims).map(|_| rng.random_range(-max..=max) as i16).collect();
            let rows: Vec<i8> = (0..dims * 5).map(|_| rng.random_range(-127..=127)).collect();
            let mut want = [0; 5];
            portable(&query, &rows, &mut want);
            for (row, want) in rows.chunks(dims).zip(&want) {
                let sum: i64 = row.iter().zip(&query).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                assert_eq!(sum, i64::from(*want));
            }
            let mut got = [0; 5];
            dot_codes(&query, &rows, &mut got);
            assert_eq!(got, want);
            let mut at = [0; 3];
            dot_codes_at(&query, &rows, &[4, 0, 4], &mut at);
            assert_eq!(at, [want[4], want[0], want[4]]);
            #[cfg(target_arch = "x86_64")]
            if instruction_set() >= InstructionSet::Avx2 {
                let mut got = [0; 5];
                // SAFETY: the processor has AVX2.
                unsafe { avx2(&query, &rows, &mut got) };
                assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn the_largest_sum_fits() {
        for dims in [64, 384, 4096, 16_384] {
            let (mut query, mut row) = (vec![0_i16; dims], vec![0_u8; dims]);
            quantize_query(&vec![1.0; dims], &mut query);
            quantize(&vec![1.0; dims], &mut row);
            let row: Vec<i8> = row.into_iter().map(u8::cast_signed).collect();
            let mut got = [0];
            dot_codes(&query, &row, &mut got);
            let want: i64 = row.iter().zip(&query).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            assert_eq!(i64::from(got[0]), want);
        }
    }

    #[test]
    fn what_rounding_takes_is_within_the_bound() {
        let mut rng = SmallRng::seed_from_u64(2);
        for dims in [64, 100, 384, 960] {
            let rotation = Rotation::new(dims);
            let padded = rotation.padded();
            for _ in 0..50 {
                let (mut a, mut b) = (vec![0.0; padded], vec![0.0; padded]);
                for out in [&mut a, &mut b] {
                    let vector: Vec<f32> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
                    let norm = dot(&vector, &vector).sqrt();
                    rotation.rotate(&vector, norm.recip(), out);
                }
                let (mut query, mut row, mut sum) = (vec![0; padded], vec![0_u8; padded], [0]);
                let (query_step, query_error) = quantize_query(&a, &mut query);
                let (step, error) = quantize(&b, &mut row);
                let row: Vec<i8> = row.into_iter().map(u8::cast_signed).collect();
                dot_codes(&query, &row, &mut sum);
                let off = (f64::from(step) * f64::from(query_step) * f64::from(sum[0])
                    - f64::from(dot(&a, &b)))
                .abs();
                assert!(
                    off <= f64::from(error + 1.1 * query_error) + 1e-6,
                    "{dims}: off by {off}, bound {error}"
                );
                assert!(error < 0.02 && query_error < 0.001, "{dims}: {error} {query_error}");
            }
        }
    }
}
