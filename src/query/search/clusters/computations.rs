//! What the two functions compute: the clusters, and the rows with their clusters.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, TryStreamExt};
use trilith_udfs::kernels::Centroids;

use super::grouping::{Grouping, live_rows};
use crate::query::scan::Unit;
use crate::query::search::computed::{Batches, Computation};
use crate::query::search::rows::{SearchedRows, Work};

/// Gives the clusters.
#[derive(Debug)]
pub(super) struct Clusters {
    pub grouping: Grouping,
    pub schema: SchemaRef,
}

impl Computation for Clusters {
    fn node(&self) -> &'static str {
        "KmeansCentroidsExec"
    }

    fn describe(&self) -> String {
        self.grouping.describe()
    }

    fn reads(&self) -> Vec<&str> {
        vec![&self.grouping.column]
    }

    fn batches(self: Arc<Self>, rows: Arc<SearchedRows>, _: usize, _: &ExecutionPlanMetricsSet) -> Batches {
        let found = async move {
            let work = Work::new(&rows);
            let centroids = self.grouping.train(&rows, &work).await?;
            let mut counts = vec![0_i64; centroids.len()];
            for (number, unit) in work.units() {
                let (batch, _) = rows.scan.read_unmasked(unit, &[0])?;
                let live = live_rows(&rows, &work, number)?;
                let points = self.grouping.points(batch.column(0), live.into_iter())?;
                let nearest = self.grouping.nearest(&centroids, &points);
                nearest.iter().for_each(|(cluster, _)| counts[*cluster as usize] += 1);
                tokio::task::yield_now().await;
            }
            self.batch(&centroids, counts)
        };
        futures::stream::once(found).boxed()
    }
}

impl Clusters {
    fn batch(&self, centroids: &Centroids, counts: Vec<i64>) -> Result<RecordBatch> {
        let values: Vec<f32> = (0..centroids.len()).flat_map(|at| centroids.centroid(at)).collect();
        let DataType::FixedSizeList(item, length) = self.schema.field(1).data_type() else {
            return internal_err!("centroids are no vectors");
        };
        let values: ArrayRef = Arc::new(Float32Array::from(values));
        let vectors = FixedSizeListArray::try_new(Arc::clone(item), *length, values, None)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..counts.len() as i64)),
            Arc::new(vectors),
            Arc::new(Int64Array::from(counts)),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Gives rows with their clusters.
#[derive(Debug)]
pub(super) struct Assigned {
    pub grouping: Grouping,
    pub schema: SchemaRef,
}

impl Computation for Assigned {
    fn node(&self) -> &'static str {
        "KmeansExec"
    }

    fn describe(&self) -> String {
        self.grouping.describe()
    }

    fn reads(&self) -> Vec<&str> {
        let own = self.schema.fields().len() - 2;
        self.schema.fields().iter().take(own).map(|field| field.name().as_str()).collect()
    }

    fn batches(self: Arc<Self>, rows: Arc<SearchedRows>, _: usize, _: &ExecutionPlanMetricsSet) -> Batches {
        let trained = async move {
            let work = Work::new(&rows);
            let centroids = self.grouping.train(&rows, &work).await?;
            let units: Vec<(usize, Unit)> = work.units().collect();
            let assign = move |unit| self.of_unit(&rows, &work, &centroids, unit);
            Ok::<_, DataFusionError>(futures::stream::iter(units.into_iter().map(assign)))
        };
        futures::stream::once(trained).try_flatten().boxed()
    }
}

impl Assigned {
    fn of_unit(
        &self,
        rows: &SearchedRows,
        work: &Work,
        centroids: &Centroids,
        (number, unit): (usize, Unit),
    ) -> Result<RecordBatch> {
        let (batch, _) = rows.scan.read_unmasked(unit, &rows.all_columns())?;
        let live = live_rows(rows, work, number)?;
        let vectors = batch.column(rows.scan.schema().index_of(&self.grouping.column)?);
        let points = self.grouping.points(vectors, live.iter().copied())?;
        let nearest = self.grouping.nearest(centroids, &points);
        let mut found = points.rows.into_iter().zip(nearest).peekable();
        let of_row = |row: &usize| found.next_if(|(known, _)| known == row).map(|(_, nearest)| nearest);
        let nearest: Vec<Option<(u32, f64)>> = live.iter().map(of_row).collect();
        let cluster = |of: &Option<(u32, f64)>| of.map(|(cluster, _)| i64::from(cluster));
        let clusters: ArrayRef = Arc::new(nearest.iter().map(cluster).collect::<Int64Array>());
        let distance = |of: &Option<(u32, f64)>| of.map(|(_, distance)| distance);
        let distances: ArrayRef = Arc::new(nearest.iter().map(distance).collect::<Float64Array>());
        let places = UInt64Array::from_iter_values(live.iter().map(|row| *row as u64));
        let batch = take_record_batch(&batch, &places)?;
        let columns = [batch.columns(), &[clusters, distances]].concat();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
