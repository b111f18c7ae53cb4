//! Late interaction (Khattab and Zaharia, ColBERT, SIGIR 2020): for each vector of a query the greatest similarity with a
//! vector of a document, and the sum of those.
//!
//! A query is laid out so that each lane is one of its vectors: a component of a row is spread over a register and meets all of
//! them, so nothing is summed across lanes. Four rows share each load of the query. Sums are taken in `f32`, and again from the
//! definition in `f64` where one is not finite, so that only input that is itself not finite gives a result that is not.

use super::{Element, InstructionSet, Metric, dot, instruction_set, normalize, reference};

/// Rows that share a load of the query.
pub(super) const ROWS: usize = 4;
/// The widest of [`Kernel::width`].
const WIDTH_MAX: usize = 32;

/// Raises the greatest similarities that a block of vectors has to rows, given with a scale for each.
type Raise = unsafe fn(&[f32], &[f32], &[f32], &mut [f32], &mut [f32]);

/// The loop of one instruction set.
///
/// # Safety
/// It may be called only on a processor that has the instruction set.
pub(super) struct Kernel {
    /// Vectors of a query that are compared at once.
    pub width: usize,
    /// Raises the greatest similarity of each of `width` vectors to that with rows, each similarity times the row's scale, and
    /// adds nothing to `spoiled`, or NaN where one is not finite.
    pub raise: Raise,
}

/// The loop of `set`, or of the best set that the processor has.
fn kernel(set: InstructionSet) -> &'static Kernel {
    match set.min(instruction_set()) {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => &super::avx512::max_sim::KERNEL,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => &super::avx2::max_sim::KERNEL,
        _ => &super::portable::max_sim::KERNEL,
    }
}

