//! k-means: points gathered around centroids, by Lloyd's algorithm (1957, IEEE Trans. Inf. Theory 1982).
//!
//! Centroids lie component by component, [`WIDTH`] side by side, so that one component of a point meets as many of them
//! in one instruction as a vector holds. Operations are not fused, so every processor finds the same centroids.

use super::dispatch::widened;
use super::rotation::next;

/// Centroids that lie side by side.
const WIDTH: usize = 16;
/// Points that are compared with them at once.
const POINTS: usize = 4;

/// Centroids of points of one length.
#[derive(Debug, Clone)]
pub struct Centroids {
    dims: usize,
    count: usize,
    /// For each [`WIDTH`] of them and each component, theirs.
    blocks: Vec<[f32; WIDTH]>,
    /// Half the square of the length of each; infinite for those that only fill a block.
    halves: Vec<[f32; WIDTH]>,
}

impl Centroids {
    /// Centroids that are given, one after the other.
    #[must_use]
    pub fn new(values: &[f32], dims: usize) -> Self {
        let dims = dims.max(1);
        let count = values.len() / dims;
        let mut blocks = vec![[0.0; WIDTH]; count.div_ceil(WIDTH) * dims];
        let mut halves = vec![[f32::INFINITY; WIDTH]; count.div_ceil(WIDTH)];
        for (at, centroid) in values.chunks_exact(dims).enumerate() {
            let (block, lane) = (at / WIDTH, at % WIDTH);
            for (slot, value) in blocks[block * dims..].iter_mut().zip(centroid) {
                slot[lane] = *value;
            }
            halves[block][lane] = centroid.iter().map(|value| value * value).sum::<f32>() / 2.0;
        }
        Self { dims, count, blocks, halves }
    }

