//! Distance kernels and SQL functions of Trilith: pure functions on values.
//!
//! Two floors in one crate: [`kernels`] needs nothing but slices and is what the storage engine
//! uses; with the default feature `datafusion` the same kernels become SQL functions over vectors,
//! next to functions over documents, the operators that stand for them, and the dialect that
//! reads those operators.

pub mod kernels;

#[cfg(feature = "datafusion")]
mod columnar;
#[cfg(feature = "datafusion")]
pub mod dialect;
#[cfg(feature = "datafusion")]
pub mod document;
#[cfg(feature = "datafusion")]
pub mod planner;
#[cfg(feature = "datafusion")]
mod registry;
#[cfg(all(test, feature = "datafusion"))]
mod session;
#[cfg(feature = "datafusion")]
pub mod sparse;
#[cfg(feature = "datafusion")]
pub mod vector;

#[cfg(feature = "datafusion")]
pub use registry::{all, install, register_all};
