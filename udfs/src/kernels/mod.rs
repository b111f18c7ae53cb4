//! Distance kernels: plain functions on slices, the one place where a distance is computed.
//!
//! Used from above as SQL (`crate::vector`) and by the storage engine's exact scans and indexes,
//! so a distance means the same everywhere. No Arrow, no DataFusion, no allocation in the loops.
//!
//! Invariants: (1) lower is closer for every [`Metric`]; (2) every instruction set gives the
//! reference result within rounding; (3) no input panics: where lengths differ the shorter counts,
//! and callers that must refuse a wrong length check it first.

mod avx2;
mod avx512;
mod bits;
mod clustering;
mod codes;
mod dispatch;
mod distance;
mod element;
mod fastscan;
mod kmeans;
mod lanes;
mod max_sim;
mod metric;
mod norm;
mod portable;
mod quantize;
mod reference;
mod rotation;
mod sparse;
mod topk;
mod tree;
mod wide;

#[cfg(test)]
mod tests;

pub use bits::{hamming, jaccard};
pub use clustering::Clustering;
pub use codes::{dot_codes, dot_codes_at};
pub use dispatch::{InstructionSet, instruction_set};
pub use distance::{distance, dot, l1, l2_squared, one_to_many};
pub use element::Element;
pub use fastscan::{SIGN_BLOCK, SignTables, set_signs, sign_block_bytes, sign_patterns, sign_patterns_bytes};
pub use kmeans::Centroids;
pub use max_sim::MaxSim;
pub use metric::{Metric, UnknownMetric};
pub use norm::{normalize, squared_norm};
pub use quantize::{CodeBounds, Side, quantize, quantize_query, within};
pub use rotation::{LANES_PER_CODE, Rotation};
pub use sparse::{SparseQuery, ascends, sort_pairs};
pub use topk::{Neighbor, TopK};
pub use tree::CentroidTree;