/// Expands to a module with a `KERNEL`. The surrounding module provides `Lane`, `LANES`, `zero`, `multiply_add`, `load`, `store`
/// and `fetch`.
macro_rules! max_sim_kernel {
    ($(#[$feature:meta])*) => {
        pub(in crate::kernels) mod max_sim {
            use super::*;
            use crate::kernels::lanes::AHEAD;
            use crate::kernels::max_sim::{Kernel, ROWS};

            pub(in crate::kernels) static KERNEL: Kernel = Kernel { width: 2 * LANES, raise };

            $(#[$feature])*
            fn raise(block: &[f32], rows: &[f32], scales: &[f32], best: &mut [f32], spoiled: &mut [f32]) {
                let (block, _) = block.as_chunks::<{ 2 * LANES }>();
                let dim = block.len();
                for (group, scales) in rows.chunks(ROWS * dim).zip(scales.chunks(ROWS)) {
                    // A group that is not full has its last row more than once.
                    let last = scales.len() - 1;
                    let row = |at: usize| &group[at.min(last) * dim..][..dim];
                    for line in (0..size_of_val(group)).step_by(64) {
                        fetch(group.as_ptr().wrapping_byte_add(AHEAD + line).cast());
                    }
                    let mut sums = [[zero(); 2]; ROWS];
                    let components = block.iter().zip(row(0)).zip(row(1)).zip(row(2)).zip(row(3));
                    for ((((queries, a), b), c), d) in components {
                        let ([first, second], _) = queries.as_chunks::<LANES>() else { continue };
                        let (first, second) = (load(first), load(second));
                        for (sum, component) in sums.iter_mut().zip([a, b, c, d]) {
                            let component = load(&[*component; LANES]);
                            sum[0] = multiply_add(component, first, sum[0]);
                            sum[1] = multiply_add(component, second, sum[1]);
                        }
                    }
                    for (at, sum) in sums.iter().enumerate() {
                        let scale = scales[at.min(last)];
                        let halves = best.chunks_exact_mut(LANES).zip(spoiled.chunks_exact_mut(LANES));
                        for ((best, spoiled), sum) in halves.zip(sum) {
                            for ((best, spoiled), sum) in best.iter_mut().zip(spoiled).zip(store(*sum)) {
                                let similarity = sum * scale;
                                *best = best.max(similarity);
                                *spoiled += similarity * 0.0;
                            }
                        }
                    }
                }
            }
        }
    };
}

pub(super) use max_sim_kernel;

/// The vectors of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxSim {
    by_cosine: bool,
    dim: usize,
    set: InstructionSet,
    /// One after the other.
    queries: Vec<f64>,
    /// So many at a time as a kernel takes, component by component; of length one for the cosine.
    blocks: Vec<f32>,
}

impl MaxSim {
    /// A query of vectors of `dim` components, one after the other; `None` for a metric other than the cosine and the inner
    /// product, and for vectors without components.
    pub fn new(metric: Metric, dim: usize, queries: &[f64]) -> Option<Self> {
        Self::on(instruction_set(), metric, dim, queries)
    }

    fn on(set: InstructionSet, metric: Metric, dim: usize, queries: &[f64]) -> Option<Self> {
        let by_cosine = match metric {
            Metric::Cosine => true,
            Metric::InnerProduct => false,
            _ => return None,
        };
        if dim == 0 {
            return None;
        }
        let width = kernel(set).width;
        let mut blocks = Vec::new();
        for vectors in queries.chunks(width * dim) {
            let block = blocks.len();
            blocks.resize(block + width * dim, 0.0);
            for (lane, vector) in vectors.chunks_exact(dim).enumerate() {
                let unit: Vec<f64> = if by_cosine { normalize(vector).collect() } else { vector.to_vec() };
                for (component, value) in unit.into_iter().enumerate() {
                    blocks[block + component * width + lane] = value as f32;
                }
            }
        }
        Some(Self { by_cosine, dim, set, queries: queries.to_vec(), blocks })
    }

    /// Components of each vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The score of the vectors in `runs`, of which there is one at least. `scales` is memory to work in.
    pub fn score(&self, runs: &[&[f32]], scales: &mut Vec<f32>) -> f64 {
        let kernel = kernel(self.set);
        let mut total = 0.0;
        let mut left = self.queries.len() / self.dim;
        for block in self.blocks.chunks_exact(kernel.width * self.dim) {
            let (mut best, mut spoiled) = ([f32::NEG_INFINITY; WIDTH_MAX], [0.0_f32; WIDTH_MAX]);
            for run in runs {
                self.scale(run, scales);
                let (best, spoiled) = (&mut best[..kernel.width], &mut spoiled[..kernel.width]);
                // SAFETY: the kernel is of an instruction set that this processor has.
                unsafe { (kernel.raise)(block, run, scales, best, spoiled) };
            }
            let count = left.min(kernel.width);
            left -= count;
            if spoiled[..count].iter().any(|sum| sum.is_nan()) {
                return self.score_exactly(runs);
            }
            total += best[..count].iter().map(|best| self.bounded(f64::from(*best))).sum::<f64>();
        }
        total
    }

    /// The score by the definition in `f64`.
    pub fn score_exactly<T: Element>(&self, runs: &[&[T]]) -> f64 {
        let greatest = |query: &[f64]| {
            let rows = runs.iter().flat_map(|run| run.chunks_exact(self.dim));
            let similarities = rows.map(|row| self.similarity(query, row));
            similarities.fold(f64::NEG_INFINITY, |best, next| match best.is_nan() || next.is_nan() {
                true => f64::NAN,
                false => best.max(next),
            })
        };
        self.queries.chunks_exact(self.dim).map(greatest).sum()
    }

    fn similarity<T: Element>(&self, query: &[f64], row: &[T]) -> f64 {
        let pairs = query.iter().zip(row).map(|(a, b)| (*a, b.to_f64()));
        match self.by_cosine {
            true => 1.0 - reference::distance(Metric::Cosine, pairs),
            false => -reference::distance(Metric::InnerProduct, pairs),
        }
    }

    /// What makes each row as long as its similarity needs; NaN where that is not known in `f32`.
    fn scale(&self, run: &[f32], scales: &mut Vec<f32>) {
        scales.clear();
        let of_row = |row: &[f32]| match self.by_cosine {
            true => Some(dot(row, row))
                .filter(|square| square.is_normal())
                .map_or(f32::NAN, |square| square.sqrt().recip()),
            false => 1.0,
        };
        scales.extend(run.chunks_exact(self.dim).map(of_row));
    }

    /// Rounding leads no cosine outside of its range.
    fn bounded(&self, similarity: f64) -> f64 {
        if self.by_cosine { similarity.clamp(-1.0, 1.0) } else { similarity }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::dispatch::available;
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const METRICS: [Metric; 2] = [Metric::Cosine, Metric::InnerProduct];

    fn random(rng: &mut SmallRng, count: usize) -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-2.0..2.0)).collect()
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().copied().map(f64::from).collect()
    }

    /// The formula, written out once more.
    fn naive(metric: Metric, dim: usize, queries: &[f32], rows: &[f32]) -> f64 {
        let product =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let similarity = |a: &[f32], b: &[f32]| match metric {
            Metric::Cosine => product(a, b) / (product(a, a) * product(b, b)).sqrt(),
            _ => product(a, b),
        };
        let greatest = |query: &[f32]| {
            rows.chunks_exact(dim).map(|row| similarity(query, row)).fold(f64::NEG_INFINITY, f64::max)
        };
        queries.chunks_exact(dim).map(greatest).sum()
    }

    #[test]
    fn every_instruction_set_agrees_with_the_formula() {
        let mut rng = SmallRng::seed_from_u64(3);
        for dim in [1, 2, 7, 16, 96, 128, 129] {
            for (queries_len, rows_len) in [(1, 1), (3, 5), (16, 4), (32, 32), (33, 9), (70, 2)] {
                let (queries, rows) = (random(&mut rng, queries_len * dim), random(&mut rng, rows_len * dim));
                for (metric, set) in METRICS
                    .into_iter()
                    .flat_map(|metric| available().into_iter().map(move |set| (metric, set)))
                {
                    let query = MaxSim::on(set, metric, dim, &wide(&queries)).unwrap();
                    let want = naive(metric, dim, &queries, &rows);
                    let tolerance = 1e-5 * (queries_len * dim) as f64;
                    let (first, rest) = rows.split_at(rows_len / 2 * dim);
                    for runs in [&[&rows[..]][..], &[first, rest]] {
                        let got = query.score(runs, &mut vec![]);
                        assert!(
                            (got - want).abs() < tolerance,
                            "{set:?} {metric} {dim} {queries_len}x{rows_len}: {got}, {want}"
                        );
                        let exact = query.score_exactly(runs);
                        assert!((exact - want).abs() < 1e-9 * (queries_len * dim) as f64, "{exact}, {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_overflows_is_taken_again_and_nan_stays() {
        for set in available() {
            let large = MaxSim::on(set, Metric::InnerProduct, 2, &[1e30, 0.0, 0.0, 1.0]).unwrap();
            assert_eq!(large.score(&[&[1e30, 5.0, 3.0, -1.0]], &mut vec![]), 1e30_f32 as f64 * 1e30 + 5.0);
            let cosine = MaxSim::on(set, Metric::Cosine, 2, &[1e-30, 0.0]).unwrap();
            assert_eq!(cosine.score(&[&[1e-30, 0.0]], &mut vec![]), 1.0);
            assert_eq!(cosine.score(&[&[0.0, 0.0]], &mut vec![]), 0.0);
            assert_eq!(cosine.score(&[&[-3e30, 0.0, 0.0, 0.0]], &mut vec![]), 0.0);
            assert!(cosine.score(&[&[f32::NAN, 0.0, 1.0, 0.0]], &mut vec![]).is_nan());
            assert!(large.score(&[&[1.0, 0.0, 0.0, f32::NAN, 1.0, 1.0]], &mut vec![]).is_nan());
        }
    }

    #[test]
    fn other_metrics_and_empty_vectors_are_none() {
        assert_eq!(MaxSim::new(Metric::L2, 2, &[1.0, 2.0]), None);
        assert_eq!(MaxSim::new(Metric::Cosine, 0, &[]), None);
    }
}
