//! First in, first out: files stay in the order of their commits, so that what is old expires file by file.
//!
//! For rows that come in time, are rarely changed, and go by age (a table with a `ttl`). Only small neighbours in time
//! are merged, and files that are mostly dead; the number of files that hold a key has no bound.

use super::shape::{Choice, FileShape, Reason, Sizes};
use super::space::{mostly_dead, small_neighbours, wholly_dead};

/// What to do next.
#[must_use]
pub fn choose(files: &[FileShape<'_>], sizes: Sizes) -> Option<Choice> {
    wholly_dead(files)
        .or_else(|| mostly_dead(files).and_then(|i| Choice::new(vec![i], 0, Reason::Space)))
        .or_else(|| small(files, sizes))
}

fn small(files: &[FileShape<'_>], sizes: Sizes) -> Option<Choice> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&i| files[i].max_seq);
    Choice::new(small_neighbours(files, &order, sizes)?, 0, Reason::Small)
}
