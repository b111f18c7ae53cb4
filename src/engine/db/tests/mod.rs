//! The engine against what it promises: tables, commits, updates, reopening.
#![expect(clippy::unwrap_used, reason = "tests")]

mod basics;
mod regressions;
mod support;
