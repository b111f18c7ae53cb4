//! What a statement does beside giving rows, as far as transactions care.

use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use crate::query::parse::Statement;

/// Statements whose failure fails the transaction that they are part of.
pub(super) fn changes_something(statement: &Statement) -> bool {
    let ast = match statement {
        Statement::Copy(copy) => return copy.reads_file(),
        Statement::Checkpoint | Statement::Vacuum => return false,
        Statement::Versions(_) => return true,
        Statement::Sql(sql) => match sql.as_ref() {
            SqlStatement::Statement(ast) => ast,
            SqlStatement::Explain(explain) if explain.options.analyze => match explain.statement.as_ref() {
                SqlStatement::Statement(ast) => ast,
                _ => return false,
            },
            _ => return false,
        },
    };
    matches!(ast.as_ref(), Ast::Insert(_) | Ast::Update(_) | Ast::Delete(_)) || definition(ast).is_some()
}

/// What a statement that changes definitions is called; none of them can be taken back.
pub(super) fn definition(ast: &Ast) -> Option<&'static str> {
    match ast {
        Ast::CreateTable(_) => Some("CREATE TABLE"),
        Ast::CreateIndex(_) => Some("CREATE INDEX"),
        Ast::AlterTable(_) => Some("ALTER TABLE"),
        Ast::Truncate(_) => Some("TRUNCATE"),
        Ast::Drop { .. } => Some("DROP"),
        Ast::CreateSchema { .. } => Some("CREATE SCHEMA"),
        _ => None,
    }
}
