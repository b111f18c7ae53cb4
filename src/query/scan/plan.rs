//! From a request to a plan: which batches are read, and which partition reads which.
//!
//! Filters known at planning time prune here, once, so that partitions get even shares of what is
//! left. A plan is a value; `exec` carries it out.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use trilith_engine::{ScanPart, TableView};

use super::exec::ScanExec;
use super::key_range::key_range;
use super::lookup::LookupExec;
use super::prune;
use crate::error::external;
use crate::query::settings::measures_recall;

/// Everything DataFusion asks of a scan.
pub(crate) struct Request<'a> {
    /// The table.
    pub view: &'a TableView,
    /// Its columns as offered to the query, with the hidden key last when `row_id` is set.
    pub schema: &'a SchemaRef,
    /// Columns wanted, in order; all when `None`.
    pub projection: Option<&'a [usize]>,
    /// Conjuncts that rows will be filtered by.
    pub filters: &'a [Expr],
    /// Rows that are enough.
    pub limit: Option<usize>,
    /// Whether `schema` ends with the hidden key.
    pub row_id: bool,
}

/// One batch of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(super) part: usize,
    pub(super) batch: usize,
}

/// What is read, and who reads it.
#[derive(Debug)]
pub(crate) struct ScanPlan {
    pub(super) view: TableView,
    pub(super) parts: Vec<ScanPart>,
    /// Units of each partition; at least one partition.
    pub(super) partitions: Vec<Vec<Unit>>,
    /// Batches there were before pruning.
    pub(super) batches_total: usize,
    /// Whether every live row of the table is read.
    pub(super) complete: bool,
    pub(super) columns: Columns,
    /// Whether searches over this measure their recall.
    pub(super) measures_recall: bool,
}

/// The projection, split into the table's own columns and the hidden key.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Columns to decode, as positions in the table.
    pub table: Vec<usize>,
    /// Whether the hidden key is read too; it comes back last.
    pub row_id: bool,
    /// Where each output column is among those that come back; `None` when in order already.
    pub order: Option<Vec<usize>>,
    /// The output.
    pub schema: SchemaRef,
}

/// Plans a scan, or a lookup when the filters pin the whole key.
///
/// # Errors
/// When the table cannot be read or a filter cannot be planned.
pub(crate) fn plan(state: &dyn Session, request: &Request<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let columns = Columns::of(request)?;
    if !columns.row_id
        && let Some(lookup) = LookupExec::try_new(request, &columns)?
    {
        return Ok(Arc::new(lookup));
    }
    let range = key_range(request.view.def(), request.filters);
    let parts = request.view.within(range).parts().map_err(external)?;
    let all = units(&parts);
    let batches_total = all.len();
    let mut kept = pruned(state, request, &parts, all)?;
    if request.filters.is_empty() {
        kept = first_rows(&parts, kept, request.limit);
    }
    let complete = kept.len() == batches_total;
    let partitions = divide(&parts, kept, state.config().target_partitions());
    let (view, measures_recall) = (request.view.clone(), measures_recall(state.config_options()));
    let plan = ScanPlan { view, parts, partitions, batches_total, complete, columns, measures_recall };
    Ok(Arc::new(ScanExec::new(plan, request.limit)))
}

impl ScanPlan {
    /// Counts files, those of which no batch is read, and the rows of the others that are masked out.
    pub(super) fn count_files(&self, metrics: &ExecutionPlanMetricsSet) {
        let mut read = vec![false; self.parts.len()];
        self.partitions.iter().flatten().for_each(|unit| read[unit.part] = true);
        let files = || self.parts.iter().zip(&read).filter(|(part, _)| part.path().is_some());
        let stored = |part: &ScanPart| (0..part.num_batches()).map(|i| part.batch_rows(i)).sum::<usize>();
        let masked = |part: &ScanPart| stored(part).saturating_sub(part.rows() as usize);
        let counts = [
            ("files_total", files().count()),
            ("files_pruned", files().filter(|(_, read)| !**read).count()),
            (
                "rows_masked",
                self.parts.iter().zip(&read).filter(|(_, read)| **read).map(|(part, _)| masked(part)).sum(),
            ),
        ];
        for (name, count) in counts {
            MetricBuilder::new(metrics).global_counter(name).add(count);
        }
    }
}

impl Columns {
    fn of(request: &Request<'_>) -> Result<Self> {
        let width = request.schema.fields().len();
        let hidden = request.row_id.then(|| width - 1);
        let wanted: Vec<usize> = request.projection.map_or_else(|| (0..width).collect(), <[usize]>::to_vec);
        let table: Vec<usize> = wanted.iter().copied().filter(|&i| Some(i) != hidden).collect();
        let row_id = table.len() < wanted.len();
        let mut next = 0;
        let positions: Vec<usize> = wanted
            .iter()
            .map(|&i| {
                if Some(i) == hidden {
                    return table.len();
                }
                next += 1;
                next - 1
            })
            .collect();
        let in_order = positions.iter().enumerate().all(|(at, &position)| at == position);
        let schema = Arc::new(request.schema.project(&wanted)?);
        Ok(Self { table, row_id, order: (!in_order).then_some(positions), schema })
    }
}

fn units(parts: &[ScanPart]) -> Vec<Unit> {
    let of_part = |(part, batches): (usize, &ScanPart)| {
        (0..batches.num_batches()).map(move |batch| Unit { part, batch })
    };
    parts.iter().enumerate().flat_map(of_part).collect()
}

fn pruned(
    state: &dyn Session,
    request: &Request<'_>,
    parts: &[ScanPart],
    all: Vec<Unit>,
) -> Result<Vec<Unit>> {
    let Some(filter) = conjunction(request.filters.iter().cloned()) else { return Ok(all) };
    let df_schema = DFSchema::try_from(request.schema.as_ref().clone())?;
    let physical = state.create_physical_expr(filter, &df_schema)?;
    let Some(predicate) = prune::predicate(&physical, request.schema) else { return Ok(all) };
    let keep: Vec<Vec<bool>> =
        parts.iter().map(|part| prune::keep(&predicate, request.view.def(), part)).collect();
    Ok(all.into_iter().filter(|unit| keep[unit.part][unit.batch]).collect())
}

/// The units that surely hold `limit` rows; all when deletions make that uncertain.
fn first_rows(parts: &[ScanPart], mut units: Vec<Unit>, limit: Option<usize>) -> Vec<Unit> {
    let Some(limit) = limit else { return units };
    let mut rows = 0;
    let enough = units.iter().position(|unit| {
        let part = &parts[unit.part];
        rows += if part.is_exact() { part.batch_rows(unit.batch) } else { 0 };
        rows >= limit
    });
    if let Some(last) = enough {
        units.truncate(last + 1);
    }
    units
}

/// Consecutive runs of about the same number of rows, at most one per partition.
fn divide(parts: &[ScanPart], units: Vec<Unit>, target: usize) -> Vec<Vec<Unit>> {
    let count = target.min(units.len()).max(1);
    let total: usize = units.iter().map(|unit| parts[unit.part].batch_rows(unit.batch)).sum();
    let mut partitions = vec![vec![]; count];
    let mut before = 0;
    for unit in units {
        let share = (before * count).checked_div(total).unwrap_or(0).min(count - 1);
        before += parts[unit.part].batch_rows(unit.batch);
        partitions[share].push(unit);
    }
    partitions
}
