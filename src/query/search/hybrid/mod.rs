//! Search by words and by distance at once: `hybrid_search(...)`.
//!
//! Both searches look at the same rows under the same conditions; `fuse` makes one ranking of the two, `exec` is the plan
//! node and `function` the table function.

mod exec;
mod function;
mod fuse;

pub(super) use function::{HYBRID_SEARCH, HybridSearch};
