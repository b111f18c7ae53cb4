//! The vectors of one query against rows that are lists of vectors: what a search by late interaction is made of.

use super::matrices::Matrices;
use super::rows::VectorRows;
use super::shape;
use crate::kernels::{MaxSim, Metric};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use std::ops::Range;

/// The vectors of a query, and how they are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxSimQuery {
    function: String,
    vectors: MaxSim,
    len: usize,
}

impl MaxSimQuery {
    /// The query that a list of vectors is to `function`; `None` when it is null, or has no vector that is not.
    ///
    /// # Errors
    /// If it is no list of vectors, they are of several lengths or of none, or there is no such similarity.
    pub fn new(function: &str, metric: Metric, query: &ScalarValue) -> Result<Option<Self>> {
        if query.is_null() {
            return Ok(None);
        }
        Self::of_row(function, metric, &Matrices::new(function, &query.to_array()?)?, 0)
    }

    /// The same of a row of a column.
    pub(super) fn of_row(
        function: &str,
        metric: Metric,
        rows: &Matrices,
        row: usize,
    ) -> Result<Option<Self>> {
        let vectors: Vec<usize> = rows.runs(row).into_iter().flatten().collect();
        let Some(first) = vectors.first() else { return Ok(None) };
        let dim = rows.vectors.span(*first).len();
        let mut components = Vec::with_capacity(vectors.len() * dim);
        for vector in &vectors {
            check_length(function, rows.vectors.span(*vector).len(), dim)?;
            components.extend(rows.vectors.numbers(*vector)?);
        }
        match (MaxSim::new(metric, dim, &components), dim) {
            (Some(query), _) => {
                Ok(Some(Self { function: function.to_owned(), vectors: query, len: vectors.len() }))
            }
            (None, 0) => exec_err!("{function}: a vector of the query is empty"),
            (None, _) => {
                plan_err!("{function}: the metric must be 'cosine' or 'inner_product', not '{metric}'")
            }
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no vector: never.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Refuses a column whose type says that its vectors have another length.
    ///
    /// # Errors
    /// With both lengths.
    pub fn check_fits(&self, column: &DataType) -> Result<()> {
        match shape::multivector_length(column) {
            Some(length) => check_length(&self.function, length, self.vectors.dim()),
            None => Ok(()),
        }
    }

    /// The score of a row; `None` when it is null, or has no vector that is not. `scales` is memory to work in.
    ///
    /// # Errors
    /// If one of its vectors has another length than the query's.
    pub fn score(&self, rows: &Matrices, row: usize, scales: &mut Vec<f32>) -> Result<Option<f64>> {
        let runs = rows.runs(row);
        for vector in runs.iter().cloned().flatten() {
            check_length(&self.function, rows.vectors.span(vector).len(), self.vectors.dim())?;
            if rows.vectors.fixed_length().is_some() {
                break;
            }
        }
        if runs.is_empty() {
            return Ok(None);
        }
        let components = rows.vectors.components();
        Ok(Some(match components.data_type() {
            DataType::Float64 => {
                let values = components.as_primitive::<Float64Type>().values();
                self.vectors.score_exactly(&slices(&rows.vectors, values, &runs))
            }
            _ => {
                let values = components.as_primitive::<Float32Type>().values();
                self.vectors.score(&slices(&rows.vectors, values, &runs), scales)
            }
        }))
    }
}

fn check_length(function: &str, left: usize, right: usize) -> Result<()> {
    match left == right {
        true => Ok(()),
        false => exec_err!("{}", shape::length_mismatch(function, left, right)),
    }
}

/// The components of runs of vectors.
fn slices<'a, T>(vectors: &VectorRows, values: &'a [T], runs: &[Range<usize>]) -> Vec<&'a [T]> {
    let slice = |run: &Range<usize>| &values[vectors.span(run.start).start..vectors.span(run.end - 1).end];
    runs.iter().map(slice).collect()
}
