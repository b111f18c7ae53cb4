//! A table of a snapshot as DataFusion sees it: what it can push down, and where inserts go.
//!
//! Reading is in `scan`, writing in `write`. `UPDATE` and `DELETE` do not come through the hooks of
//! [`TableProvider`]: those receive only predicates that the optimizer left on the target, so a
//! condition turned into a join (`id IN (SELECT ...)`) would be lost and every row be changed.
//! `query::statements` plans them as queries instead.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints, not_impl_err};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use trilith_engine::{ROW_ID, TableView};

use super::connection::Pinned;
use super::scan;
use super::write::{Change, TableSink};

/// A table at one snapshot.
pub struct TrilithTable {
    pinned: Pinned,
    view: TableView,
    schema: SchemaRef,
    constraints: Constraints,
    row_id: bool,
}

impl TrilithTable {
    /// The table as users see it.
    #[must_use]
    pub fn new(pinned: Pinned, view: TableView) -> Self {
        let keys = view.def().key_columns().to_vec();
        let constraints = if keys.is_empty() { vec![] } else { vec![Constraint::PrimaryKey(keys)] };
        let schema = view.schema();
        Self { pinned, view, schema, constraints: Constraints::new_unverified(constraints), row_id: false }
    }

    /// The table with its hidden key as a last column, for `UPDATE` and `DELETE` of keyless tables.
    #[must_use]
    pub fn with_row_id(&self) -> Self {
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(ROW_ID, DataType::UInt64, false)));
        Self {
            pinned: self.pinned.clone(),
            view: self.view.clone(),
            schema: Arc::new(Schema::new(fields)),
            constraints: self.constraints.clone(),
            row_id: true,
        }
    }
}

impl fmt::Debug for TrilithTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrilithTable({})", self.view.def().name)
    }
}

#[async_trait]
impl TableProvider for TrilithTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| scan::pushdown::verdict(filter)).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let request = scan::Request {
            view: &self.view,
            schema: &self.schema,
            projection: projection.map(Vec::as_slice),
            filters,
            limit,
            row_id: self.row_id,
        };
        scan::plan(state, &request)
    }

    async fn insert_into(
        &self,
        _: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let change = match op {
            InsertOp::Append => Change::Insert,
            InsertOp::Replace => Change::Upsert,
            InsertOp::Overwrite => return not_impl_err!("INSERT OVERWRITE; use TRUNCATE and INSERT"),
        };
        let sink = TableSink::new(self.pinned.clone(), Arc::clone(self.view.def()), change, input.schema());
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(sink), None)))
    }
}
