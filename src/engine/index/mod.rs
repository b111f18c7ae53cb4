//! L3: what a search reads instead of the rows: small codes of the vectors of one SSTable.
//!
//! `encode` makes them, `codes` is their file, `plan` says which, `lists` gathers them around centroids, `graph` links them, `query` compares a vector with them. Codes are derived from a sealed
//! file and bound to it, so no manifest names them: what is missing or damaged is made again, and the answer of a
//! search does not depend on it. Invariant: a bound holds for the distance that the kernels compute, so a row that
//! the bounds rule out is no answer.

mod codes;
mod encode;
mod graph;
mod lists;
mod plan;
mod query;

#[cfg(test)]
mod tests;

pub use codes::{CodeSource, CodedRows, VectorCodes};
pub use encode::encode;
pub use lists::NearList;
pub use plan::{CODED_DIMS_MIN, CODED_ROWS_MIN, CodePlan, GraphPlan, is_coded, is_vector};
pub use query::{CodedQuery, Comparison, Side};
