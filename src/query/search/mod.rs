//! Search: the nodes that find the best rows, by distance or by words, and the table functions over them.
//!
//! `rows` are what any search looks at, `tables` and `columns` where functions find
//! them, `functions` lists those, `call` and `named` are how SQL calls them, `direct` and `condition` how programs do. By distance:
//! `knn` says what is searched, `range` how near it must be, `per` finds the nearest of each group, `coded` rules rows out by their codes, `nearest` keeps the best of them, `each` does so for many vectors, `measured` says what share of them a search found, `exec` and `batch` are
//! the plan nodes, `recognise` says which plans one takes the place of, `function` is `vector_search(...)` with its `arguments` and `diverse`,
//! whose plan is an ordinary `ORDER BY distance LIMIT k`. `rules::vector_topk` puts the node into plans. By words: `text`. By both: `hybrid`. Of
//! each row of another table: `join`. By
//! sparse vectors: `sparse`; by lists of vectors: `multivector`. These four give the best rows by a score, through the provider and node in `ranked`. What is
//! computed from a whole column goes through those in `computed`: `graph`, `clusters`, and the statistics of `sparse`.
//! No row that the conditions let through is left out unless it is known to be worse than `k` others; the columns that only
//! the winners need are read last.

mod arguments;
mod batch;
mod call;
mod clusters;
mod coded;
mod columns;
mod computed;
mod condition;
mod direct;
mod diverse;
mod each;
mod effort;
mod exec;
mod function;
mod functions;
mod graph;
mod hybrid;
mod join;
mod knn;
mod many;
mod measured;
mod multivector;
mod named;
mod nearest;
mod per;
mod range;
mod ranked;
mod recognise;
mod rows;
mod sparse;
mod tables;
mod tasks;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use condition::conjuncts;
pub use direct::Search;
pub(crate) use functions::{FUNCTIONS, table_functions};
pub(crate) use join::{LeftConditions, NearestJoins, NearestPlanner, nearest_marker_udf, with_conditions};
pub(crate) use named::NamedArguments;
pub(crate) use per::recognise_per_group;
pub(crate) use recognise::{recognise, recognise_range};
pub(crate) use tables::Tables;
pub(crate) use text::text_snippet_udf;
