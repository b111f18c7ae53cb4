//! Search by sparse vectors: `sparse_search(...)`, the rows whose inner product with a query is greatest.
//!
//! `postings` lie beside a file: for each index the rows that have it, and bounds of their values. `search` finds the best
//! rows with them, exactly; `ranking` runs that on all processors, and `function` is the table function. `stats` says what a column
//! holds.

mod function;
mod postings;
mod ranking;
mod search;
mod stats;

#[cfg(test)]
mod tests;

pub(super) use function::{SPARSE_SEARCH, found};
pub(super) use stats::{SPARSE_STATS, stats};
