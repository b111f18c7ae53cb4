//! What is known of a scan without reading it.
//!
//! `Exact` is claimed only where the optimizer may answer a query from it: row counts when every
//! live row is read, bounds of integers, dates and decimals when no row of any part is masked. Bounds
//! of text may be cut short and those of floats ignore NaN, so they are estimates.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use trilith_engine::ScanPart;

use super::plan::ScanPlan;

/// Statistics of the whole scan, or of one partition.
pub(super) fn statistics(plan: &ScanPlan, partition: Option<usize>, fetch: Option<usize>) -> Statistics {
    let mut statistics = Statistics::new_unknown(&plan.columns.schema);
    let planned = plan.rows_planned(partition);
    let whole = plan.complete && partition.is_none();
    let rows = if whole { plan.parts.iter().map(|part| part.rows() as usize).sum() } else { planned };
    let capped = fetch.map_or(rows, |fetch| rows.min(fetch));
    statistics.num_rows =
        if whole && fetch.is_none() { Precision::Exact(capped) } else { Precision::Inexact(capped) };
    if whole && fetch.is_none() {
        let exact = plan.parts.iter().all(ScanPart::is_exact);
        for (output, &column) in output_columns(plan).zip(&plan.columns.table) {
            statistics.column_statistics[output] = column_statistics(plan, column, exact);
        }
    }
    statistics
}

/// Where each of the table's columns stands in the output.
fn output_columns(plan: &ScanPlan) -> impl Iterator<Item = usize> + '_ {
    (0..plan.columns.table.len()).map(|at| {
        plan.columns.order.as_ref().map_or(at, |order| order.iter().position(|&i| i == at).unwrap_or(at))
    })
}

fn column_statistics(plan: &ScanPlan, column: usize, exact: bool) -> ColumnStatistics {
    let unknown = ColumnStatistics::new_unknown();
    let schema = plan.view.schema();
    let exact_bounds = exact && has_exact_bounds(schema.field(column).data_type());
    let mut nulls = 0;
    let (mut low, mut high): (Option<ScalarValue>, Option<ScalarValue>) = (None, None);
    let (mut low_known, mut high_known) = (true, true);
    for part in plan.parts.iter().filter(|part| part.num_batches() > 0) {
        let Some(stats) = part.stats(column) else { return unknown };
        nulls += sum(&stats.null_count).unwrap_or(0) as usize;
        let rows: usize = (0..part.num_batches()).map(|i| part.batch_rows(i)).sum();
        let all_null = sum(&stats.null_count).unwrap_or(0) as usize == rows;
        low_known &= all_null || fold(&stats.min, &mut low, |new, old| new < old);
        high_known &= all_null || fold(&stats.max, &mut high, |new, old| new > old);
    }
    let bound = |known: bool, value: Option<ScalarValue>| match value {
        Some(value) if known && exact_bounds => Precision::Exact(value),
        Some(value) if known => Precision::Inexact(value),
        _ => Precision::Absent,
    };
    let null_count = if exact { Precision::Exact(nulls) } else { Precision::Inexact(nulls) };
    ColumnStatistics {
        null_count,
        min_value: bound(low_known, low),
        max_value: bound(high_known, high),
        ..unknown
    }
}

/// Folds the bounds of all batches into one; false when a batch with values does not know its bound.
fn fold(
    bounds: &ArrayRef,
    best: &mut Option<ScalarValue>,
    better: fn(&ScalarValue, &ScalarValue) -> bool,
) -> bool {
    for row in 0..bounds.len() {
        let Ok(value) = ScalarValue::try_from_array(bounds, row) else { return false };
        if value.is_null() {
            return false;
        }
        if best.as_ref().is_none_or(|old| better(&value, old)) {
            *best = Some(value);
        }
    }
    true
}

fn has_exact_bounds(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_temporal() || data_type.is_decimal()
}
