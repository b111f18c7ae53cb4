//! The rows: 16-byte keys that are a permutation of the numbers, values that follow from number and version.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// Bytes of a key.
pub const KEY: usize = 16;

/// The key of row `i`: neighbours by number are far apart by key.
pub fn key(i: u64) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes[..8].copy_from_slice(&mixed(i).to_be_bytes());
    bytes[8..].copy_from_slice(&i.to_be_bytes());
    bytes
}

/// splitmix64, a bijection.
fn mixed(i: u64) -> u64 {
    let mut x = i.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The value of row `i` after its `version`-th write; it does not compress.
pub fn value(i: u64, version: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SmallRng::seed_from_u64(mixed(i) ^ version).fill_bytes(&mut bytes);
    bytes
}

/// Rows on their way into a store.
#[derive(Default)]
pub struct Rows {
    pub keys: Vec<[u8; KEY]>,
    pub values: Vec<Vec<u8>>,
}

impl Rows {
    /// The rows of these numbers.
    pub fn new(numbers: impl Iterator<Item = u64>, version: u64, len: usize) -> Self {
        let mut rows = Self::default();
        for i in numbers {
            rows.keys.push(key(i));
            rows.values.push(value(i, version, len));
        }
        rows
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8; KEY], &[u8])> {
        self.keys.iter().zip(self.values.iter().map(Vec::as_slice))
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Numbers below `n` with the skew of YCSB: Zipf with theta 0.99, hot rows scattered over the keys.
/// Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
pub struct Zipf {
    n: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub fn new(n: u64) -> Self {
        let zeta: f64 = (1..=n).map(|i| (i as f64).powf(-THETA)).sum();
        let zeta_2 = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - THETA)) / (1.0 - zeta_2 / zeta);
        Self { n, zeta, alpha: 1.0 / (1.0 - THETA), eta }
    }

    /// Rank of the next row, the most popular being 0.
    pub fn rank(&self, dice: &mut SmallRng) -> u64 {
        let u: f64 = dice.random();
        let uz = u * self.zeta;
        if uz < 1.0 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(THETA) {
            return 1;
        }
        ((self.n as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64).min(self.n - 1)
    }

    pub fn scattered(&self, dice: &mut SmallRng) -> u64 {
        mixed(self.rank(dice)) % self.n
    }
}
