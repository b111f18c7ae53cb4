//! How far searches must go into the lists, measured with rows of the file as queries.

use trilith_udfs::kernels::{Metric, Side, within};

use super::super::codes::VectorCodes;
use super::super::lists::{METRICS, RANKS, REACHES, SHARES, share};
use super::super::query::{CodedQuery, Comparison};
use super::vectors::Vectors;

/// Rows that stand for queries.
const QUERIES: usize = 128;
/// Norms that differ by no more order rows alike by every metric.
const SAME_NORM: f32 = 1.001;

/// For each metric, rank and share of neighbours missed, by how much farther lists may be than the nearest one.
pub(super) fn measured(codes: &VectorCodes, vectors: &Vectors<'_>) -> Vec<f32> {
    if codes.lists.squares.len() == 1 {
        return vec![0.0; REACHES];
    }
    let queries: Vec<usize> = vectors.sample(QUERIES).collect();
    let of_metric = |metric: Metric| -> Vec<f32> {
        let mut gaps = vec![vec![]; RANKS.len()];
        for row in &queries {
            let query = vectors.get(*row).and_then(|(vector, _)| CodedQuery::new(metric, vector));
            query.iter().for_each(|query| add_gaps(&query.beside(codes), *row, &mut gaps));
        }
        gaps.into_iter().flat_map(quantiles).collect()
    };
    if are_alike(&codes.signs.norms[..codes.uncoded().start]) {
        return of_metric(Metric::Cosine).repeat(METRICS.len());
    }
    METRICS.into_iter().flat_map(of_metric).collect()
}

fn are_alike(norms: &[f32]) -> bool {
    let least = norms.iter().copied().fold(f32::INFINITY, f32::min);
    norms.iter().all(|norm| *norm <= least * SAME_NORM)
}

/// Adds how far the lists of the nearest rows are, up to each rank.
fn add_gaps(query: &Comparison<'_>, own: usize, gaps: &mut [Vec<f32>]) {
    let codes = query.codes;
    let mut of_list = vec![0.0; codes.lists.squares.len()];
    query.lists().iter().for_each(|near| of_list[near.list] = near.gap);
    let nearest = nearest(query, own);
    let list = |position: usize| codes.lists.starts.partition_point(|start| *start as usize <= position) - 1;
    for (gaps, rank) in gaps.iter_mut().zip(RANKS) {
        gaps.extend(nearest.iter().take(rank).map(|position| of_list[list(*position)]));
    }
}

/// Positions of the rows nearest to row `own`, nearest first: as its signs tell, and ordered as its bytes do.
fn nearest(query: &Comparison<'_>, own: usize) -> Vec<usize> {
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
        .filter(|position| codes.row(*position) != own)
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