    /// `count` centroids of `points`, which lie one after the other, or as many as there are points. They start as points that
    /// `seed` draws and move `rounds` times; one that no point is nearest to starts again at a point of the fullest.
    #[must_use]
    pub fn train(points: &[f32], dims: usize, count: usize, rounds: usize, seed: u64) -> Self {
        let dims = dims.max(1);
        let mut state = seed;
        let mut centroids = Self::new(&drawn(points, dims, count, &mut state), dims);
        let mut nearest = vec![0; points.len() / dims];
        for _ in (0..rounds).take_while(|_| count > 0 && !points.is_empty()) {
            centroids.nearest(points, &mut nearest);
            let moved = means(points, dims, centroids.count, &nearest, &mut state);
            centroids = Self::new(&moved, dims);
        }
        centroids
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Components of each.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The values of one.
    #[must_use]
    pub fn centroid(&self, at: usize) -> Vec<f32> {
        let (block, lane) = (at / WIDTH, at % WIDTH);
        self.blocks[block * self.dims..(block + 1) * self.dims].iter().map(|values| values[lane]).collect()
    }

    /// Writes the number of the centroid nearest to each point (Euclidean; the lowest of equals). A point with a NaN gets 0.
    pub fn nearest(&self, points: &[f32], out: &mut [u32]) {
        nearest_of(self, points, out);
    }

    /// Of each point, for each centroid a number that is the greater the nearer that is.
    #[must_use]
    pub fn scores(&self, points: &[f32]) -> Vec<f32> {
        let mut scores = vec![0.0; points.len() / self.dims * self.count];
        if self.count > 0 {
            scores_of(self, points, &mut scores);
        }
        scores
    }
}

widened! {
    fn scores_of(centroids: &Centroids, points: &[f32], out: &mut [f32]) {
        let (dims, count) = (centroids.dims, centroids.count);
        let mut packed = vec![[0.0; POINTS]; dims];
        for (points, out) in points.chunks(POINTS * dims).zip(out.chunks_mut(POINTS * count)) {
            for (slot, point) in points.chunks_exact(dims).enumerate() {
                packed.iter_mut().zip(point).for_each(|(values, value)| values[slot] = *value);
            }
            let blocks = centroids.blocks.chunks_exact(dims).zip(&centroids.halves);
            for (block, (components, halves)) in blocks.enumerate() {
                let products = products(components, &packed);
                for (out, products) in out.chunks_exact_mut(count).zip(&products) {
                    let scores = products.iter().zip(halves).map(|(product, half)| product - half);
                    out[block * WIDTH..].iter_mut().zip(scores).for_each(|(out, score)| *out = score);
                }
            }
        }
    }
}

widened! {
    fn nearest_of(centroids: &Centroids, points: &[f32], out: &mut [u32]) {
        let dims = centroids.dims;
        // Component by component too, so that the loops know all lengths.
        let mut packed = vec![[0.0; POINTS]; dims];
        for (points, out) in points.chunks(POINTS * dims).zip(out.chunks_mut(POINTS)) {
            for (slot, point) in points.chunks_exact(dims).enumerate() {
                packed.iter_mut().zip(point).for_each(|(values, value)| values[slot] = *value);
            }
            let mut nearest = [(f32::NEG_INFINITY, 0); POINTS];
            let blocks = centroids.blocks.chunks_exact(dims).zip(&centroids.halves);
            for (block, (components, halves)) in blocks.enumerate() {
                let products = products(components, &packed);
                for (nearest, products) in nearest.iter_mut().zip(&products) {
                    nearest_in(products, halves, block, nearest);
                }
            }
            out.iter_mut().zip(&nearest).for_each(|(out, (_, at))| *out = *at);
        }
    }
}

/// Inner products of points with the centroids of a block.
#[inline(always)]
fn products(components: &[[f32; WIDTH]], points: &[[f32; POINTS]]) -> [[f32; WIDTH]; POINTS] {
    let mut sums = [[0.0_f32; WIDTH]; POINTS];
    for (lanes, values) in components.iter().zip(points) {
        for point in 0..POINTS {
            for lane in 0..WIDTH {
                sums[point][lane] += values[point] * lanes[lane];
            }
        }
    }
    sums
}

/// The greatest of inner product less half a square is the least distance.
#[inline(always)]
fn nearest_in(products: &[f32; WIDTH], halves: &[f32; WIDTH], block: usize, nearest: &mut (f32, u32)) {
    let mut near = [0.0; WIDTH];
    for lane in 0..WIDTH {
        near[lane] = products[lane] - halves[lane];
    }
    let best = near.iter().fold(f32::NEG_INFINITY, |best, near| if *near > best { *near } else { best });
    if best > nearest.0
        && let Some(lane) = near.iter().position(|near| *near == best)
    {
        *nearest = (best, (block * WIDTH + lane) as u32);
    }
}

/// Different points, as far as the draw finds such.
fn drawn(points: &[f32], dims: usize, count: usize, state: &mut u64) -> Vec<f32> {
    let total = points.len() / dims;
    let mut order: Vec<usize> = (0..total).collect();
    let mut values = Vec::with_capacity(count.min(total) * dims);
    for at in 0..count.min(total) {
        order.swap(at, at + below(state, total - at));
        values.extend_from_slice(&points[order[at] * dims..(order[at] + 1) * dims]);
    }
    values
}

/// The means of the points that are nearest to each; for one without, a point that is nearest to the fullest.
fn means(points: &[f32], dims: usize, count: usize, nearest: &[u32], state: &mut u64) -> Vec<f32> {
    let mut sums = vec![0.0_f32; count * dims];
    let mut members = vec![0_usize; count];
    for (point, at) in points.chunks_exact(dims).zip(nearest) {
        let at = *at as usize;
        members[at] += 1;
        sums[at * dims..(at + 1) * dims].iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
    }
    let fullest = (0..count).max_by_key(|at| members[*at]).unwrap_or(0);
    for (mean, members) in sums.chunks_exact_mut(dims).zip(&members) {
        if *members > 0 {
            mean.iter_mut().for_each(|sum| *sum /= *members as f32);
        } else if let Some(start) = member(nearest, fullest, members_of(nearest, fullest), state) {
            mean.copy_from_slice(&points[start * dims..(start + 1) * dims]);
        }
    }
    sums
}

fn members_of(nearest: &[u32], centroid: usize) -> usize {
    nearest.iter().filter(|at| **at as usize == centroid).count()
}

/// One of the points nearest to a centroid.
fn member(nearest: &[u32], centroid: usize, members: usize, state: &mut u64) -> Option<usize> {
    let wanted = below(state, members.max(1));
    let mut of_centroid = nearest.iter().enumerate().filter(|(_, at)| **at as usize == centroid);
    of_centroid.nth(wanted).map(|(point, _)| point)
}

/// A number below `end`, which is not 0.
fn below(state: &mut u64, end: usize) -> usize {
    (next(state) % end as u64) as usize
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

    fn squared(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    #[test]
    fn the_nearest_is_the_nearest() {
        for (dims, count, points) in [(1, 1, 3), (7, 31, 50), (16, 32, 1), (33, 70, 101), (128, 224, 64)] {
            let values = random(1, count * dims);
            let centroids = Centroids::new(&values, dims);
            let points = random(2, points * dims);
            let mut found = vec![0; points.len() / dims];
            centroids.nearest(&points, &mut found);
            for (point, found) in points.chunks(dims).zip(&found) {
                let distance = |at: usize| squared(point, &values[at * dims..(at + 1) * dims]);
                let least = (0..count).map(distance).fold(f64::INFINITY, f64::min);
                assert!(distance(*found as usize) <= least + 1e-5, "{dims} {count}");
            }
            assert_eq!(centroids.centroid(count - 1), values[(count - 1) * dims..]);
        }
    }

    #[test]
    fn clusters_are_found_again() {
        let dims = 24;
        let centres = random(3, 10 * dims);
        let noise = random(4, 500 * dims);
        let points: Vec<f32> = noise
            .chunks(dims)
            .enumerate()
            .flat_map(|(at, noise)| {
                let centre = &centres[at % 10 * dims..][..dims];
                noise.iter().zip(centre).map(|(noise, centre)| centre * 5.0 + noise * 0.1).collect::<Vec<_>>()
            })
            .collect();
        let spread = |rounds| {
            let centroids = Centroids::train(&points, dims, 20, rounds, 9);
            let mut nearest = vec![0; 500];
            centroids.nearest(&points, &mut nearest);
            let far = points.chunks(dims).zip(&nearest);
            far.map(|(point, at)| squared(point, &centroids.centroid(*at as usize))).sum::<f64>()
        };
        assert!(spread(10) <= spread(1), "{} {}", spread(10), spread(1));
        assert!(spread(10) < 500.0 * 24.0 * 0.01, "{}", spread(10));
    }

    #[test]
    fn few_points_equal_points_and_none() {
        assert!(Centroids::train(&[], 4, 5, 3, 1).is_empty());
        assert_eq!(Centroids::train(&[1.0, 2.0], 2, 5, 3, 1).centroid(0), [1.0, 2.0]);
        let same = [1.0_f32, -1.0].repeat(40);
        let centroids = Centroids::train(&same, 2, 7, 3, 1);
        assert_eq!((centroids.len(), centroids.dims()), (7, 2));
        assert!((0..7).all(|at| centroids.centroid(at) == [1.0, -1.0]));
        let mut nearest = [9; 1];
        centroids.nearest(&[f32::NAN, 1.0], &mut nearest);
        assert_eq!(nearest, [0]);
    }
}
