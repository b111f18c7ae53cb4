//! Bytes that are nearly right: real ones with bits flipped, numbers replaced by extreme ones, pieces cut, doubled, moved.

use rand::Rng;
use rand::rngs::SmallRng;

use crate::chance::pick;

/// Numbers that lengths and offsets break at.
const NUMBERS: [u64; 14] = [
    0,
    1,
    7,
    8,
    63,
    64,
    4096,
    i32::MAX as u64,
    i32::MAX as u64 + 1,
    u32::MAX as u64,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];
const LONGEST_PIECE: usize = 64;

/// Changes `bytes` in one to four places.
pub fn mutate(bytes: &mut Vec<u8>, dice: &mut SmallRng) {
    for _ in 0..dice.random_range(1..=4) {
        let at = dice.random_range(0..=bytes.len());
        let end = (at + dice.random_range(0..LONGEST_PIECE)).min(bytes.len());
        match dice.random_range(0..8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            2 if at < bytes.len() => bytes[at] = dice.random(),
            3 => put(bytes, at, &(*pick(dice, &NUMBERS) as u32).to_le_bytes()),
            4 => put(bytes, at, &pick(dice, &NUMBERS).to_le_bytes()),
            5 => bytes.truncate(at),
            6 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => drop(bytes.drain(at..end)),
        }
    }
}

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = *new);
}
