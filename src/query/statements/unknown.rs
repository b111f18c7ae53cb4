//! Names in a statement that no table of the database has: what a caller may lend objects for.

use datafusion::common::TableReference;
use datafusion::sql::resolve::resolve_table_references;
use trilith_engine::TableName;

use crate::error::Result;
use crate::query::parse::{self, Statement};
use crate::query::session::Sessions;

/// Unqualified names of tables in `sql` that do not exist, each once, in order.
///
/// # Errors
/// When the text is not SQL or the database is closed.
pub(crate) fn unknown_tables(sessions: &Sessions, sql: &str) -> Result<Vec<String>> {
    let (snapshot, normalize) = (sessions.snapshot()?, sessions.folds_names());
    let mut unknown = vec![];
    for statement in parse::statements(sql)? {
        let Statement::Sql(statement) = statement else { continue };
        for reference in resolve_table_references(&statement, normalize)?.0 {
            let TableReference::Bare { table } = reference else { continue };
            let name = TableName::public(&*table);
            let known = snapshot.table(&name).is_ok() || sessions.has_table_function(&table);
            if !known && !unknown.iter().any(|listed| *listed == *table) {
                unknown.push(table.to_string());
            }
        }
    }
    Ok(unknown)
}
