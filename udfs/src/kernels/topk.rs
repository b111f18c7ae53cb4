//! The k nearest of a stream of candidates, in bounded memory.
//!
//! Invariants: (1) the result does not depend on the order of pushes: ties go to the lower id;
//! (2) NaN never enters; (3) at most k candidates are held.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Room reserved up front, as many a collector of a large `k` never fills; larger `k` grow as candidates come.
const RESERVED: usize = 16;

/// A candidate and its distance. Ordered by distance, then by id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// The distance to the query.
    pub distance: f64,
    /// What was found: a row number or any other id of the caller.
    pub id: u64,
}

impl Eq for Neighbor {}

impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Collects the `k` nearest candidates pushed into it.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    worst_first: BinaryHeap<Neighbor>,
}

impl TopK {
    /// An empty collector of at most `k` candidates.
    pub fn new(k: usize) -> Self {
        Self { k, worst_first: BinaryHeap::with_capacity(k.min(RESERVED)) }
    }

    /// Offers a candidate.
    #[inline]
    pub fn push(&mut self, distance: f64, id: u64) {
        if distance.is_nan() || distance > self.threshold() {
            return;
        }
        // Adding zero makes -0.0 a 0.0, so that equal distances tie by id.
        self.insert(Neighbor { distance: distance + 0.0, id });
    }

    fn insert(&mut self, candidate: Neighbor) {
        if self.worst_first.len() < self.k {
            self.worst_first.push(candidate);
        } else if let Some(mut worst) = self.worst_first.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Candidates beyond this distance cannot enter: infinite until `k` are held.
    #[inline]
    pub fn threshold(&self) -> f64 {
        match self.worst_first.peek() {
            Some(worst) if self.worst_first.len() >= self.k => worst.distance,
            _ => f64::INFINITY,
        }
    }

    /// Takes over the candidates of another collector.
    pub fn merge(&mut self, other: TopK) {
        for candidate in other.worst_first {
            self.push(candidate.distance, candidate.id);
        }
    }

    /// How many candidates are held.
    pub fn len(&self) -> usize {
        self.worst_first.len()
    }

    /// Whether no candidate is held.
    pub fn is_empty(&self) -> bool {
        self.worst_first.is_empty()
    }

    /// The candidates, nearest first.
    pub fn into_sorted(self) -> Vec<Neighbor> {
        self.worst_first.into_sorted_vec()
    }
}
