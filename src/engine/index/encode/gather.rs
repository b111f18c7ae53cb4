//! Which list each row belongs to: centroids are found on a sample, by the first components of rotated vectors.
//!
//! After a random rotation the first components are a random projection (Johnson and Lindenstrauss 1984), in which what
//! is near stays near: enough to put rows together. The centroids that searches see are the means of whole vectors.

use trilith_udfs::kernels::CentroidTree;

/// Components that rows are put together by.
const PROJECTED: usize = 128;
/// Rows of the sample for each list, and how often centroids move.
const SAMPLE_PER_LIST: usize = 32;
const ROUNDS: usize = 8;
/// Any will do; the same gives the same lists.
const SEED: u64 = 11;

/// Fewer lists are not put in groups.
const GROUPED_MIN: usize = 64;

fn groups_of(lists: usize) -> usize {
    if lists < GROUPED_MIN { 1 } else { lists.isqrt() }
}

/// Rows of a sample that suffices for so many lists.
pub(super) fn sample_len(lists: usize) -> usize {
    SAMPLE_PER_LIST * lists
}

/// Gathers rows around centroids.
pub(super) struct Gatherer {
    padded: usize,
    centroids: CentroidTree,
    /// Of the rows of each list, their sum and number.
    sums: Vec<f32>,
    members: Vec<u32>,
    /// The list of each row so far; one past the last for a row without a code.
    lists: Vec<u32>,
}

impl Gatherer {
    /// For `lists` of a file of `rows`, of which `sample` are the first components of some.
    pub(super) fn new((rows, lists): (usize, usize), padded: usize, sample: &[f32]) -> Self {
        let rounds = if lists == 1 { 0 } else { ROUNDS };
        Self {
            padded,
            centroids: CentroidTree::train(
                sample,
                projected_len(padded),
                (lists, groups_of(lists)),
                rounds,
                SEED,
            ),
            sums: vec![0.0; lists * padded],
            members: vec![0; lists],
            lists: Vec::with_capacity(rows),
        }
    }

    /// Takes rows: their vectors, of which those without a code count for nothing.
    pub(super) fn add(&mut self, vectors: &[f32], coded: &[bool]) {
        let mut nearest = vec![0; coded.len()];
        if self.members.len() > 1 {
            let points: Vec<f32> = vectors.chunks_exact(self.padded).flat_map(projected).copied().collect();
            self.centroids.near(&points, &mut nearest);
        }
        for ((vector, list), coded) in vectors.chunks_exact(self.padded).zip(nearest).zip(coded) {
            self.lists.push(if *coded { list } else { self.members.len() as u32 });
            if *coded {
                let list = list as usize;
                self.members[list] += 1;
                let sum = &mut self.sums[list * self.padded..(list + 1) * self.padded];
                sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// Where each list starts, then the rows without a code, then the end; and the rows in that order.
    pub(super) fn order(&self) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0; self.members.len() + 2];
        for list in &self.lists {
            starts[*list as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0; self.lists.len()];
        for (row, list) in (0..).zip(&self.lists) {
            let position = &mut next[*list as usize];
            order[*position as usize] = row;
            *position += 1;
        }
        (starts, order)
    }

    /// The mean of the vectors of each list.
    pub(super) fn means(&mut self) -> impl Iterator<Item = &[f32]> {
        for (sum, members) in self.sums.chunks_exact_mut(self.padded).zip(&self.members) {
            sum.iter_mut().for_each(|sum| *sum /= (*members).max(1) as f32);
        }
        self.sums.chunks_exact(self.padded)
    }
}

/// The components that rows are put together by.
pub(super) fn projected(vector: &[f32]) -> &[f32] {
    &vector[..projected_len(vector.len())]
}

fn projected_len(padded: usize) -> usize {
    padded.min(PROJECTED)
}
