//! Sparse vectors on slices: indices in ascending order, each once, and a value for each.

/// Queries whose greatest index is below this are looked up in an array of as many weights.
const DENSE_MAX: usize = 1 << 20;

/// Whether indices ascend and none is there twice.
#[must_use]
pub fn ascends(indices: &[u32]) -> bool {
    indices.windows(2).all(|pair| pair[0] < pair[1])
}

/// Sorts pairs of index and value by index.
///
/// # Errors
/// The first index that is there twice.
pub fn sort_pairs(pairs: &mut [(u32, f32)]) -> Result<(), u32> {
    pairs.sort_unstable_by_key(|(index, _)| *index);
    match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => Err(twice[0].0),
        None => Ok(()),
    }
}

/// A sparse vector that many are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseQuery {
    weights: Vec<(u32, f32)>,
    /// The weight of each index up to the greatest; empty when that is too large.
    dense: Vec<f32>,
}

impl SparseQuery {
    /// A query of these indices, which ascend, and weights. Weights of zero count as absent.
    #[must_use]
    pub fn new(indices: &[u32], weights: &[f32]) -> Self {
        let pairs = indices.iter().copied().zip(weights.iter().copied());
        let weights: Vec<(u32, f32)> = pairs.filter(|(_, weight)| *weight != 0.0).collect();
        let length = weights.last().map_or(0, |(index, _)| *index as usize + 1);
        let mut dense = vec![];
        if length <= DENSE_MAX {
            dense.resize(length, 0.0);
            weights.iter().for_each(|(index, weight)| dense[*index as usize] = *weight);
        }
        Self { weights, dense }
    }

    /// Its indices, ascending, and their weights, none of which is zero.
    #[must_use]
    pub fn weights(&self) -> &[(u32, f32)] {
        &self.weights
    }

    /// The inner product with another vector; `None` when they have no index in common. Summed as `f64` in the order of the
    /// indices, so it is the same wherever it is computed.
    #[must_use]
    pub fn dot(&self, indices: &[u32], values: &[f32]) -> Option<f64> {
        let (mut sum, mut common) = (0.0, false);
        for (index, value) in indices.iter().zip(values) {
            let weight = self.weight(*index);
            if weight != 0.0 {
                sum += f64::from(weight) * f64::from(*value);
                common = true;
            }
        }
        common.then_some(sum)
    }

    #[inline]
    fn weight(&self, index: u32) -> f32 {
        if !self.dense.is_empty() {
            return self.dense.get(index as usize).copied().unwrap_or(0.0);
        }
        let found = self.weights.binary_search_by_key(&index, |(known, _)| *known);
        found.map_or(0.0, |at| self.weights[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_common_indices_count() {
        for shift in [0, 1 << 24] {
            let query = SparseQuery::new(&[1 + shift, 5 + shift, 9 + shift], &[2.0, 0.0, -1.0]);
            assert_eq!(query.weights().len(), 2);
            assert_eq!(query.dot(&[1 + shift, 2 + shift, 9 + shift], &[3.0, 7.0, 0.5]), Some(5.5));
            assert_eq!(query.dot(&[2 + shift, 5 + shift], &[1.0, 1.0]), None);
            assert_eq!(query.dot(&[1 + shift], &[0.0]), Some(0.0));
            assert_eq!(query.dot(&[], &[]), None);
        }
        assert_eq!(SparseQuery::new(&[], &[]).dot(&[1], &[1.0]), None);
    }

    #[test]
    fn pairs_are_sorted_and_doubles_named() {
        let mut pairs = [(9, 1.0), (2, 2.0), (4, 3.0)];
        assert_eq!(sort_pairs(&mut pairs), Ok(()));
        assert!(ascends(&pairs.map(|(index, _)| index)));
        assert_eq!(sort_pairs(&mut [(9, 1.0), (2, 2.0), (9, 3.0)]), Err(9));
        assert!(!ascends(&[1, 1]) && !ascends(&[2, 1]) && ascends(&[7]));
    }
}
