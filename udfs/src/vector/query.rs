//! One query vector against a column: distances of the rows that are asked for, one by one.
//!
//! What a search is made of: nothing is collected and no vector is copied, so a caller can feed a
//! top-k straight from the column's buffer. The distances are those of the function in SQL, before
//! its [`Reading`](super::Reading): lower is closer.

use super::rows::{VectorRows, with_components};
use super::{DistanceFunction, shape};
use crate::kernels::{Element, Metric};
use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};

/// A query vector and the metric it is compared by.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorQuery {
    function: String,
    metric: Metric,
    components: Vec<f64>,
}

impl VectorQuery {
    /// The query that `constant` is to `function`; `None` when it is null.
    ///
    /// # Errors
    /// If the constant is no vector.
    pub fn new(function: &DistanceFunction, constant: &ScalarValue) -> Result<Option<Self>> {
        use datafusion::logical_expr::ScalarUDFImpl as _;
        let rows = VectorRows::new(function.name(), &constant.to_array()?)?;
        if rows.is_null(0) {
            return Ok(None);
        }
        let (function, metric) = (function.name().to_string(), function.metric());
        Ok(Some(Self { function, metric, components: rows.numbers(0)? }))
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The components.
    pub fn components(&self) -> &[f64] {
        &self.components
    }

    /// The number of components.
    pub fn dims(&self) -> usize {
        self.components.len()
    }

    /// Calls `emit(row, distance)` for each selected row of `column`, all when `None`; the distance
    /// of a null vector is `None`.
    ///
    /// # Errors
    /// If the column holds no vectors, or one of another length.
    pub fn scan(
        &self,
        column: &ArrayRef,
        selected: Option<&BooleanBuffer>,
        mut emit: impl FnMut(usize, Option<f64>),
    ) -> Result<()> {
        let rows = VectorRows::new(&self.function, column)?;
        if let Some(length) = rows.fixed_length() {
            self.check_length(length)?;
        }
        let valid = rows.nulls().map(|nulls| nulls.inner().clone());
        if let Some(valid) = &valid {
            let null = !valid;
            let null = selected.map_or_else(|| null.clone(), |selected| selected & &null);
            null.set_indices().for_each(|row| emit(row, None));
        }
        let wanted = match (selected, &valid) {
            (Some(selected), Some(valid)) => Some(selected & valid),
            (Some(only), None) | (None, Some(only)) => Some(only.clone()),
            (None, None) => None,
        };
        let runs = match wanted {
            None => vec![(0, rows.len())],
            Some(wanted) => wanted.set_slices().collect(),
        };
        self.runs(&rows, &runs, emit)
    }

    /// Distances of runs of rows, none of them null.
    fn runs(
        &self,
        rows: &VectorRows,
        runs: &[(usize, usize)],
        mut emit: impl FnMut(usize, Option<f64>),
    ) -> Result<()> {
        if rows.fixed_length().is_none() {
            let mut all = runs.iter().flat_map(|(start, end)| *start..*end);
            all.try_for_each(|row| self.check_length(rows.span(row).len()))?;
        }
        let known = with_components!(rows, |values| self.kernel(values, rows, runs, &mut emit));
        match known {
            true => Ok(()),
            // The query has components that the integers of the column cannot hold.
            false => self.runs(&rows.cast(&DataType::Float64)?, runs, emit),
        }
    }

    /// False when the element type cannot hold the query.
    fn kernel<T: Element>(
        &self,
        values: &[T],
        rows: &VectorRows,
        runs: &[(usize, usize)],
        emit: &mut impl FnMut(usize, Option<f64>),
    ) -> bool {
        let query = self.components.iter().map(|number| T::query(*number)).collect::<Option<Vec<_>>>();
        let Some(query) = query else { return false };
        for (start, end) in runs.iter().filter(|(start, end)| start < end) {
            let values = &values[rows.span(*start).start..rows.span(end - 1).end];
            T::scan(self.metric, &query, values, query.len(), end - start, |index, distance| {
                emit(start + index, Some(distance));
            });
        }
        true
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length == self.dims() {
            return Ok(());
        }
        exec_err!("{}", shape::length_mismatch(&self.function, length, self.dims()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::vector::l2_distance_udf;
    use arrow::array::{Array, FixedSizeListArray, Float32Array, Int8Array, ListArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Field, Float64Type};
    use std::sync::Arc;

    fn l2(query: &[f64]) -> VectorQuery {
        let udf = l2_distance_udf();
        let function = udf.inner().downcast_ref::<DistanceFunction>().unwrap();
        let query =
            ListArray::from_iter_primitive::<Float64Type, _, _>([Some(query.iter().map(|x| Some(*x)))]);
        VectorQuery::new(function, &ScalarValue::List(Arc::new(query))).unwrap().unwrap()
    }

    fn found(
        query: &[f64],
        column: &ArrayRef,
        selected: Option<&BooleanBuffer>,
    ) -> Vec<(usize, Option<f64>)> {
        let mut found = vec![];
        l2(query).scan(column, selected, |row, distance| found.push((row, distance))).unwrap();
        found.sort_by_key(|(row, _)| *row);
        found
    }

    fn column(values: ArrayRef) -> ArrayRef {
        let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let nulls = NullBuffer::from(vec![true, true, false, true]);
        Arc::new(FixedSizeListArray::new(item, 2, values, Some(nulls)))
    }

    #[test]
    fn selection_nulls_and_slices() {
        let values = Float32Array::from(vec![0.0, 0.0, 3.0, 4.0, 9.0, 9.0, 6.0, 8.0]);
        let column = column(Arc::new(values));
        let all = [(0, Some(0.0)), (1, Some(5.0)), (2, None), (3, Some(10.0))];
        assert_eq!(found(&[0.0, 0.0], &column, None), all);
        let some = BooleanBuffer::from(vec![false, true, true, false]);
        assert_eq!(found(&[0.0, 0.0], &column, Some(&some)), all[1..3]);
        let shifted = [(0, Some(5.0)), (1, None), (2, Some(10.0))];
        assert_eq!(found(&[0.0, 0.0], &column.slice(1, 3), None), shifted);
    }

    #[test]
    fn a_query_finer_than_the_integers_is_exact() {
        let column = column(Arc::new(Int8Array::from(vec![0, 0, 1, 0, 0, 0, 2, 0])));
        let want = [(0, Some(0.5)), (1, Some(0.5)), (2, None), (3, Some(1.5))];
        assert_eq!(found(&[0.5, 0.0], &column, None), want);
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(1.0), Some(0.0)]),
            None,
            Some(vec![Some(1.0)]),
        ]);
        let lists: ArrayRef = Arc::new(lists);
        let error = l2(&[0.0, 0.0]).scan(&lists, None, |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("same length, got 1 and 2"), "{error}");
        let some = BooleanBuffer::from(vec![true, true, false]);
        assert_eq!(found(&[0.0, 0.0], &lists, Some(&some)), [(0, Some(1.0)), (1, None)]);
    }
}
