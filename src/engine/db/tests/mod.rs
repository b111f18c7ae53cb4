//! The engine against what it promises: tables, commits, updates, reopening.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod basics;
mod fence;
mod follow;
mod past;
mod regressions;
mod serializable;
mod support;
mod transactions;
mod transactions_model;
