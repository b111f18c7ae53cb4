//! Search by distance: the node that finds the nearest rows, and the table function over it.
//!
//! `knn` says what is searched and finds the row numbers, `coded` rules rows out by their codes, `nearest` keeps the best of them, `exec` is
//! the plan node, `function` is `vector_search(...)` with its `arguments`, whose plan is an ordinary
//! `ORDER BY distance LIMIT k`. `rules::vector_topk` puts the node into plans. Exact: no row
//! that the conditions let through is left out unless it is known to be farther than `k` others; the columns that only
//! the winners need are read last.

mod arguments;
mod coded;
mod exec;
mod function;
mod knn;
mod named;
mod nearest;

#[cfg(test)]
mod tests;

pub(crate) use exec::KnnExec;
pub(crate) use function::VectorSearch;
pub(crate) use knn::{KnnSearch, Query};
pub(crate) use named::NamedArguments;
pub(crate) use nearest::{Nulls, Placement};
