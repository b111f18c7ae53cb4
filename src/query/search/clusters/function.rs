//! `kmeans('table', 'column', k, iterations, seed, sample, 'metric')`: a table function with all rows of a table, the cluster of each and
//! its distance from the cluster's centroid; and `kmeans_centroids(...)`, with a row for each cluster.
//!
//! Centroids are found in `sample` evenly spaced rows, 256 for each cluster unless it says how many; `seed` says which of those they
//! start from. So the same call on the same rows always gives the same. Rows without a vector count for nothing; their cluster is null.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use super::computations::{Assigned, Clusters};
use super::grouping::Grouping;
use crate::query::search::call::{Argument, Call, Default, Signature, optional, required};
use crate::query::search::computed::ComputedTable;
use crate::query::search::function::DISTANCE;
use crate::query::search::tables::{Tables, check_free};
use crate::query::types::vector_field;

const ARGUMENTS: &[Argument] = &[
    required("table"),
    optional("column", Default::OnlyColumn),
    required("k"),
    optional("iterations", Default::Whole(20)),
    optional("seed", Default::Whole(0)),
    optional("sample", Default::Nothing),
    optional("metric", Default::Text("l2")),
];

/// The cluster of each row.
pub(crate) static KMEANS: Signature =
    Signature { name: "kmeans", arguments: ARGUMENTS, example: "kmeans('items', 'embedding', 8)" };

/// The clusters.
pub(crate) static KMEANS_CENTROIDS: Signature = Signature {
    name: "kmeans_centroids",
    arguments: ARGUMENTS,
    example: "kmeans_centroids('items', 'embedding', 8)",
};

/// Name of the column with the number of the cluster.
const CLUSTER: &str = "_cluster";

/// The clusters that a call finds.
///
/// # Errors
/// When the table has no such column, or an argument is of the wrong kind.
pub(crate) fn centroids(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let (_, table, grouping) = Grouping::read(tables, call)?;
    let fields = vec![
        Field::new("cluster", DataType::Int64, false),
        vector_field("centroid", grouping.dims as i32).with_nullable(false),
        Field::new("rows", DataType::Int64, false),
    ];
    let schema = Arc::new(Schema::new(fields));
    let clusters = Clusters { grouping, schema: Arc::clone(&schema) };
    Ok(Arc::new(ComputedTable::new(table, Arc::new(clusters), schema)))
}

/// The rows of the table, with their clusters.
///
/// # Errors
/// As [`centroids`], and when the table has a column of the name of one that is added.
pub(crate) fn assigned(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let (name, table, grouping) = Grouping::read(tables, call)?;
    check_free(call.signature.name, &name, &table.schema(), &[CLUSTER, DISTANCE])?;
    let added = [Field::new(CLUSTER, DataType::Int64, true), Field::new(DISTANCE, DataType::Float64, true)];
    let own = table.schema();
    let fields: Vec<_> = own.fields().iter().cloned().chain(added.map(Arc::new)).collect();
    let schema = Arc::new(Schema::new(fields));
    let assigned = Assigned { grouping, schema: Arc::clone(&schema) };
    Ok(Arc::new(ComputedTable::new(table, Arc::new(assigned), schema)))
}
