//! The nearest rows of each group: `per => 'kind'`, and `row_number() OVER (PARTITION BY kind ORDER BY distance) <= k`.
//!
//! Rows are read once and in no order: each task keeps the `k` nearest of each group that it has seen, and what tasks keep is
//! merged. Codes rule out a row whose bound is beyond the `k`-th distance of its own group. `groups` keeps the rows, `exec` is the node, and
//! `recognise` says which windows it takes the place of.

mod exec;
mod groups;
mod recognise;

#[cfg(test)]
mod tests;

pub(super) use exec::{Output, PerGroupExec};
pub(crate) use recognise::recognise_per_group;
