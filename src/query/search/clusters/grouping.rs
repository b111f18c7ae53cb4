//! How clusters are found, and which cluster a row is of.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type};
use datafusion::catalog::TableProvider;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use trilith_udfs::kernels::{Centroids, Clustering, Metric};

use crate::query::search::call::{Call, Signature};
use crate::query::search::columns::VECTORS;
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::tables::Tables;

/// Rows of the sample for each cluster: more move a centroid little.
const SAMPLE: usize = 256;

/// How clusters are found.
#[derive(Clone, Debug)]
pub(super) struct Grouping {
    function: &'static str,
    pub column: String,
    pub dims: usize,
    k: usize,
    iterations: usize,
    seed: u64,
    sample: usize,
    /// Vectors count as if they had length one.
    by_cosine: bool,
}

/// Some rows of a column, and the components of their vectors one after the other.
pub(super) struct Points {
    /// Rows without a vector, or one that is zero where only directions count, are not among them.
    pub rows: Vec<usize>,
    pub components: Vec<f32>,
}

impl Grouping {
    /// Reads a call: the table's name, the table, and what is asked.
    ///
    /// # Errors
    /// When an argument is of the wrong kind.
    pub(super) fn read(tables: &Tables, call: &Call) -> Result<(String, Arc<dyn TableProvider>, Self)> {
        let (name, Signature { name: function, .. }) = (call.text("table")?, call.signature);
        let table = tables.own_table(function, &name)?;
        let column = VECTORS.named_or_only(call, "column", (&name, &*table))?;
        VECTORS.check(call, (&name, &*table), &column)?;
        let DataType::FixedSizeList(_, dims) = *table.schema().field_with_name(&column)?.data_type() else {
            return plan_err!(
                "{function}: vectors of {column:?} have no common length; store them as VECTOR(n)"
            );
        };
        let by_cosine = match call.metric("metric")? {
            Metric::L2 => false,
            Metric::Cosine => true,
            other => return plan_err!("{function}: the metric must be 'l2' or 'cosine', not '{other}'"),
        };
        let (k, iterations, seed) = (call.count("k")?, call.count("iterations")?, call.whole("seed")?);
        let sample = match call.value("sample")?.is_null() {
            true => k.saturating_mul(SAMPLE),
            false => call.count("sample")?.max(k),
        };
        let dims = dims as usize;
        Ok((name, table, Self { function, column, dims, k, iterations, seed, sample, by_cosine }))
    }

    pub(super) fn describe(&self) -> String {
        let metric = if self.by_cosine { Metric::Cosine } else { Metric::L2 };
        let Self { column, k, iterations, seed, sample, .. } = self;
        format!(
            "column={column}, k={k}, iterations={iterations}, seed={seed}, sample={sample}, metric={metric}"
        )
    }

    /// The vectors of some rows of a column.
    ///
    /// # Errors
    /// When one has a component that is no finite number.
    pub(super) fn points(&self, column: &ArrayRef, rows: impl Iterator<Item = usize>) -> Result<Points> {
        let lists = column.as_fixed_size_list();
        let values = cast(lists.values(), &DataType::Float32)?;
        let numbers = values.as_primitive::<Float32Type>();
        let mut points = Points { rows: vec![], components: vec![] };
        for row in rows.filter(|row| lists.is_valid(*row)) {
            let place = row * self.dims..(row + 1) * self.dims;
            let complete = numbers.null_count() == 0 || place.clone().all(|at| numbers.is_valid(at));
            let vector = &numbers.values()[place];
            if !complete || !vector.iter().all(|component| component.is_finite()) {
                let Self { function, column, .. } = self;
                return exec_err!(
                    "{function}: a vector in column {column:?} has a component that is no finite number; set such vectors to NULL"
                );
            }
            let scale = if self.by_cosine { length(vector) } else { 1.0 };
            if scale > 0.0 {
                points.rows.push(row);
                points
                    .components
                    .extend(vector.iter().map(|component| (f64::from(*component) / scale) as f32));
            }
        }
        Ok(points)
    }

