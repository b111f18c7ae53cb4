//! `PerGroupExec`: the plan node of a search for the nearest rows of each group.
//!
//! A leaf like `KnnExec`: it reads the table itself, on as many tasks as the scan had partitions, and gives one partition, group by
//! group, nearest first. In the place of a window it adds the row's place in its group.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use trilith_udfs::vector::VectorQuery;

use super::groups::{Groups, Ranked};
use crate::query::scan::Unit;
use crate::query::search::call::Most;
use crate::query::search::coded::{Coded, bitmap};
use crate::query::search::exec::Finding;
use crate::query::search::knn::{KnnSearch, Query};
use crate::query::search::rows::{Work, row_number};
use crate::query::search::tasks::on_all;

/// A column of the result.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Output {
    /// One of the scan.
    Stored(usize),
    Distance,
    /// The row's place in its group, from 1.
    Rank,
}

/// Finds the `k` nearest rows of each group.
#[derive(Clone, Debug)]
pub(in super::super) struct PerGroupExec {
    search: Arc<KnnSearch>,
    query: Arc<Query>,
    /// Of the scan, those that say of which group a row is.
    groups: Vec<usize>,
    k: usize,
    outputs: Vec<Output>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

/// A vector, what codes say of its distances, and how many rows were compared with it.
struct Asked {
    query: Option<VectorQuery>,
    coded: Option<Coded>,
    compared: Count,
}

impl PerGroupExec {
    /// A search for the `k` nearest rows of each value of `groups`, which gives `outputs` as `schema` names them.
    pub(in super::super) fn new(
        (search, query): (KnnSearch, Query),
        groups: Vec<usize>,
        k: usize,
        (outputs, schema): (Vec<Output>, SchemaRef),
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        search.rows.count_in(&metrics);
        let (search, query) = (Arc::new(search), Arc::new(query));
        Self { search, query, groups, k, outputs, metrics, properties: Arc::new(properties) }
    }

    async fn find(&self) -> Result<Finding<Ranked>> {
        let (query, counter) =
            (self.query.known()?, |name| MetricBuilder::new(&self.metrics).global_counter(name));
        let coded = query.as_ref().and_then(|query| self.search.coded(query, self.k, None, counter));
        let asked = Arc::new(Asked { query, coded, compared: counter("rows_compared") });
        let work = Arc::new(Work::new(&self.search.rows));
        let task = || self.clone().search_all(Arc::clone(&asked), Arc::clone(&work));
        let mut groups = self.no_groups()?;
        let tasks = self.search.rows.scan.partitions_len().min(work.shares().len());
        for found in on_all(tasks, task).await? {
            groups.merge(found);
        }
        Ok(Finding::new(work, groups.into_rows(self.search.placement)))
    }

    fn no_groups(&self) -> Result<Groups> {
        let schema = self.search.rows.scan.schema();
        Groups::new(self.k, self.groups.iter().map(|at| schema.field(*at).data_type()))
    }

    /// One task: searches until nothing is left, letting others run in between.
    async fn search_all(self, asked: Arc<Asked>, work: Arc<Work>) -> Result<Groups> {
        let mut groups = self.no_groups()?;
        while let Some(units) = work.take() {
            asked.compared.add(self.search_share(&asked, (&work, units), &mut groups)?);
            if work.is_left() {
                tokio::task::yield_now().await;
            }
        }
        Ok(groups)
    }

    fn search_share(
        &self,
        asked: &Asked,
        (work, units): (&Work, Range<usize>),
        groups: &mut Groups,
    ) -> Result<usize> {
        let mut compared = 0;
        for (number, unit) in work.units_in(units) {
            let selected = work.selected(&self.search.rows, number)?.as_ref();
            if selected.is_some_and(|selected| selected.count_set_bits() == 0) {
                continue;
            }
            let (batch, _) = self.search.rows.scan.read_unmasked(unit, &self.groups)?;
            let rows: Vec<usize> = match selected {
                Some(selected) => selected.set_indices().collect(),
                None => (0..batch.num_rows()).collect(),
            };
            let of_rows = groups.of_rows(batch.columns(), rows.iter().copied())?;
            let left = self.left(asked, unit, (&rows, &of_rows), groups)?;
            let mut group = vec![0; batch.num_rows()];
            rows.iter().zip(of_rows).for_each(|(row, of_row)| group[*row] = of_row);
            let left = left.or_else(|| selected.cloned());
            compared += self.search.compare(asked.query.as_ref(), unit, left, |row, distance| {
                groups.push(group[row], row_number(number, row), distance);
            })?;
        }
        Ok(compared)
    }

