//! How many rows walks through a graph must hold, measured with rows of the file as queries.

use super::super::codes::VectorCodes;
use super::super::lists::{METRICS, RANKS, REACHES, SHARES, share};
use super::super::query::{CodedQuery, Comparison};
use super::reach::{Sample, are_alike, nearest, samples};
use super::vectors::Vectors;
use crate::format::table::IndexMetric;
use trilith_udfs::kernels::Metric;

/// Queries of each kind.
const QUERIES: usize = 64;
/// Rows that walks hold.
const BEAMS: [usize; 14] = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048];

/// For each metric, rank and share of neighbours missed, the least number of rows that suffices; 0 where none does.
pub(super) fn measured(codes: &VectorCodes, vectors: &Vectors<'_>, metric: IndexMetric) -> Vec<u32> {
    let kinds = samples(codes, vectors, QUERIES);
    let of_metric = |metric: Metric| -> Vec<u32> {
        let [alike, centred] = kinds.each_ref().map(|samples| of_samples(codes, metric, samples));
        let worse = |(a, b): (u32, u32)| if a == 0 || b == 0 { 0 } else { a.max(b) };
        alike.into_iter().zip(centred).map(worse).collect()
    };
    if are_alike(&codes.signs.norms[..codes.uncoded().start]) {
        return of_metric(Metric::Cosine).repeat(METRICS.len());
    }
    let served = if metric == IndexMetric::L2 { Metric::L2 } else { Metric::Cosine };
    let nothing = || vec![0; REACHES / METRICS.len()];
    METRICS
        .into_iter()
        .flat_map(|metric| if metric == served { of_metric(metric) } else { nothing() })
        .collect()
}

/// For each rank and share.
fn of_samples(codes: &VectorCodes, metric: Metric, samples: &[Sample]) -> Vec<u32> {
    let queries: Vec<(CodedQuery, &Sample)> = samples
        .iter()
        .filter_map(|sample| Some((CodedQuery::new(metric, &sample.vector)?, sample)))
        .collect();
    let wanted: Vec<Vec<usize>> =
        queries.iter().map(|(query, sample)| truth(&query.beside(codes), sample)).collect();
    let mut beams = vec![0; RANKS.len() * SHARES];
    for beam in BEAMS {
        let found: Vec<Vec<usize>> =
            queries.iter().map(|(query, _)| query.beside(codes).walk(beam)).collect();
        for (of_rank, rank) in RANKS.into_iter().enumerate().filter(|(_, rank)| *rank <= beam) {
            let missed = missed(&wanted, &found, rank);
            for at in (0..SHARES).filter(|at| missed <= share(*at)) {
                let place = &mut beams[of_rank * SHARES + at];
                *place = if *place == 0 { beam as u32 } else { *place };
            }
        }
        if beams.iter().all(|beam| *beam > 0) {
            break;
        }
    }
    beams
}

/// The nearest rows, nearest first, but those that the sample was made of.
fn truth(query: &Comparison<'_>, sample: &Sample) -> Vec<usize> {
    nearest(query, sample.made_of).into_iter().map(|position| query.codes.row(position)).collect()
}

/// The share of the nearest rows, up to a rank, that were not found.
fn missed(wanted: &[Vec<usize>], found: &[Vec<usize>], rank: usize) -> f64 {
    let (mut all, mut missing) = (0, 0);
    for (wanted, found) in wanted.iter().zip(found) {
        let mut found = found.clone();
        found.sort_unstable();
        let wanted = &wanted[..rank.min(wanted.len())];
        all += wanted.len();
        missing += wanted.iter().filter(|row| found.binary_search(row).is_err()).count();
    }
    missing as f64 / f64::from(all.max(1) as u32)
}
