//! How far searches must go into the lists, measured with rows of the file as queries.

use trilith_udfs::kernels::{Metric, Side, within};

use super::super::codes::VectorCodes;
use super::super::lists::{METRICS, RANKS, REACHES, SHARES, share};
use super::super::query::{CodedQuery, Comparison};
use super::vectors::Vectors;

/// Queries of each kind.
const QUERIES: usize = 96;
/// Norms that differ by no more order rows alike by every metric.
const SAME_NORM: f32 = 1.001;

/// What stands for a query, and the rows that it is made of.
pub(super) struct Sample {
    pub vector: Vec<f32>,
    pub made_of: [usize; 2],
}

/// For each metric, rank and share of neighbours missed, by how much farther lists may be than the nearest one.
///
/// Queries may be like rows, or less scattered than they, as short texts are: what is needed for either is the greater of both.
pub(super) fn measured(codes: &VectorCodes, vectors: &Vectors<'_>) -> Vec<f32> {
    if codes.lists.squares.len() == 1 {
        return vec![0.0; REACHES];
    }
    let [alike, centred] = samples(codes, vectors, QUERIES);
    let of_metric = |metric: Metric| -> Vec<f32> {
        let (alike, centred) = (of_samples(codes, metric, &alike), of_samples(codes, metric, &centred));
        alike.into_iter().zip(centred).map(|(alike, centred)| alike.max(centred)).collect()
    };
    if are_alike(&codes.signs.norms[..codes.uncoded().start]) {
        return of_metric(Metric::Cosine).repeat(METRICS.len());
    }
    METRICS.into_iter().flat_map(of_metric).collect()
}

/// About `count` queries that are rows, and as many that lie between two.
pub(super) fn samples(codes: &VectorCodes, vectors: &Vectors<'_>, count: usize) -> [Vec<Sample>; 2] {
    let rows: Vec<usize> = vectors.sample(count).collect();
    let alike = rows.iter().filter_map(|row| between(vectors, [*row, *row])).collect();
    let centred = neighbours(codes, &rows).into_iter().filter_map(|rows| between(vectors, rows)).collect();
    [alike, centred]
}

/// Each row with another of its list.
fn neighbours(codes: &VectorCodes, rows: &[usize]) -> Vec<[usize; 2]> {
    let stride = codes.uncoded().start / rows.len().max(1);
    let pair = |at: usize| {
        let list = codes.list_of(at);
        let other = if at + 1 < codes.list(list).end { at + 1 } else { codes.list(list).start };
        [codes.row(at), codes.row(other)]
    };
    (0..rows.len()).map(|at| pair(at * stride)).collect()
}

/// The vector between two rows.
fn between(vectors: &Vectors<'_>, rows: [usize; 2]) -> Option<Sample> {
    let (first, norm) = vectors.get(rows[0])?;
    let (second, other) = vectors.get(rows[1])?;
    let middle = |(first, second): (&f32, &f32)| (first + second * (norm / other)) / 2.0;
    let vector = first.iter().zip(&*second).map(middle).collect();
    Some(Sample { vector, made_of: rows })
}

/// For each rank and share.
fn of_samples(codes: &VectorCodes, metric: Metric, samples: &[Sample]) -> Vec<f32> {
    let mut gaps = vec![vec![]; RANKS.len()];
    for sample in samples {
        if let Some(query) = CodedQuery::new(metric, &sample.vector) {
            add_gaps(&query.beside(codes), sample.made_of, &mut gaps);
        }
    }
    gaps.into_iter().flat_map(quantiles).collect()
}

/// True when all metrics order the rows alike.
pub(super) fn are_alike(norms: &[f32]) -> bool {
    let least = norms.iter().copied().fold(f32::INFINITY, f32::min);
    norms.iter().all(|norm| *norm <= least * SAME_NORM)
}

/// Adds how far the lists of the nearest rows are, up to each rank.
fn add_gaps(query: &Comparison<'_>, own: [usize; 2], gaps: &mut [Vec<f32>]) {
    let codes = query.codes;
    let mut of_list = vec![0.0; codes.lists.squares.len()];
    query.lists().iter().for_each(|near| of_list[near.list] = near.gap);
    let nearest = nearest(query, own);
    for (gaps, rank) in gaps.iter_mut().zip(RANKS) {
        gaps.extend(nearest.iter().take(rank).map(|position| of_list[codes.list_of(*position)]));
    }
}

/// Positions of the nearest rows but `own`, nearest first: as signs tell, and ordered as bytes do.
pub(super) fn nearest(query: &Comparison<'_>, own: [usize; 2]) -> Vec<usize> {
    let codes = query.codes;
    let coded = 0..codes.uncoded().start;
    let keys = query.bounds_by_signs(coded, Side::Lower);
    let wanted = RANKS[RANKS.len() - 1].min(keys.len().saturating_sub(1));
    let most = match keys.clone().as_mut_slice() {
        [] => return vec![],
        keys => *keys.select_nth_unstable_by(wanted, f32::total_cmp).1,
    };
    let key = |position| query.bounds_of_row(codes.row(position)).0;
    let mut positions: Vec<(f32, usize)> =
        within(&keys, most).into_iter().map(|position| (key(position), position)).collect();
    positions.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    positions
        .into_iter()
        .map(|(_, position)| position)
        .filter(|position| !own.contains(&codes.row(*position)))
        .collect()
}

/// Of gaps, those that the share of each reach is beyond.
fn quantiles(mut gaps: Vec<f32>) -> Vec<f32> {
    gaps.sort_unstable_by(f32::total_cmp);
    let of_share = |at| {
        let beyond = (share(at) * gaps.len() as f64) as usize;
        gaps.len().checked_sub(beyond + 1).map_or(f32::INFINITY, |at| gaps[at])
    };
    (0..SHARES).map(of_share).collect()
}
