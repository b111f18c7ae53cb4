//! How much of the nearest rows a search ordered by a distance must find, and what bounds its work.

/// What a call says of it; what it leaves open, the column's index says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Effort {
    /// Bits of numbers, which so can be compared.
    recall: Option<u64>,
    epsilon: Option<u64>,
    /// Lists to read, the nearest first (`nprobe` of inverted files).
    pub nprobe: Option<usize>,
    /// Rows that a walk through a graph holds (`ef` of HNSW).
    pub ef_search: Option<usize>,
    /// Rows whose distance is computed from their vectors.
    pub rescore: Option<usize>,
}

impl Effort {
    /// A share of the nearest rows; 1 is all of them.
    pub fn of_recall(recall: f64) -> Self {
        Self { recall: Some(recall.to_bits()), ..Self::default() }
    }

    /// The same with another share where none was given.
    pub fn or_recall(self, recall: f64) -> Self {
        Self { recall: self.recall.or(Some(recall.to_bits())), ..self }
    }

    /// The same with bounds by signs `epsilon` standard deviations wide.
    pub fn with_epsilon(self, epsilon: Option<f64>) -> Self {
        Self { epsilon: epsilon.map(f64::to_bits), ..self }
    }

    /// The share of the nearest rows to find.
    pub fn recall(&self) -> Option<f64> {
        self.recall.map(f64::from_bits)
    }

    /// How many standard deviations wide bounds by signs are (the ε of RaBitQ).
    pub fn epsilon(&self) -> Option<f64> {
        self.epsilon.map(f64::from_bits)
    }

    /// True when something other than the recall was given, which no exact search has a use for.
    pub fn is_tuned(&self) -> bool {
        *self != Self { recall: self.recall, ..Self::default() }
    }
}
