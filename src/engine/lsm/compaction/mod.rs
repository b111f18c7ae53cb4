//! Compaction: a pure strategy chooses, an executor merges.

mod executor;
mod live_rows;
mod strategy;

pub use executor::{Compacted, compact_files};
pub use live_rows::LiveRows;
pub use strategy::{Choice, FileShape, choose};
