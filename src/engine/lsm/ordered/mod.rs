//! Rows of a keyed table in key order, upwards or downwards: files and memtables merged lazily.

mod cursor;
mod merge;
mod span;

pub use merge::Ordered;
