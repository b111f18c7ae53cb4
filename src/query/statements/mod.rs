//! Statements: each is planned against one snapshot; what changes the database runs at once.
//!
//! Queries stay lazy. A statement that lost a race (`Conflict`) is planned again on a newer snapshot
//! a few times before the error is the caller's. One file per statement, each giving a plan or an
//! effect; this file only chooses.

mod alter_table;
mod context;
pub(crate) mod copy;
mod create_index;
mod create_table;
mod delete;
mod drop;
mod effects;
mod explain;
mod identity;
mod insert;
mod literals;
mod on_conflict;
mod settings;
mod table_options;
mod target;
mod transaction;
mod truncate;
mod unknown;
mod update;
mod vacuum;
pub(crate) mod versions;

use std::sync::Arc;

use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{SchemaName, Statement as Ast};
use trilith_engine::ErrorKind;

use self::context::Context;
pub(crate) use self::create_index::create_index;
use self::effects::{changes_something, definition};
pub(crate) use self::unknown::unknown_tables;
use super::connection::Connection;
use super::parse::{self, Statement};
use super::schema::LocalTables;
use super::session::Sessions;
use crate::error::{Error, Result};

/// How often a statement that lost a race runs again.
const RETRIES_MAX: usize = 8;

/// A call as it came through a door.
#[derive(Clone)]
pub(crate) struct Call {
    pub sql: String,
    pub connection: Arc<Connection>,
    pub params: Option<ParamValues>,
    pub locals: LocalTables,
}

/// Runs every statement of the call; the result is that of the last.
///
/// # Errors
/// The first statement that fails; those before it stand.
pub(crate) async fn run(sessions: &Sessions, call: Call) -> Result<DataFrame> {
    let mut statements = parse::statements(&call.sql)?;
    let last = statements.pop();
    for statement in statements {
        run_one(sessions, &call, statement).await?.collect().await?;
    }
    match last {
        Some(last) => run_one(sessions, &call, last).await,
        None => Err(Error::invalid("SQL text", "it holds no statement")),
    }
}

async fn run_one(sessions: &Sessions, call: &Call, statement: Statement) -> Result<DataFrame> {
    if let Statement::Sql(sql) = &statement
        && let SqlStatement::Statement(ast) = sql.as_ref()
        && transaction::run(&call.connection, ast)?
    {
        return sessions.nothing();
    }
    match changes_something(&statement) {
        true => {
            let watch = call.connection.watch();
            watch.settle(attempt(sessions, call, statement).await)
        }
        false => attempt(sessions, call, statement).await,
    }
}

/// Runs a statement, again when it lost a race. In a transaction it reads the same snapshot each time.
async fn attempt(sessions: &Sessions, call: &Call, statement: Statement) -> Result<DataFrame> {
    let mut attempt = 0;
    loop {
        let context = Context::new(sessions, call)?;
        match Box::pin(dispatch(context, statement.clone())).await {
            Err(error)
                if error.kind() == ErrorKind::Conflict
                    && attempt < RETRIES_MAX
                    && call.connection.transaction().is_none() =>
            {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn dispatch(context: Context<'_>, statement: Statement) -> Result<DataFrame> {
    match statement {
        Statement::Copy(copy) => copy::run(&context, *copy).await,
        Statement::Checkpoint => {
            context.engine().flush()?;
            context.done()
        }
        Statement::Vacuum => vacuum::run(context),
        Statement::Versions(statement) => versions::run(&context, &statement),
        Statement::Sql(sql) => sql_statement(&context, *sql).await,
    }
}

async fn sql_statement(context: &Context<'_>, statement: SqlStatement) -> Result<DataFrame> {
    match statement {
        SqlStatement::Statement(ast) => ast_statement(context, *ast).await,
        SqlStatement::Explain(explain) => explain::run(context, explain).await,
        SqlStatement::Reset(_) => settings::run(context, statement).await,
        SqlStatement::CreateExternalTable(_) => {
            Err(Error::unsupported("CREATE EXTERNAL TABLE", "load the file with COPY table FROM 'file'"))
        }
        SqlStatement::CopyTo(_) => Err(Error::unsupported("this form of COPY", "write COPY table TO 'file'")),
    }
}

async fn ast_statement(context: &Context<'_>, ast: Ast) -> Result<DataFrame> {
    if let Some(plan) = write_plan(context, &ast).await? {
        return context.execute(plan).await;
    }
    if let Some(what) = definition(&ast) {
        context.call.connection.refuse_within(what)?;
    }
    match ast {
        Ast::CreateTable(create) => create_table::run(context, create).await,
        Ast::CreateIndex(create) => create_index::run(context, create).await,
        Ast::AlterTable(alter) => alter_table::run(context, alter).await,
        Ast::Truncate(truncate) => truncate::run(context, &truncate).await,
        Ast::Drop { object_type, if_exists, names, cascade, .. } => {
            drop::run(context, object_type, if_exists, &names, cascade)
        }
        Ast::CreateSchema { schema_name: SchemaName::Simple(name), if_not_exists, .. } => {
            let name = target::schema_name(&name)?;
            context.engine().create_schema(&name, if_not_exists)?;
            context.done()
        }
        Ast::Set(_) | Ast::Reset(_) => settings::run(context, SqlStatement::Statement(Box::new(ast))).await,
        Ast::Query(_)
        | Ast::Explain { .. }
        | Ast::ExplainTable { .. }
        | Ast::ShowTables { .. }
        | Ast::ShowColumns { .. }
        | Ast::ShowFunctions { .. }
        | Ast::ShowVariable { .. }
        | Ast::ShowCreate { .. } => context.lazy(context.plan(SqlStatement::Statement(Box::new(ast))).await?),
        other => Err(refused(&other)),
    }
}

/// The plan of a statement that writes rows; `None` for any other statement.
async fn write_plan(context: &Context<'_>, ast: &Ast) -> Result<Option<LogicalPlan>> {
    match ast {
        Ast::Insert(insert) => insert::plan(context, insert).await.map(Some),
        Ast::Update(update) => update::plan(context, update).await.map(Some),
        Ast::Delete(delete) => delete::plan(context, delete).await.map(Some),
        _ => Ok(None),
    }
}

fn refused(ast: &Ast) -> Error {
    let (what, instead) = match ast {
        Ast::CreateView(_) => ("CREATE VIEW", "use WITH, or CREATE TABLE ... AS SELECT"),
        Ast::Merge(_) => ("MERGE", "use INSERT ... ON CONFLICT, UPDATE ... FROM and DELETE ... USING"),
        Ast::Prepare { .. } | Ast::Execute { .. } | Ast::Deallocate { .. } => {
            ("PREPARE", "pass parameters with the statement: $1, $2 or $name")
        }
        _ => {
            let text = ast.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            return Error::unsupported(words.join(" "), "see the documentation for the statements there are");
        }
    };
    Error::unsupported(what, instead)
}
