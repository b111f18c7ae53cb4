//! Many centroids, found and searched in two steps: groups of centroids first, then those of the nearest groups.
//!
//! Hierarchical k-means, as in SuperKMeans (arXiv 2603.20009): a point is compared with about the root of the centroids, not with
//! all. A centroid of a group that is not looked at may be nearer, so this is for putting points together, not for answers.

use super::kmeans::Centroids;

/// Groups that a point is put to the centroids of.
const GROUPS: usize = 3;

/// Centroids in groups.
#[derive(Debug, Clone)]
pub struct CentroidTree {
    groups: Centroids,
    /// Of each group, the number of its first centroid, and its centroids.
    members: Vec<(u32, Centroids)>,
    count: usize,
}

impl CentroidTree {
    /// About `count` centroids of `points`, which lie one after the other, no more than there are points: in about `groups` groups of about equally many points.
    #[must_use]
    pub fn train(
        points: &[f32],
        dims: usize,
        (count, groups): (usize, usize),
        rounds: usize,
        seed: u64,
    ) -> Self {
        let dims = dims.max(1);
        let groups = Centroids::train(points, dims, groups.clamp(1, count.max(1)), rounds, seed);
        let total = points.len() / dims;
        let mut nearest = vec![0; total];
        groups.nearest(points, &mut nearest);
        let mut parted = vec![vec![]; groups.len()];
        for (point, group) in points.chunks_exact(dims).zip(&nearest) {
            parted[*group as usize].extend_from_slice(point);
        }
        let (mut members, mut found, mut seen) = (Vec::with_capacity(groups.len()), 0, 0);
        for points in parted {
            seen += points.len() / dims;
            // Shares of points so far, so that all centroids are given out.
            let wanted = count.min(total) * seen / total.max(1) - found;
            members.push((found as u32, Centroids::train(&points, dims, wanted, rounds, seed)));
            found += wanted;
        }
        Self { groups, members, count: found }
    }

    /// How many centroids there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes the number of a centroid that is near to each point: the nearest of those in the nearest groups. A point with a NaN
    /// gets 0.
    pub fn near(&self, points: &[f32], out: &mut [u32]) {
        out.fill(0);
        if self.is_empty() {
            return;
        }
        let dims = self.groups.dims();
        let mut asked: Vec<(u32, u32)> = Vec::with_capacity(out.len() * GROUPS);
        for (point, scores) in (0..).zip(self.groups.scores(points).chunks_exact(self.groups.len())) {
            asked.extend(greatest(scores).into_iter().flatten().map(|group| (group, point)));
        }
        asked.sort_unstable();
        let mut best = vec![f32::NEG_INFINITY; out.len()];
        for asked in asked.chunk_by(|a, b| a.0 == b.0) {
            let (first, centroids) = &self.members[asked[0].0 as usize];
            let of = |point: u32| &points[point as usize * dims..(point as usize + 1) * dims];
            let gathered: Vec<f32> = asked.iter().flat_map(|(_, point)| of(*point)).copied().collect();
            for ((_, point), scores) in
                asked.iter().zip(centroids.scores(&gathered).chunks_exact(centroids.len().max(1)))
            {
                for (at, score) in (*first..).zip(scores) {
                    if *score > best[*point as usize] {
                        (best[*point as usize], out[*point as usize]) = (*score, at);
                    }
                }
            }
        }
    }
}

/// The places of the greatest numbers.
fn greatest(scores: &[f32]) -> [Option<u32>; GROUPS] {
    let mut found: [(f32, Option<u32>); GROUPS] = [(f32::NEG_INFINITY, None); GROUPS];
    for (at, score) in (0..).zip(scores) {
        if *score > found[GROUPS - 1].0 {
            found[GROUPS - 1] = (*score, Some(at));
            found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        }
    }
    found.map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    fn random(seed: u64, count: usize) -> Vec<f32> {
        let mut rng = SmallRng::seed_from_u64(seed);
        (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// The mean squared distance of points from what they are put to, which `centroid` gives.
    fn spread(points: &[f32], dims: usize, near: &[u32], count: usize) -> f64 {
        let mut sums = vec![0.0_f64; count * dims];
        let mut members = vec![0.0; count];
        for (point, at) in points.chunks(dims).zip(near) {
            members[*at as usize] += 1.0;
            for (sum, value) in sums[*at as usize * dims..].iter_mut().zip(point) {
                *sum += f64::from(*value);
            }
        }
        let squared = |(point, at): (&[f32], &u32)| -> f64 {
            let mean = &sums[*at as usize * dims..][..dims];
            point
                .iter()
                .zip(mean)
                .map(|(value, sum)| (f64::from(*value) - sum / members[*at as usize]).powi(2))
                .sum()
        };
        points.chunks(dims).zip(near).map(squared).sum::<f64>() / near.len() as f64
    }

    #[test]
    fn points_are_put_together_almost_as_well_as_by_comparing_all() {
        let (dims, count) = (16, 120);
        let centres = random(3, 90 * dims);
        let points: Vec<f32> = random(4, 4000 * dims)
            .chunks(dims)
            .enumerate()
            .flat_map(|(at, noise)| {
                let centre = &centres[at % 90 * dims..][..dims];
                centre.iter().zip(noise).map(|(centre, noise)| centre + noise / 8.0).collect::<Vec<_>>()
            })
            .collect();
        let tree = CentroidTree::train(&points, dims, (count, 11), 8, 5);
        assert_eq!(tree.len(), count);
        let (mut by_tree, mut by_all) = (vec![0; 4000], vec![0; 4000]);
        tree.near(&points, &mut by_tree);
        Centroids::train(&points, dims, count, 8, 5).nearest(&points, &mut by_all);
        let (tree, all) = (spread(&points, dims, &by_tree, count), spread(&points, dims, &by_all, count));
        assert!(tree < 1.15 * all, "{tree} against {all}");
        let one_by_one: Vec<u32> = points
            .chunks(dims)
            .map(|point| {
                let mut near = [0];
                CentroidTree::train(&points, dims, (count, 11), 8, 5).near(point, &mut near);
                near[0]
            })
            .take(20)
            .collect();
        assert_eq!(one_by_one, by_tree[..20]);
    }

    #[test]
    fn few_points_equal_points_and_none_have_centroids_all_the_same() {
        for (points, count, groups, want) in
            [(vec![], 4, 2, 0), (vec![1.0; 2], 4, 2, 1), (vec![1.0; 40], 6, 3, 6), (random(1, 40), 6, 9, 6)]
        {
            let tree = CentroidTree::train(&points, 2, (count, groups), 3, 1);
            assert_eq!(tree.len(), want);
            let mut near = vec![9; points.len() / 2];
            tree.near(&points, &mut near);
            assert!(near.iter().all(|at| (*at as usize) < want));
        }
        let tree = CentroidTree::train(&random(1, 40), 2, (6, 2), 3, 1);
        let mut near = [9];
        tree.near(&[f32::NAN, 0.0], &mut near);
        assert_eq!(near, [0]);
    }
}
