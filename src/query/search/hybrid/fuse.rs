//! Two rankings into one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use trilith_udfs::kernels::Neighbor;

/// What keeps the first ranks from counting for everything; the value of the paper below.
const RRF_CONSTANT: f64 = 60.0;

/// How a row's places in two rankings become one score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fusion {
    /// Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): each ranking gives `weight / (60 + rank)`,
    /// ranks from 1.
    ReciprocalRank,
    /// Each ranking gives its weight times the score, scaled so that its best row has 1 and its last 0.
    Weighted,
}

impl FromStr for Fusion {
    type Err = DataFusionError;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "rrf" => Ok(Self::ReciprocalRank),
            "weighted" => Ok(Self::Weighted),
            _ => plan_err!("fusion {name:?} is unknown; use 'rrf' or 'weighted'"),
        }
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReciprocalRank => "rrf",
            Self::Weighted => "weighted",
        })
    }
}

/// A row of both rankings or of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fused {
    pub id: u64,
    pub score: f64,
    /// By words; higher is better.
    pub text: Option<f64>,
    pub distance: Option<f64>,
}

/// How the rankings count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub fusion: Fusion,
    pub text: f64,
    pub vector: f64,
}

impl Weights {
    /// The `k` best rows of two rankings, best first; of equal ones the row with the lower number. Distances of `texts` are
    /// negative scores.
    pub(super) fn fuse(self, texts: &[Neighbor], near: &[Neighbor], k: usize) -> Vec<Fused> {
        let mut rows: BTreeMap<u64, Fused> = BTreeMap::new();
        for (row, score) in texts.iter().zip(self.fusion.scores(texts)) {
            let fused = rows.entry(row.id).or_default();
            fused.score += self.text * score;
            fused.text = Some(-row.distance);
        }
        for (row, score) in near.iter().zip(self.fusion.scores(near)) {
            let fused = rows.entry(row.id).or_default();
            fused.score += self.vector * score;
            fused.distance = Some(row.distance);
        }
        let mut fused: Vec<Fused> = rows.into_iter().map(|(id, row)| Fused { id, ..row }).collect();
        fused.sort_by(|a, b| b.score.total_cmp(&a.score));
        fused.truncate(k);
        fused
    }
}

impl Fusion {
    /// What each row of a ranking, best first, is worth.
    fn scores(self, ranking: &[Neighbor]) -> Vec<f64> {
        let (first, last) = match (ranking.first(), ranking.last()) {
            (Some(first), Some(last)) => (first.distance, last.distance),
            _ => return vec![],
        };
        let score = |(at, row): (usize, &Neighbor)| match self {
            Self::ReciprocalRank => 1.0 / (RRF_CONSTANT + (at + 1) as f64),
            Self::Weighted if last > first => (last - row.distance) / (last - first),
            Self::Weighted => 1.0,
        };
        ranking.iter().enumerate().map(score).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ranking(rows: &[(u64, f64)]) -> Vec<Neighbor> {
        rows.iter().map(|(id, distance)| Neighbor { id: *id, distance: *distance }).collect()
    }

    #[test]
    fn a_row_of_both_rankings_beats_the_first_of_one() {
        let (texts, near) = (ranking(&[(1, -9.0), (2, -5.0)]), ranking(&[(3, 0.1), (2, 0.5)]));
        let weights = Weights { fusion: Fusion::ReciprocalRank, text: 1.0, vector: 1.0 };
        let fused = weights.fuse(&texts, &near, 10);
        assert_eq!(fused.iter().map(|row| row.id).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(fused[0].score, 2.0 / 62.0);
        assert_eq!((fused[0].text, fused[0].distance), (Some(5.0), Some(0.5)));
        assert_eq!((fused[1].text, fused[1].distance), (Some(9.0), None));
        assert_eq!(weights.fuse(&texts, &near, 1).len(), 1);
    }

    #[test]
    fn weights_scale_what_a_ranking_gives() {
        let (texts, near) = (ranking(&[(1, -9.0), (2, -5.0), (3, -1.0)]), ranking(&[(3, 0.1), (2, 0.5)]));
        let weights = Weights { fusion: Fusion::Weighted, text: 1.0, vector: 3.0 };
        let fused = weights.fuse(&texts, &near, 10);
        let scores: Vec<(u64, f64)> = fused.iter().map(|row| (row.id, row.score)).collect();
        assert_eq!(scores, [(3, 3.0), (1, 1.0), (2, 0.5)]);
        let only = Weights { text: 0.0, ..weights }.fuse(&[], &ranking(&[(7, 0.3)]), 10);
        assert_eq!(only[0].score, 3.0);
    }

    #[test]
    fn an_unknown_fusion_is_refused() {
        assert!(Fusion::from_str("sum").unwrap_err().to_string().contains("'rrf' or 'weighted'"));
    }
}
