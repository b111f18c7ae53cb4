//! Distance kernels and SQL functions of Trilith: pure functions on values.
//!
//! Two floors in one crate: [`kernels`] needs nothing but slices and is what the storage engine
//! uses; with the default feature `datafusion` the same kernels become SQL functions.

pub mod kernels;
