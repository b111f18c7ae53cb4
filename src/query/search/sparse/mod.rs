//! Search by sparse vectors: `sparse_search(...)`, the rows whose inner product with a query is greatest.
//!
//! `postings` lie beside a file: for each index the rows that have it, and bounds of their values. `search` finds the best
//! rows with them, exactly; `ranking` runs that on all processors, and `function` is the table function.

mod function;
mod postings;
mod ranking;
mod search;

#[cfg(test)]
mod tests;

pub(super) use function::{SPARSE_SEARCH, found};
