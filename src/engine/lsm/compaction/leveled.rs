//! Lazy leveling (Dayan and Idreos, "Dostoevsky", SIGMOD 2018): tiers above one sorted bottom run. The default.
//!
//! Overlapping runs of a level are merged into the next, until what they hold is worth rewriting the part of the
//! bottom they fall into. Reads pass a few runs per level and one file of the bottom; writes cost a rewrite per
//! level and about [`BOTTOM_RATIO`] at the bottom. As files share no live key, any of them may be merged in any order,
//! so a merge takes only the files of one stretch of keys.

use super::overlap::crowded;
use super::shape::{BOTTOM, Choice, FileShape, Reason, Sizes, hull};
use super::space::{mostly_dead, small_neighbours, wholly_dead};

/// Bytes of the bottom that are rewritten for one byte from above, or one given back.
const BOTTOM_RATIO: u64 = 4;

/// What to do next.
#[must_use]
pub fn choose(files: &[FileShape<'_>], sizes: Sizes) -> Option<Choice> {
    let files = &with_sorted_bottom(files);
    wholly_dead(files)
        .or_else(|| for_space(files))
        .or_else(|| (0..BOTTOM).find_map(|level| for_reads(files, level, sizes)))
        .or_else(|| (0..=BOTTOM).find_map(|level| small(files, level, sizes)))
}

/// The files with those that overlap others of the bottom counted to the level above: a table may have come from
/// another strategy.
fn with_sorted_bottom<'a>(files: &[FileShape<'a>]) -> Vec<FileShape<'a>> {
    let mut files = files.to_vec();
    let mut order: Vec<usize> = (0..files.len()).filter(|&i| files[i].level >= BOTTOM).collect();
    order.sort_by_key(|&i| files[i].min_key);
    let mut last: Option<&[u8]> = None;
    for i in order {
        if last.is_some_and(|last| files[i].min_key <= last) {
            files[i].level = BOTTOM - 1;
        } else {
            (files[i].level, last) = (BOTTOM, Some(files[i].max_key));
        }
    }
    files
}

/// The worst file; one of the bottom takes along what lies above it.
fn for_space(files: &[FileShape<'_>]) -> Option<Choice> {
    let worst = mostly_dead(files)?;
    let inputs = if files[worst].level == BOTTOM { slice(files, &[worst]) } else { vec![worst] };
    Choice::new(inputs, files[worst].level, Reason::Space)
}

/// A crowded level goes down: to the bottom when that is worth it, otherwise by one level.
fn for_reads(files: &[FileShape<'_>], level: u8, sizes: Sizes) -> Option<Choice> {
    let members = crowded(files, level)?;
    let inputs = slice(files, &members);
    let (mut rewritten, mut gained, mut read) = (0, 0, 0);
    for file in inputs.iter().map(|&i| &files[i]) {
        rewritten += if file.level == BOTTOM { file.live_bytes() } else { 0 };
        gained += if file.level == BOTTOM { file.dead_bytes() } else { file.bytes };
        read += file.bytes;
    }
    let is_worth_it = rewritten <= gained * BOTTOM_RATIO && (read <= sizes.job || rewritten == 0);
    if is_worth_it || level + 1 == BOTTOM {
        Choice::new(inputs, BOTTOM, Reason::Overlap)
    } else {
        Choice::new(members, level + 1, Reason::Overlap)
    }
}

/// `members`, the files of the bottom they overlap, and what else lies wholly among them: merged, they leave the
/// bottom sorted.
fn slice(files: &[FileShape<'_>], members: &[usize]) -> Vec<usize> {
    let (min, max) = hull(files, members);
    let mut inputs = members.to_vec();
    let is_bottom = |i: &usize| files[*i].level == BOTTOM && files[*i].overlaps(min, max);
    inputs.extend((0..files.len()).filter(is_bottom).filter(|i| !members.contains(i)));
    let (min, max) = hull(files, &inputs);
    let inside = |i: &usize| files[*i].level < BOTTOM && files[*i].settled && files[*i].lies_within(min, max);
    let inside: Vec<usize> = (0..files.len()).filter(inside).filter(|i| !inputs.contains(i)).collect();
    inputs.extend(inside);
    inputs
}

fn small(files: &[FileShape<'_>], level: u8, sizes: Sizes) -> Option<Choice> {
    let mut order: Vec<usize> =
        (0..files.len()).filter(|&i| files[i].settled && files[i].level == level).collect();
    order.sort_by_key(|&i| files[i].min_key);
    Choice::new(small_neighbours(files, &order, sizes)?, level, Reason::Small)
}
