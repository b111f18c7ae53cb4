//! The engine against what it promises: tables, commits, updates, reopening.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod basics;
mod blobs;
mod cold;
mod compaction;
mod disk_full;
mod encryption;
mod expiry;
mod fence;
mod follow;
mod object;
mod ordered;
mod past;
mod regressions;
mod rows;
mod serializable;
pub(super) mod support;
mod transactions;
mod transactions_model;
mod vacuum;
