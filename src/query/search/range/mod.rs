//! Conditions on distances: `WHERE l2_distance(column, query) < r` and its kin.
//!
//! Such a condition is looked at after all others. The codes of the rows that are left give each a lower bound of its distance; one
//! whose bound is beyond `r` is out, and its vector is never read. The others are compared exactly, so the rows are those of a plain
//! filter. `within` says what is asked of a distance; `exec` is the node in the place of a filter over a scan.

mod exec;
mod within;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricValue};
use trilith_udfs::vector::VectorQuery;

use super::coded::Coded;
use super::knn::Query;
use crate::query::scan::{ScanPlan, Unit};
pub(super) use exec::RangeExec;
pub(super) use within::Within;

/// What is asked of the distance of a column from one vector.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// The column of vectors, among those of the scan.
    pub vector: usize,
    /// What it is compared with.
    pub query: Query,
    /// How near it must be.
    pub within: Within,
    codes_compared: Count,
    rows_compared: Count,
}

impl Range {
    /// The condition that an expression is; `None` when it is another.
    fn of(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let comparison = condition.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (comparison.left(), comparison.right());
        let number = |expr: &Arc<dyn PhysicalExpr>| match expr.downcast_ref::<Literal>()?.value() {
            ScalarValue::Float64(number) => *number,
            _ => None,
        };
        let (call, operator, number) = match (number(left), number(right)) {
            (None, Some(number)) => (left, *comparison.op(), number),
            (Some(number), None) => (right, comparison.op().swap()?, number),
            _ => return None,
        };
        let (vector, query) = Query::of_call(call.downcast_ref::<ScalarFunctionExpr>()?, schema)?;
        let within = Within::compared(query.reading()?, operator, number)?;
        let (codes_compared, rows_compared) = (Count::new(), Count::new());
        Some(Self { vector, query, within, codes_compared, rows_compared })
    }

    /// Whether both are about one distance.
    pub(super) fn is_of(&self, vector: usize, query: &Query) -> bool {
        self.vector == vector
            && self.query.metric == query.metric
            && self.query.vector.as_ref() == query.vector.as_ref()
    }

    /// Adds its counters to those of a node.
    pub(super) fn count_in(&self, metrics: &ExecutionPlanMetricsSet) {
        for (name, count) in
            [("codes_compared", &self.codes_compared), ("rows_compared", &self.rows_compared)]
        {
            let count = MetricValue::Count { name: name.into(), count: count.clone() };
            MetricBuilder::new(metrics).build(count);
        }
    }

    /// For EXPLAIN; `schema` is that of the scan.
    pub(super) fn describe(&self, schema: &Schema) -> String {
        format!("{} {}: {}", schema.field(self.vector).name(), self.query.metric, self.within)
    }

    /// The same with its vector known.
    ///
    /// # Errors
    /// When that cannot be computed.
    pub(super) fn asked(&self) -> Result<Asked> {
        let query = self.query.known()?;
        let counter =
            |name| if name == "codes_compared" { self.codes_compared.clone() } else { Count::new() };
        let farthest = self.within.farthest();
        let coded = query
            .as_ref()
            .zip(farthest)
            .and_then(|(query, farthest)| Some(Coded::new(query, 0, None, counter)?.confined(farthest)));
        Ok(Asked { query, coded })
    }

    /// Those of the selected rows of a unit, all when `None`, that are near enough.
    pub(super) fn near(
        &self,
        asked: &Asked,
        (scan, unit): (&ScanPlan, Unit),
        selected: Option<BooleanBuffer>,
    ) -> Result<BooleanBuffer> {
        let (_, place) = scan.place(unit);
        let mut near = BooleanBufferBuilder::new((place.end - place.start) as usize);
        near.append_n((place.end - place.start) as usize, false);
        let left = match &asked.coded {
            Some(coded) => coded.narrow(scan, (unit, self.vector), selected, f64::INFINITY)?,
            None => selected,
        };
        let is_left = left.as_ref().is_none_or(|left| left.count_set_bits() > 0);
        // No row has a distance to nothing.
        if let Some(query) = asked.query.as_ref().filter(|_| is_left) {
            let (batch, _) = scan.read_unmasked(unit, &[self.vector])?;
            self.rows_compared.add(left.as_ref().map_or(batch.num_rows(), BooleanBuffer::count_set_bits));
            query.scan(batch.column(0), left.as_ref(), |row, distance| {
                near.set_bit(row, self.within.holds(distance));
            })?;
        }
        Ok(near.finish())
    }
}

/// A range whose vector is known; `None` when that is null.
#[derive(Debug)]
pub(super) struct Asked {
    query: Option<VectorQuery>,
    coded: Option<Coded>,
}

type Conditions = Vec<Arc<dyn PhysicalExpr>>;

/// Conditions over the columns of a scan: those on distances, one for each column and vector, and the others.
pub(super) fn split<'a>(
    conditions: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
    schema: &Schema,
) -> (Vec<Range>, Conditions) {
    let mut ranges: Vec<(Range, Conditions)> = vec![];
    let mut others = vec![];
    for condition in conditions {
        let Some(range) = Range::of(condition, schema) else {
            others.push(Arc::clone(condition));
            continue;
        };
        match ranges.iter_mut().find(|(known, _)| known.is_of(range.vector, &range.query)) {
            Some((known, parts)) => {
                known.within.and(range.within);
                parts.push(Arc::clone(condition));
            }
            None => ranges.push((range, vec![Arc::clone(condition)])),
        }
    }
    // Of what is only to be far away, bounds rule nothing out.
    let (near, far): (Vec<_>, Vec<_>) =
        ranges.into_iter().partition(|(range, _)| range.within.farthest().is_some());
    others.extend(far.into_iter().flat_map(|(_, parts)| parts));
    (near.into_iter().map(|(range, _)| range).collect(), others)
}
