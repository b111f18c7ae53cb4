//! Rows that are near, and unlike one another: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
//!
//! Of four times as many rows as are wanted, each step takes the one whose distance, weighed against that to the nearest row
//! taken before, is least. Rows come in the order in which they were taken.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{Float64Type, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, ScalarUDF, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, PlanProperties,
    collect,
};

use trilith_udfs::vector::Effort;

use super::arguments::Arguments;
use super::each::Questions;
use super::function::{DISTANCE, distance_udf};
use super::tables::projected;

/// Rows that are looked at for each that is wanted.
const CANDIDATES: usize = 4;
/// Rows that are looked at, at least.
const CANDIDATES_MIN: usize = 50;

/// The rows of a search that are unlike one another.
#[derive(Debug)]
pub(super) struct Diverse {
    found: Arc<dyn TableProvider>,
    vector: usize,
    choice: Choice,
}

/// How rows are chosen.
#[derive(Clone, Debug)]
struct Choice {
    distance: ScalarUDF,
    k: usize,
    /// What being unlike the others counts, from 0 to 1.
    diversity: f64,
}

impl Diverse {
    /// Chooses among the rows of the search that `wider` makes.
    ///
    /// # Errors
    /// Those of `wider`.
    pub(super) fn over(
        arguments: &Arguments,
        wider: impl FnOnce(&Arguments) -> Result<Arc<dyn TableProvider>>,
    ) -> Result<Arc<dyn TableProvider>> {
        let Arguments { k, diversity, metric, .. } = *arguments;
        let found = wider(&arguments.with_k(k.saturating_mul(CANDIDATES).max(CANDIDATES_MIN)))?;
        let vector = found.schema().index_of(&arguments.column)?;
        Ok(Arc::new(Self {
            found,
            vector,
            choice: Choice { distance: distance_udf(metric, Effort::default()), k, diversity },
        }))
    }
}

#[async_trait]
impl TableProvider for Diverse {
    fn schema(&self) -> SchemaRef {
        self.found.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.found.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.found.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let mut columns = projection.cloned().unwrap_or(all);
        columns.extend([self.vector, schema.index_of(DISTANCE)?]);
        columns.sort_unstable();
        columns.dedup();
        let near = self.found.scan(state, Some(&columns), filters, None).await?;
        let vector = near.schema().index_of(schema.field(self.vector).name())?;
        let node = DiverseExec::new(near, vector, self.choice.clone())?;
        projected(Arc::new(node), &schema, projection)
    }
}

impl Choice {
    /// The numbers of the rows that are taken, in their order, of rows with these distances and vectors.
    fn of(&self, distances: &[f64], vectors: &ArrayRef) -> Result<Vec<u64>> {
        let questions = Questions::new(&self.distance, vectors, self.k)?;
        let mut nearest_taken = vec![f64::INFINITY; distances.len()];
        let mut left: Vec<usize> = (0..distances.len()).collect();
        let mut taken = Vec::with_capacity(self.k.min(distances.len()));
        while taken.len() < self.k && !left.is_empty() {
            let cost = |row: usize| match taken.is_empty() {
                true => distances[row],
                false => (1.0 - self.diversity) * distances[row] - self.diversity * nearest_taken[row],
            };
            let best = (0..left.len()).min_by(|a, b| cost(left[*a]).total_cmp(&cost(left[*b])));
            let row = left.remove(best.unwrap_or(0));
            taken.push(row as u64);
            if let Some(query) = &questions.queries[row] {
                query.scan(vectors, None, |other, distance| {
                    nearest_taken[other] = nearest_taken[other].min(distance.unwrap_or(f64::INFINITY));
                })?;
            }
        }
        Ok(taken)
    }
}

/// Chooses among the rows of its input.
#[derive(Clone, Debug)]
struct DiverseExec {
    near: Arc<dyn ExecutionPlan>,
    vector: usize,
    distance: usize,
    choice: Choice,
    properties: Arc<PlanProperties>,
}

impl DiverseExec {
    fn new(near: Arc<dyn ExecutionPlan>, vector: usize, choice: Choice) -> Result<Self> {
        let mut properties = PlanProperties::clone(near.properties());
        properties.eq_properties = EquivalenceProperties::new(near.schema());
        let distance = near.schema().index_of(DISTANCE)?;
        Ok(Self { near, vector, distance, choice, properties: Arc::new(properties) })
    }

    async fn run(self, context: Arc<TaskContext>) -> Result<RecordBatch> {
        let rows = concat_batches(&self.schema(), &collect(Arc::clone(&self.near), context).await?)?;
        let distances = rows.column(self.distance).as_primitive::<Float64Type>();
        let taken = self.choice.of(distances.values(), rows.column(self.vector))?;
        Ok(take_record_batch(&rows, &UInt64Array::from(taken))?)
    }
}

impl DisplayAs for DiverseExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiverseExec: k={}, diversity={}", self.choice.k, self.choice.diversity)
    }
}

impl ExecutionPlan for DiverseExec {
    fn name(&self) -> &'static str {
        "DiverseExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.near]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(near), true) => Ok(Arc::new(Self::new(near, self.vector, self.choice.clone())?)),
            _ => internal_err!("DiverseExec has one child"),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = futures::stream::once(self.clone().run(context));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use datafusion::arrow::array::FixedSizeListArray;
    use datafusion::arrow::datatypes::Float32Type;
    use proptest::prelude::*;
    use trilith_udfs::kernels::Metric;

    use super::*;

    fn l2(a: &[f32; 2], b: &[f32; 2]) -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
    }

    /// The paper's formula, each step over all rows that are left.
    fn plain(rows: &[[f32; 2]], k: usize, diversity: f64) -> Vec<u64> {
        let mut taken: Vec<usize> = vec![];
        while taken.len() < k.min(rows.len()) {
            let cost = |row: usize| {
                let near =
                    taken.iter().map(|other| l2(&rows[row], &rows[*other])).fold(f64::INFINITY, f64::min);
                let penalty = if taken.is_empty() { 0.0 } else { diversity * near };
                let weight = if taken.is_empty() { 1.0 } else { 1.0 - diversity };
                weight * l2(&rows[row], &[0.0, 0.0]) - penalty
            };
            let left = (0..rows.len()).filter(|row| !taken.contains(row));
            taken.push(left.min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap());
        }
        taken.into_iter().map(|row| row as u64).collect()
    }

    proptest! {
        #[test]
        fn rows_are_taken_by_the_formula(
            rows in prop::collection::vec(prop::array::uniform2(-50..50_i8), 1..30),
            k in 1..12_usize,
            diversity in prop::sample::select(vec![0.25, 0.5, 1.0]),
        ) {
            let rows: Vec<[f32; 2]> = rows.into_iter().map(|row| row.map(f32::from)).collect();
            let lists = rows.iter().map(|row| Some(row.map(Some)));
            let vectors: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(lists, 2));
            let distances: Vec<f64> = rows.iter().map(|row| l2(row, &[0.0, 0.0])).collect();
            let choice = Choice { distance: distance_udf(Metric::L2, Effort::default()), k, diversity };
            prop_assert_eq!(choice.of(&distances, &vectors).unwrap(), plain(&rows, k, diversity));
        }
    }
}
