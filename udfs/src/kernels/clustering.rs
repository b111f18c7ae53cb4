//! Clusters of points: k-means from starts that lie apart.
//!
//! Starts by Arthur and Vassilvitskii (k-means++, SODA 2007), rounds by Lloyd. Sums of a component are taken in `f64` and operations are
//! not fused, so the same points and seed give the same centroids on every processor.

use super::dispatch::widened;
use super::kmeans::Centroids;
use super::rotation::next;

/// Sums that are taken side by side.
const LANES: usize = 16;

/// Points, and centroids that move among them.
#[derive(Debug, Clone)]
pub struct Clustering {
    points: Vec<f32>,
    dims: usize,
    state: u64,
    centroids: Centroids,
    nearest: Vec<u32>,
}

impl Clustering {
    /// `count` starts among `points`, which lie one after the other: the first drawn by `seed`, each other the best of a few drawn
    /// with a chance that grows with the square of their distance from those before. Fewer when there are fewer points.
    #[must_use]
    pub fn start(points: Vec<f32>, dims: usize, count: usize, seed: u64) -> Self {
        let dims = dims.max(1);
        let mut state = seed;
        let centroids = Centroids::new(&starts(&points, dims, count, &mut state), dims);
        let nearest = vec![u32::MAX; points.len() / dims];
        Self { points, dims, state, centroids, nearest }
    }

    /// Moves each centroid to the mean of the points that are nearest to it, or to a drawn one when there is none; false when no
    /// point is nearest to another than before.
    pub fn round(&mut self) -> bool {
        let mut nearest = vec![0; self.nearest.len()];
        self.centroids.nearest(&self.points, &mut nearest);
        if nearest == self.nearest {
            return false;
        }
        self.nearest = nearest;
        self.centroids = Centroids::new(&self.means(), self.dims);
        true
    }

    fn means(&mut self) -> Vec<f32> {
        let (dims, count) = (self.dims, self.centroids.len());
        let (mut sums, mut members) = (vec![0.0_f64; count * dims], vec![0_usize; count]);
        for (point, at) in self.points.chunks_exact(dims).zip(&self.nearest) {
            let at = *at as usize;
            members[at] += 1;
            sums[at * dims..(at + 1) * dims]
                .iter_mut()
                .zip(point)
                .for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let mut means = Vec::with_capacity(sums.len());
        for (sums, members) in sums.chunks_exact(dims).zip(members) {
            match members {
                0 => {
                    let drawn = below(&mut self.state, self.nearest.len());
                    means.extend_from_slice(&self.points[drawn * dims..(drawn + 1) * dims]);
                }
                _ => means.extend(sums.iter().map(|sum| (sum / members as f64) as f32)),
            }
        }
        means
    }

    /// The centroids as they stand.
    #[must_use]
    pub fn into_centroids(self) -> Centroids {
        self.centroids
    }
}

fn starts(points: &[f32], dims: usize, count: usize, state: &mut u64) -> Vec<f32> {
    let total = points.len() / dims;
    // What scikit-learn tries as well; one alone may leave out a cluster among many.
    let candidates = 2 + (count.max(1) as f64).ln() as usize;
    let mut starts = Vec::with_capacity(count.min(total) * dims);
    let mut least = vec![f32::INFINITY; total];
    for _ in 0..count.min(total) {
        let candidates = if starts.is_empty() { 1 } else { candidates };
        let tries = (0..candidates).map(|_| {
            let at = drawn(&least, state);
            let start = &points[at * dims..(at + 1) * dims];
            let mut lowered = least.clone();
            lower(points, start, &mut lowered);
            (lowered.iter().map(|square| f64::from(*square)).sum::<f64>(), start, lowered)
        });
        if let Some((_, start, lowered)) = tries.min_by(|a, b| a.0.total_cmp(&b.0)) {
            starts.extend_from_slice(start);
            least = lowered;
        }
    }
    starts
}

/// The number of a weight, drawn in proportion to it; any when all are 0, or their sum is infinite.
fn drawn(weights: &[f32], state: &mut u64) -> usize {
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    if total <= 0.0 || !total.is_finite() {
        return below(state, weights.len());
    }
    let mut left = (next(state) >> 11) as f64 / (1_u64 << 53) as f64 * total;
    let passes = |(_, weight): &(usize, &f32)| {
        left -= f64::from(**weight);
        left < 0.0
    };
    weights.iter().enumerate().find(passes).map_or(weights.len() - 1, |(at, _)| at)
}

/// A number below `end`, which is not 0.
fn below(state: &mut u64, end: usize) -> usize {
    (next(state) % end as u64) as usize
}

widened! {
    /// Lowers squares of distances to those from `centre`.
    fn lower(points: &[f32], centre: &[f32], squares: &mut [f32]) {
        for (point, square) in points.chunks_exact(centre.len()).zip(squares) {
            let (lanes, rest) = point.as_chunks::<LANES>();
            let (centre_lanes, centre_rest) = centre.as_chunks::<LANES>();
            let mut sums = [0.0_f32; LANES];
            for (values, centre) in lanes.iter().zip(centre_lanes) {
                for lane in 0..LANES {
                    sums[lane] += (values[lane] - centre[lane]) * (values[lane] - centre[lane]);
                }
            }
            let rest = rest.iter().zip(centre_rest).map(|(value, centre)| (value - centre) * (value - centre));
            *square = square.min(sums.iter().sum::<f32>() + rest.sum::<f32>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// Points around ten centres that lie apart, centre by turns.
    fn blobs(seed: u64, dims: usize, count: usize) -> Vec<f32> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let centres: Vec<f32> = (0..10 * dims).map(|_| rng.random_range(-9.0..9.0)).collect();
        let at = |place: usize| centres[place / dims % 10 * dims + place % dims];
        (0..count * dims).map(|place| at(place) + rng.random_range(-0.1..0.1)).collect()
    }

    #[test]
    fn clusters_that_lie_apart_are_found_whatever_the_seed() {
        for (seed, dims) in (0..20).zip([3, 16, 24, 33].into_iter().cycle()) {
            let points = blobs(seed, dims, 300);
            let mut clustering = Clustering::start(points.clone(), dims, 10, seed);
            let rounds = (0..20).take_while(|_| clustering.round()).count();
            assert!(rounds < 20, "it comes to rest");
            let mut nearest = vec![0; 300];
            clustering.into_centroids().nearest(&points, &mut nearest);
            let different: std::collections::HashSet<_> = nearest[..10].iter().collect();
            assert_eq!(different.len(), 10, "seed {seed}");
            assert!((10..300).all(|at| nearest[at] == nearest[at - 10]), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_says_everything() {
        let points = blobs(1, 8, 200);
        let found = |seed| {
            let mut clustering = Clustering::start(points.clone(), 8, 7, seed);
            while clustering.round() {}
            let centroids = clustering.into_centroids();
            (0..7).flat_map(|at| centroids.centroid(at)).collect::<Vec<_>>()
        };
        assert_eq!(found(3), found(3));
        assert_ne!(found(3), found(4));
    }

    #[test]
    fn few_points_and_equal_points() {
        assert!(Clustering::start(vec![], 4, 5, 1).into_centroids().is_empty());
        let mut one = Clustering::start(vec![1.0, 2.0], 2, 5, 3);
        assert!(one.round() && !one.round());
        assert_eq!(one.into_centroids().centroid(0), [1.0, 2.0]);
        let mut same = Clustering::start([1.0_f32, -1.0].repeat(40), 2, 7, 3);
        while same.round() {}
        assert!((0..7).all(|at| same.centroids.centroid(at) == [1.0, -1.0]));
    }
}
