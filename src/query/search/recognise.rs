//! Which sorts are searches: one by a single distance in its near-to-far direction, with a limit, over projections
//! and filters over a `ScanExec`. Which filters are ranges: those over the same, with a condition on a distance.
//!
//! Filters become conditions of the search, so they hold before the best `k` are chosen; projections are put back on top
//! of the `k` rows. Anything else is left alone: a plan that is not recognised is slower, never wrong.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr, Literal};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use trilith_udfs::vector::Reading;

use super::exec::KnnExec;
use super::knn::{KnnSearch, Query};
use super::nearest::{Nulls, Placement};
use super::range::RangeExec;
use super::rows::SearchedRows;
use crate::query::scan::{ScanExec, ScanPlan};

/// The search that a sort is; `None` when it is none.
pub(crate) fn recognise(sort: &SortExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (Some(k), [key]) = (sort.fetch().filter(|k| *k > 0), sort.expr().as_ref()) else { return Ok(None) };
    let Some(source) = Source::below(sort.input(), key, &[])? else { return Ok(None) };
    let Some((search, query)) = source.search() else { return Ok(None) };
    let node = KnnExec::sorted(search, query, k, source.key.clone());
    source.projected(Arc::new(node)).map(Some)
}

/// The rows by distance that a filter gives; `None` when it has no condition on a distance.
pub(crate) fn recognise_range(filter: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let nothing = PhysicalSortExpr::new_default(Arc::new(Literal::new(ScalarValue::Null)));
    let Some(source) = Source::below(filter, &nothing, &[])? else { return Ok(None) };
    if source.filters.iter().any(is_volatile) {
        return Ok(None);
    }
    let rows = SearchedRows::under(Arc::clone(&source.scan), &source.filters);
    if rows.ranges.is_empty() {
        return Ok(None);
    }
    source.projected(Arc::new(RangeExec::new(rows))).map(Some)
}

/// The search for rows of `plan` by its column of vectors, and the projections that make its columns of those of the scan, the
/// last first; `None` when it is anything but projections and filters over a scan.
pub(super) fn searched(
    plan: &Arc<dyn ExecutionPlan>,
    vector: usize,
) -> Result<Option<(KnnSearch, Vec<ProjectionExprs>)>> {
    let column = Column::new(plan.schema().field(vector).name(), vector);
    let Some(source) = Source::below(plan, &PhysicalSortExpr::new_default(Arc::new(column)), &[])? else {
        return Ok(None);
    };
    let Some(vector) = source.key.expr.downcast_ref::<Column>().map(Column::index) else { return Ok(None) };
    if source.filters.iter().any(is_volatile) {
        return Ok(None);
    }
    let (filters, _) = split_filters(&source.filters, vector);
    let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
    let rows = SearchedRows::under(source.scan, &filters);
    let search = KnnSearch { rows, vector, placement, within: None };
    Ok(Some((search, source.projections)))
}

/// The conditions but `vector IS NOT NULL`, which the search sees to itself, and whether that was there.
fn split_filters(filters: &[Arc<dyn PhysicalExpr>], vector: usize) -> (Vec<Arc<dyn PhysicalExpr>>, bool) {
    let has_vector = |conjunct: &Arc<dyn PhysicalExpr>| {
        let tested = conjunct.downcast_ref::<IsNotNullExpr>().map(IsNotNullExpr::arg);
        tested.and_then(|arg| arg.downcast_ref::<Column>()).is_some_and(|column| column.index() == vector)
    };
    let conjuncts = filters.iter().flat_map(split_conjunction).cloned();
    let (implied, others): (Vec<_>, Vec<_>) = conjuncts.partition(has_vector);
    (others, !implied.is_empty())
}

/// What a sort, a window or a join stands on, with its key and the filters in terms of the scan's columns.
pub(super) struct Source {
    pub scan: Arc<ScanPlan>,
    key: PhysicalSortExpr,
    /// Other expressions that were asked for.
    pub others: Vec<Arc<dyn PhysicalExpr>>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// From the top down.
    pub projections: Vec<ProjectionExprs>,
}

impl Source {
    /// `None` when there is anything but projections and filters above a whole scan.
    pub(super) fn below(
        plan: &Arc<dyn ExecutionPlan>,
        key: &PhysicalSortExpr,
        others: &[Arc<dyn PhysicalExpr>],
    ) -> Result<Option<Self>> {
        let (mut key, mut others) = (key.clone(), others.to_vec());
        let mut filters = vec![];
        let mut projections = vec![];
        let mut node = plan;
        loop {
            if let Some(scan) = node.downcast_ref::<ScanExec>() {
                let scan = Arc::clone(scan.plan());
                let whole = node.fetch().is_none() && !scan.has_row_id();
                return Ok(whole.then_some(Self { scan, key, others, filters, projections }));
            }
            let (projection, filter, input) = if let Some(exec) = node.downcast_ref::<ProjectionExec>() {
                (Some(exec.projection_expr().clone()), None, exec.input())
            } else if let Some(exec) = node.downcast_ref::<FilterExec>().filter(|exec| exec.fetch().is_none())
            {
                let kept = exec.projection().as_ref();
                let projection = kept.map(|kept| ProjectionExprs::from_indices(kept, &exec.input().schema()));
                (projection, Some(Arc::clone(exec.predicate())), exec.input())
            } else {
                return Ok(None);
            };
            if let Some(projection) = projection {
                key.expr = projection.unproject_expr(&key.expr)?;
                for expr in filters.iter_mut().chain(&mut others) {
                    *expr = projection.unproject_expr(expr)?;
                }
                projections.push(projection);
            }
            filters.extend(filter);
            node = input;
        }
    }

    /// The column of vectors and what the key compares it with.
    fn distance(&self) -> Option<(usize, Query)> {
        let call = self.key.expr.downcast_ref::<ScalarFunctionExpr>()?;
        let (vector, query) = Query::of_call(call, &self.scan.schema())?;
        let near_to_far = (query.reading()? == Reading::Distance) != self.key.options.descending;
        near_to_far.then_some((vector, query))
    }

    /// The search for rows sorted by the key; `None` when that is no distance, near to far.
    pub(super) fn search(&self) -> Option<(KnnSearch, Query)> {
        let (vector, query) = self.distance()?;
        // What a volatile condition saw must not be computed again by a projection.
        if self.filters.iter().any(is_volatile) {
            return None;
        }
        let (filters, has_vector) = split_filters(&self.filters, vector);
        let nulls = match (has_vector, self.key.options.nulls_first) {
            (true, _) => Nulls::Excluded,
            (false, true) => Nulls::First,
            (false, false) => Nulls::Last,
        };
        let placement = Placement { nulls, nan_first: self.key.options.descending };
        let mut rows = SearchedRows::under(Arc::clone(&self.scan), &filters);
        let within = rows.take_range(vector, &query);
        Some((KnnSearch { rows, vector, placement, within }, query))
    }

    /// The plan with `node` in the place of the scan and its filters.
    fn projected(self, node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        self.projections.into_iter().rev().try_fold(node, |plan, projection| {
            let exprs = projection.iter().cloned().collect::<Vec<_>>();
            Ok(Arc::new(ProjectionExec::try_new(exprs, plan)?) as Arc<dyn ExecutionPlan>)
        })
    }
}
