//! Search by sparse vectors: `sparse_search(...)`, the rows whose inner product with a query is greatest.
//!
//! `blocks` is what lies beside a file: of each 32 rows and each index that they have, the greatest value. `search` finds the best
//! rows with it, exactly; `ranking` runs that on all processors, and `function` is the table function.

mod blocks;
mod function;
mod ranking;
mod search;

#[cfg(test)]
mod tests;

pub(super) use function::{SPARSE_SEARCH, SparseSearch};
