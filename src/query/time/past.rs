//! `table_at('schema', 'table', 'version' | 'timestamp' | 'tag', value)`: a table as of an earlier version. What
//! `AT (...)` behind a table's name becomes.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use trilith_engine::{SeqNo, TableName};

use super::arguments::{self, Call};
use crate::error::external;
use crate::query::table::TrilithTable;

/// Name of the function.
pub(super) const NAME: &str = "table_at";
/// What a version is named by.
pub(super) const VERSION: &str = "version";
/// The newest at a moment.
pub(super) const TIMESTAMP: &str = "timestamp";
const TAG: &str = "tag";
/// All of them.
pub(super) const KINDS: [&str; 3] = [VERSION, TIMESTAMP, TAG];

/// The function.
pub(super) struct TableAt(pub Call);

impl fmt::Debug for TableAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl TableFunctionImpl for TableAt {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [schema, table, kind, value] = args.exprs() else {
            return plan_err!("write the version behind the table: items AT (VERSION => 12)");
        };
        let text = |what, argument| self.0.text(NAME, what, argument);
        let name = TableName::new(text("schema", schema)?, text("table", table)?);
        let version = match text("kind", kind)?.as_str() {
            VERSION => self.0.version("AT", "version", value)?,
            TIMESTAMP => self.at_moment(value)?,
            TAG => {
                let tag = self.0.text("AT", "tag", value)?;
                self.0.pinned.engine.version_of_tag(&tag).map_err(external)?
            }
            other => return plan_err!("AT: {other:?} names no version; there are {}", KINDS.join(", ")),
        };
        let snapshot = self.0.pinned.engine.at(version).map_err(external)?;
        let view = snapshot.table(&name).map_err(external)?;
        Ok(Arc::new(TrilithTable::new(self.0.pinned.past(snapshot), view)))
    }
}

impl TableAt {
    fn at_moment(&self, value: &datafusion::logical_expr::Expr) -> Result<SeqNo> {
        let value = self.0.constant("AT", "timestamp", value)?;
        let millis = arguments::millis("AT", &value)?;
        self.0.pinned.engine.version_at(millis).map_err(external)
    }
}
