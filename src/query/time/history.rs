//! `table_history('table', key, ...)`: what happened to the row of a key over all versions that are kept, oldest first.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;

use super::arguments::{self, Call};
use super::{change_batch, change_schema};
use crate::error::external;

/// Name of the function.
pub(super) const NAME: &str = "table_history";

/// The function.
pub(super) struct TableHistory(pub Call);

impl fmt::Debug for TableHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl TableFunctionImpl for TableHistory {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let Some((table, key)) = args.exprs().split_first().filter(|(_, key)| !key.is_empty()) else {
            return plan_err!("{NAME} takes a table and a key: {NAME}('items', 7)");
        };
        let name = self.0.text(NAME, "table", table)?;
        let view = arguments::find(&self.0.pinned.engine.snapshot().map_err(external)?, &name)?;
        let key = key.iter().map(|value| self.0.constant(NAME, "key", value)?.to_array());
        let key = key.collect::<Result<Vec<ArrayRef>>>()?;
        let found = self.0.pinned.engine.history(&view.def().name, &key).map_err(external)?;
        let schema = change_schema(&nullable(&view.schema()))?;
        let batches = found.iter().map(|change| change_batch(&schema, change)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
    }
}

/// A row from before a column was there has no value in it.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
