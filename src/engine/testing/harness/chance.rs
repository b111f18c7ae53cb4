//! Chance, by seed.

use rand::Rng;
use rand::rngs::SmallRng;

/// One of `choices`.
pub fn pick<'a, T>(dice: &mut SmallRng, choices: &'a [T]) -> &'a T {
    &choices[dice.random_range(0..choices.len())]
}
