//! Search by words and by distance at once: `hybrid_search(...)`.
//!
//! Both searches look at the same rows under the same conditions; `fuse` makes one ranking of the two, `ranking` runs both
//! and `function` is the table function.

mod function;
mod fuse;
mod ranking;

pub(super) use function::{HYBRID_SEARCH, found};
