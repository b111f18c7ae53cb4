//! Compaction: a pure strategy chooses, an executor merges.
//!
//! A strategy is a function from the shapes of a table's files to the files to merge next. Any choice is right: every
//! key has at most one live row over all files, so files may be merged in any grouping and order. What a choice
//! decides is cost: how often a byte is rewritten, how many files a read looks into, and how much space dead rows take.

mod executor;
mod fifo;
mod leveled;
mod live_rows;
mod overlap;
mod pace;
mod shape;
mod space;
mod tiered;

#[cfg(test)]
mod tests;

pub use executor::{Compacted, compact_files};
pub use live_rows::LiveRows;
pub use pace::Pace;
pub use shape::{BOTTOM, Choice, FAN_IN, FileShape, INPUTS_MAX, Reason, Sizes};

use crate::format::table::CompactionStyle;

/// What a table of that style should do next; `None` when its files are in good shape.
#[must_use]
pub fn choose(style: CompactionStyle, files: &[FileShape<'_>], sizes: Sizes) -> Option<Choice> {
    match style {
        CompactionStyle::Leveled => leveled::choose(files, sizes),
        CompactionStyle::Tiered => tiered::choose(files, sizes),
        CompactionStyle::Fifo => fifo::choose(files, sizes),
    }
}
