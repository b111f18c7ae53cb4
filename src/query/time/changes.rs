//! `table_changes('table', from, to)`: what the versions from `from` to `to`, both included, did to a table, oldest
//! first. Without `to`, up to the newest version.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use trilith_engine::{Engine, SeqNo, TableName};

use super::arguments::{self, Call};
use super::{change_batch, change_schema};
use crate::error::external;

/// Name of the function.
pub(super) const NAME: &str = "table_changes";

/// The function.
pub(super) struct TableChanges(pub Call);

impl fmt::Debug for TableChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl TableFunctionImpl for TableChanges {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let pinned = &self.0.pinned;
        let (table, from, to) = match args.exprs() {
            [table, from] => (table, from, pinned.snapshot.seq()),
            [table, from, to] => (table, from, self.0.version(NAME, "last version", to)?),
            _ => return plan_err!("{NAME} takes a table and one or two versions: {NAME}('items', 12, 20)"),
        };
        let name = self.0.text(NAME, "table", table)?;
        let from = self.0.version(NAME, "first version", from)?;
        let at = pinned.engine.at(to).map_err(external)?;
        let table = arguments::find(&at, &name)?.def().name.clone();
        let engine = Arc::clone(&pinned.engine);
        // Asked once now, so that what cannot be read is told when the query is planned.
        let columns = engine.changes(&table, from, to).map_err(external)?;
        let schema = change_schema(columns.schema())?;
        let feed = Feed { engine, table, from, to, schema: Arc::clone(&schema) };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(feed)])?))
    }
}

/// The changes as a stream.
struct Feed {
    engine: Arc<Engine>,
    table: TableName,
    from: SeqNo,
    to: SeqNo,
    schema: SchemaRef,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({}, {}, {})", self.table, self.from, self.to)
    }
}

impl PartitionStream for Feed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let batches: Box<dyn Iterator<Item = Result<_>> + Send> =
            match self.engine.changes(&self.table, self.from, self.to) {
                Ok(changes) => {
                    Box::new(changes.map(move |change| change_batch(&schema, &change.map_err(external)?)))
                }
                Err(error) => Box::new(std::iter::once(Err(external(error)))),
            };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}
