//! Clusters of the vectors of a column: `kmeans(...)` and `kmeans_centroids(...)`.
//!
//! `function` is what SQL calls, `grouping` finds centroids by k-means, and `computations` makes rows of them.

mod computations;
mod function;
mod grouping;

#[cfg(test)]
mod tests;

pub(super) use function::{KMEANS, KMEANS_CENTROIDS, assigned, centroids};
