//! Search by late interaction: `multivector_search(...)`, the rows whose lists of vectors fit those of a query best.
//!
//! `ranking` scores rows on all processors, exactly, and `function` is the table function.

mod function;
mod ranking;

#[cfg(test)]
mod tests;

pub(super) use function::{MULTIVECTOR_SEARCH, found};
