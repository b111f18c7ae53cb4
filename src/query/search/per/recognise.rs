//! Which windows are searches: `row_number()` over rows partitioned by columns and sorted by one distance, near to far, under a filter
//! that only lets the first through.
//!
//! The filter stays where it is, so nothing depends on how exactly it is understood: rows of a higher number only are not made.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};

use super::exec::{Output, PerGroupExec};
use crate::query::search::recognise::Source;

/// The plan with a search in the place of the window; `None` when it is none.
pub(crate) fn recognise_per_group(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(None) };
    let mut conditions: Vec<_> = split_conjunction(filter.predicate()).into_iter().cloned().collect();
    let (mut above, mut node) = (vec![plan], filter.input());
    while let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        for condition in &mut conditions {
            *condition = projection.projection_expr().unproject_expr(condition)?;
        }
        above.push(node);
        node = projection.input();
    }
    let Some((window, input)) = row_number(node) else { return Ok(None) };
    let number = input.schema().fields().len();
    let most = conditions.iter().filter_map(|condition| most(condition, number)).min();
    let Some(k) = most.filter(|k| *k > 0) else { return Ok(None) };
    let Some(search) = searched(window, input, k, node.schema().field(number).clone().into())? else {
        return Ok(None);
    };
    let rebuilt = above
        .into_iter()
        .rev()
        .try_fold(search, |below, node| replace_children_if_necessary(Arc::clone(node), vec![below]));
    rebuilt.map(Some)
}

type Windowed<'a> = (&'a Arc<dyn WindowExpr>, &'a Arc<dyn ExecutionPlan>);

/// The window of a node that numbers rows, and does nothing else, and what it numbers.
fn row_number(node: &Arc<dyn ExecutionPlan>) -> Option<Windowed<'_>> {
    let (windows, input) =
        match (node.downcast_ref::<BoundedWindowAggExec>(), node.downcast_ref::<WindowAggExec>()) {
            (Some(node), _) => (node.window_expr(), node.input()),
            (_, Some(node)) => (node.window_expr(), node.input()),
            _ => return None,
        };
    let [window] = windows else { return None };
    let function = window.as_any().downcast_ref::<StandardWindowExpr>()?.get_standard_func_expr();
    let function = function.as_any().downcast_ref::<WindowUDFExpr>()?;
    (function.fun().name() == "row_number").then_some((window, input))
}

/// How many rows of each group a condition on the column `number` lets through, at most.
fn most(condition: &Arc<dyn PhysicalExpr>, number: usize) -> Option<usize> {
    let comparison = condition.downcast_ref::<BinaryExpr>()?;
    let is_number = |expr: &Arc<dyn PhysicalExpr>| {
        expr.downcast_ref::<Column>().is_some_and(|column| column.index() == number)
    };
    let (operator, limit) = match (is_number(comparison.left()), is_number(comparison.right())) {
        (true, false) => (*comparison.op(), comparison.right()),
        (false, true) => (comparison.op().swap()?, comparison.left()),
        _ => return None,
    };
    let limit = limit.downcast_ref::<Literal>()?.value();
    let ScalarValue::UInt64(Some(limit)) = limit.cast_to(&DataType::UInt64).ok()? else { return None };
    let whole = usize::try_from(limit).ok()?;
    match operator {
        Operator::LtEq | Operator::Eq => Some(whole),
        Operator::Lt => whole.checked_sub(1),
        _ => None,
    }
}

/// The search, with the columns of `input` and the row's number.
fn searched(
    window: &Arc<dyn WindowExpr>,
    input: &Arc<dyn ExecutionPlan>,
    k: usize,
    number: FieldRef,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let [key] = window.order_by() else { return Ok(None) };
    let Some(source) = Source::below(input, key, window.partition_by())? else { return Ok(None) };
    let scanned = source.scan.schema();
    let group = |expr: &Arc<dyn PhysicalExpr>| {
        let column = expr.downcast_ref::<Column>()?.index();
        is_plain(scanned.field(column).data_type()).then_some(column)
    };
    let groups: Option<Vec<usize>> = source.others.iter().map(group).collect();
    let Some(groups) = groups.filter(|groups| !groups.is_empty()) else { return Ok(None) };
    let Some((search, query)) = source.search() else { return Ok(None) };
    let outputs = (0..scanned.fields().len()).map(Output::Stored).chain([Output::Rank]).collect();
    let fields: Vec<FieldRef> = scanned.fields().iter().cloned().chain([Arc::clone(&number)]).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut plan: Arc<dyn ExecutionPlan> =
        Arc::new(PerGroupExec::new((search, query), groups, k, (outputs, schema)));
    for projection in source.projections.iter().rev() {
        let at = plan.schema().fields().len() - 1;
        let numbers =
            ProjectionExpr { expr: Arc::new(Column::new(number.name(), at)), alias: number.name().clone() };
        plan = Arc::new(ProjectionExec::try_new(
            projection.iter().cloned().chain([numbers]).collect::<Vec<_>>(),
            plan,
        )?);
    }
    Ok(Some(plan))
}

/// Whether values of a type are equal just where their bytes are, unlike zeros and NaN.
fn is_plain(data_type: &DataType) -> bool {
    !data_type.is_floating() && !data_type.is_nested() && !matches!(data_type, DataType::Dictionary(..))
}