    /// Those of some rows of a unit that may be among the nearest of their groups; all when `None`.
    fn left(
        &self,
        asked: &Asked,
        unit: Unit,
        (rows, of_rows): (&[usize], &[usize]),
        groups: &Groups,
    ) -> Result<Option<BooleanBuffer>> {
        let Some(coded) = &asked.coded else { return Ok(None) };
        let most: Vec<Option<f32>> =
            of_rows.iter().map(|group| coded.known(groups.threshold(*group))).collect();
        // Where most groups take whatever comes, bounds rule little out.
        if most.iter().flatten().count() * 2 < rows.len() {
            return Ok(None);
        }
        let scan = &self.search.rows.scan;
        let Some(bounds) = coded.lower_bounds(scan, (unit, self.search.vector))? else { return Ok(None) };
        let is_near = |(row, most): &(&usize, &Option<f32>)| !most.is_some_and(|most| bounds[**row] > most);
        let near: Vec<usize> = rows.iter().zip(&most).filter(is_near).map(|(row, _)| *row).collect();
        Ok(Some(bitmap(0..bounds.len(), &near)))
    }

    /// The next rows of the result.
    fn gather(&self, work: &Work, found: &[Ranked]) -> Result<RecordBatch> {
        let ids: Vec<u64> = found.iter().map(|row| row.id).collect();
        let stored = |output: &Output| if let Output::Stored(column) = output { Some(*column) } else { None };
        let stored: Vec<usize> = self.outputs.iter().filter_map(stored).collect();
        let mut stored = self.search.rows.gather(work, &ids, &stored)?.columns().to_vec().into_iter();
        let column = |output: &Output| -> Option<ArrayRef> {
            match output {
                Output::Stored(_) => stored.next(),
                Output::Distance => {
                    Some(Arc::new(found.iter().map(|row| row.distance).collect::<Float64Array>()))
                }
                Output::Rank => {
                    Some(Arc::new(UInt64Array::from_iter_values(found.iter().map(|row| row.rank))))
                }
            }
        };
        let columns = self.outputs.iter().filter_map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(found.len()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

impl DisplayAs for PerGroupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KnnSearch { rows, vector, within, .. } = &*self.search;
        let (schema, k) = (rows.scan.schema(), Most(self.k));
        let groups: Vec<&str> = self.groups.iter().map(|at| schema.field(*at).name().as_str()).collect();
        let (column, metric) = (schema.field(*vector).name(), self.query.metric);
        write!(f, "PerGroupExec: table={}, column={column}, metric={metric}, k={k}", rows.scan.table())?;
        write!(f, ", per=[{}]", groups.join(", "))?;
        if let Some(within) = within {
            write!(f, ", within=[{within}]")?;
        }
        let (units, all) = (rows.scan.units().count(), rows.scan.batches_total());
        write!(f, ", strategy=exact{}, batches={units}/{all}", rows.conditions())
    }
}

impl ExecutionPlan for PerGroupExec {
    fn name(&self) -> &'static str {
        "PerGroupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let roots = std::iter::once(&self.query.vector).chain(self.search.rows.expressions());
        apply_expression_roots(roots, f)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = futures::stream::try_unfold((self.clone(), None), move |(node, finding)| {
            let baseline = baseline.clone();
            async move {
                let time = baseline.elapsed_compute().clone();
                let _timer = time.timer();
                let mut finding = match finding {
                    Some(finding) => finding,
                    None => node.find().await?,
                };
                let batch = finding.next(|work, found| node.gather(work, found)).transpose()?;
                let batch = batch.record_output(&baseline);
                Ok(batch.map(|batch| (batch, (node, Some(finding)))))
            }
        });
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), rows.boxed()))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
