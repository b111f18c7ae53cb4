//! Names in a statement that no table of the database has: what a caller may lend objects for.

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use trilith_engine::TableName;

use crate::error::Result;
use crate::query::connection::Connection;
use crate::query::parse::{self, Statement};
use crate::query::session::Sessions;

/// Unqualified names of tables in `sql` that do not exist, each once, in order.
///
/// # Errors
/// When the text is not SQL or the database is closed.
pub(crate) fn unknown_tables(sessions: &Sessions, connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let statements: Vec<SqlStatement> =
        parse::statements(sql)?.into_iter().filter_map(names_tables).collect();
    if statements.is_empty() {
        return Ok(vec![]);
    }
    let (snapshot, normalize) = (connection.pin()?.snapshot, sessions.folds_names());
    let mut unknown = vec![];
    for statement in statements {
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

/// The statement when it may name tables: one about transactions never does, and must run in a failed one too.
fn names_tables(statement: Statement) -> Option<SqlStatement> {
    let Statement::Sql(statement) = statement else { return None };
    let about_transactions = matches!(
        statement.as_ref(),
        SqlStatement::Statement(ast)
            if matches!(
                ast.as_ref(),
                Ast::StartTransaction { .. }
                    | Ast::Commit { .. }
                    | Ast::Rollback { .. }
                    | Ast::Savepoint { .. }
                    | Ast::ReleaseSavepoint { .. }
            )
    );
    (!about_transactions).then_some(*statement)
}
