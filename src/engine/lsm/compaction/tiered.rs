//! Size tiers (the universal compaction of RocksDB): runs that overlap become one of the next tier.
//!
//! The least writing, and the most runs to read from. No level is sorted as a whole.

use super::overlap::crowded;
use super::shape::{Choice, FileShape, Reason, Sizes};
use super::space::{mostly_dead, small_neighbours, wholly_dead};

/// What to do next.
#[must_use]
pub fn choose(files: &[FileShape<'_>], sizes: Sizes) -> Option<Choice> {
    let deepest = files.iter().map(|file| file.level).max().unwrap_or(0);
    let overlap = |level: u8| Choice::new(crowded(files, level)?, level.saturating_add(1), Reason::Overlap);
    wholly_dead(files)
        .or_else(|| mostly_dead(files).and_then(|i| Choice::new(vec![i], files[i].level, Reason::Space)))
        .or_else(|| (0..=deepest).find_map(overlap))
        .or_else(|| (0..=deepest).find_map(|level| small(files, level, sizes)))
}

fn small(files: &[FileShape<'_>], level: u8, sizes: Sizes) -> Option<Choice> {
    let mut order: Vec<usize> =
        (0..files.len()).filter(|&i| files[i].settled && files[i].level == level).collect();
    order.sort_by_key(|&i| files[i].min_key);
    Choice::new(small_neighbours(files, &order, sizes)?, level, Reason::Small)
}