    /// Finds the centroids of the rows of a scan.
    ///
    /// # Errors
    /// When there are fewer vectors than clusters.
    pub(super) async fn train(&self, rows: &SearchedRows, work: &Work) -> Result<Centroids> {
        let Self { function, dims, k, seed, .. } = *self;
        let points = self.drawn(rows, work).await?;
        if points.len() / dims.max(1) < k {
            let found = points.len() / dims.max(1);
            return exec_err!(
                "{function}: k is {k}, but only {found} rows have a vector; ask for fewer clusters"
            );
        }
        let mut clustering = Clustering::start(points, dims, k, seed);
        for _ in 0..self.iterations {
            if !clustering.round() {
                break;
            }
            // A round may take long; in between the query can be given up.
            tokio::task::yield_now().await;
        }
        let centroids = clustering.into_centroids();
        Ok(if self.by_cosine { directions(&centroids) } else { centroids })
    }

    /// The components of evenly spaced rows that have a vector: as many as the sample, or all.
    async fn drawn(&self, rows: &SearchedRows, work: &Work) -> Result<Vec<f32>> {
        let column = rows.scan.schema().index_of(&self.column)?;
        let mut total = 0;
        for (number, unit) in work.units() {
            let (batch, _) = rows.scan.read_unmasked(unit, &[column])?;
            total += live_rows(rows, work, number)?
                .into_iter()
                .filter(|row| batch.column(0).is_valid(*row))
                .count();
        }
        let wanted = total.min(self.sample);
        let (mut seen, mut drawn) = (0, vec![]);
        for (number, unit) in work.units() {
            let (batch, _) = rows.scan.read_unmasked(unit, &[column])?;
            let live = live_rows(rows, work, number)?;
            // Of every `total / wanted` rows the last.
            let of_unit = live.into_iter().filter(|row| batch.column(0).is_valid(*row)).filter(|_| {
                seen += 1;
                seen * wanted / total > (seen - 1) * wanted / total
            });
            drawn.extend(self.points(batch.column(0), of_unit)?.components);
            tokio::task::yield_now().await;
        }
        Ok(drawn)
    }

    /// The cluster of each point, and its distance from the centroid.
    pub(super) fn nearest(&self, centroids: &Centroids, points: &Points) -> Vec<(u32, f64)> {
        let mut nearest = vec![0; points.rows.len()];
        centroids.nearest(&points.components, &mut nearest);
        let values: Vec<Vec<f32>> = (0..centroids.len()).map(|at| centroids.centroid(at)).collect();
        let distance = |(point, cluster): (&[f32], u32)| {
            let square: f64 = point
                .iter()
                .zip(&values[cluster as usize])
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                .sum();
            // Half the square of the distance of two directions is one less their cosine.
            (cluster, if self.by_cosine { square / 2.0 } else { square.sqrt() })
        };
        points.components.chunks_exact(self.dims).zip(nearest).map(distance).collect()
    }
}

/// The rows of a unit that count.
pub(super) fn live_rows(rows: &SearchedRows, work: &Work, number: usize) -> Result<Vec<usize>> {
    let len = work.units().nth(number).map_or(0, |(_, unit)| {
        let (_, place) = rows.scan.place(unit);
        (place.end - place.start) as usize
    });
    Ok(match work.selected(rows, number)? {
        Some(selected) => selected.set_indices().collect(),
        None => (0..len).collect(),
    })
}

/// The same centroids scaled to length one, where they have any.
fn directions(centroids: &Centroids) -> Centroids {
    let scaled = (0..centroids.len()).flat_map(|at| {
        let centroid = centroids.centroid(at);
        let scale = length(&centroid);
        let scale = if scale > 0.0 { scale } else { 1.0 };
        centroid.into_iter().map(move |component| (f64::from(component) / scale) as f32)
    });
    Centroids::new(&scaled.collect::<Vec<_>>(), centroids.dims())
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|component| f64::from(*component).powi(2)).sum::<f64>().sqrt()
}
