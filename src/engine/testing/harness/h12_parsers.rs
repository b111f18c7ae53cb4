//! H12: every parser of the format on bytes that no writer made, under checksums that agree with them: an answer or an
//! error, no panic, and no memory beyond a bound.
//!
//! Each trial starts from real bytes, changes them, and gives them to one of [`PARSERS`]. `src/engine/fuzz` does the same
//! with bytes that libFuzzer makes up, and starts from the same ones.

use std::io;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::lanes;
use crate::mutate::mutate;
use crate::parsers::{MEMORY_MAX, PARSERS, Seeds};
use crate::report::{Budget, Report, Verdict};
use crate::weight;

/// Inputs of one trial.
const BATCH: u64 = 256;
/// Inputs that each fuzz target starts from.
const STARTS: usize = 32;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let seeds = Seeds::new();
    let all: u32 = PARSERS.iter().map(|parser| parser.share).sum();
    lanes::run(budget, |seed, report| {
        let mut dice = SmallRng::seed_from_u64(seed);
        for n in 0..BATCH {
            let mut ticket = dice.random_range(0..all);
            let chosen = PARSERS.iter().find(|parser| {
                let hit = ticket < parser.share;
                ticket = ticket.saturating_sub(parser.share);
                hit
            });
            let Some(parser) = chosen else { continue };
            let which = dice.random();
            let mut bytes = (parser.start)(&seeds, which);
            mutate(&mut bytes, &mut dice);
            weight::forget();
            (parser.read)(&seeds, which, bytes);
            let (name, asked) = (parser.name, weight::greatest());
            report.add(name, 1);
            report.count(match asked > MEMORY_MAX {
                true => Verdict::Wrong(format!("{name}, input {n} of seed {seed}: {asked} bytes at once")),
                false => Verdict::Survived,
            });
        }
    })
}

/// Writes what the fuzz targets start from, into a folder of each one's name below `folder`.
pub fn write_starts(folder: &Path) -> io::Result<()> {
    let seeds = Seeds::new();
    for parser in PARSERS {
        let folder = folder.join(parser.name);
        std::fs::create_dir_all(&folder)?;
        for which in (0..=u8::MAX).step_by(usize::from(u8::MAX) / STARTS) {
            let input = [vec![which], (parser.start)(&seeds, which)].concat();
            std::fs::write(folder.join(format!("start-{which}")), input)?;
        }
    }
    Ok(())
}
