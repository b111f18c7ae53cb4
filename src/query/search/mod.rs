//! Search by distance: the node that finds the nearest rows, and the table function over it.
//!
//! `knn` says what is searched and finds the row numbers, `coded` rules rows out by their codes, `nearest` keeps the best of them, `exec` is
//! the plan node, `recognise` says which plans it takes the place of, `function` is `vector_search(...)` with its `arguments`, whose plan is an ordinary
//! `ORDER BY distance LIMIT k`. `rules::vector_topk` puts the node into plans. Exact: no row
//! that the conditions let through is left out unless it is known to be farther than `k` others; the columns that only
//! the winners need are read last.

mod arguments;
mod batch;
mod coded;
mod exec;
mod function;
mod knn;
mod many;
mod named;
mod nearest;
mod recognise;

#[cfg(test)]
mod tests;

pub(crate) use function::VectorSearch;
pub(crate) use named::NamedArguments;
pub(crate) use recognise::recognise;
