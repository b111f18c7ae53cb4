//! The distance measures a vector column can be searched by.
//!
//! A [`Metric`] is a name, not an algorithm: the algorithms are in `element` and `bits`.
//! Invariant: for every metric a lower distance is closer, so one ordering serves them all;
//! the inner product is negated for that reason.

use std::fmt;
use std::str::FromStr;

/// How far apart two vectors are. Lower is closer for every variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// `1 - cos(a, b)`, in `0..=2`. The distance to a zero vector is defined as `1`.
    Cosine,
    /// Euclidean distance: the square root of the sum of squared differences.
    L2,
    /// The negated inner product.
    InnerProduct,
    /// Manhattan distance: the sum of absolute differences.
    L1,
    /// Number of differing bits of packed bits (`u8`), of differing components otherwise.
    Hamming,
    /// `1 - |a AND b| / |a OR b|` over set bits (`u8`) or non-zero components; `0` for two empty sets.
    Jaccard,
}

impl Metric {
    /// Every metric, in the order of the documentation.
    pub const ALL: [Metric; 6] =
        [Metric::Cosine, Metric::L2, Metric::InnerProduct, Metric::L1, Metric::Hamming, Metric::Jaccard];

    /// The canonical name, as [`FromStr`] reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::InnerProduct => "inner_product",
            Metric::L1 => "l1",
            Metric::Hamming => "hamming",
            Metric::Jaccard => "jaccard",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metric name nobody knows; its message lists the names that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMetric(String);

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown distance metric '{}': use one of cosine, l2, inner_product (ip, dot), l1, hamming, jaccard",
            self.0
        )
    }
}

impl std::error::Error for UnknownMetric {}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim().to_ascii_lowercase().as_str() {
            "cosine" | "cos" => Ok(Metric::Cosine),
            "l2" | "euclidean" => Ok(Metric::L2),
            "inner_product" | "ip" | "dot" => Ok(Metric::InnerProduct),
            "l1" | "manhattan" => Ok(Metric::L1),
            "hamming" => Ok(Metric::Hamming),
            "jaccard" => Ok(Metric::Jaccard),
            _ => Err(UnknownMetric(name.to_string())),
        }
    }
}
