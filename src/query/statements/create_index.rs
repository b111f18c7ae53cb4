//! `CREATE INDEX [name] ON table USING kind (column [class]) WITH (option = value, ...)`, and `DROP INDEX`: the parts as
//! text. What they mean, and which there are, the engine says.

use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::sql::sqlparser::ast::{BinaryOperator, CreateIndex, Expr, IndexColumn, ObjectName};
use trilith_engine::{Engine, Error as EngineError, IndexSpec, OptionTexts, TableName};

use super::context::Context;
use super::table_options::value_text;
use super::target::{Target, folded, table_name};
use crate::error::{Error, Result};

/// The kind of an index whose statement does not say.
const KIND_DEFAULT: &str = "ivf";

/// Runs a `CREATE INDEX`.
pub(super) async fn run(context: &Context<'_>, create: CreateIndex) -> Result<DataFrame> {
    refuse_clauses(&create)?;
    let target = Target::find(context, &create.table_name)?;
    let spec = spec(&create)?;
    let there =
        spec.name.as_ref().is_some_and(|name| target.def.indexes.iter().any(|known| known.name == *name));
    if create.if_not_exists && there {
        return context.done();
    }
    create_index(context.engine(), target.def.name.clone(), spec).await?;
    context.done()
}

/// Makes an index on a thread of its own, which goes on when nobody waits for it.
///
/// # Errors
/// As [`Engine::create_index`].
pub(crate) async fn create_index(engine: &Arc<Engine>, table: TableName, spec: IndexSpec) -> Result<()> {
    let engine = Arc::clone(engine);
    let made = tokio::task::spawn_blocking(move || engine.create_index(&table, &spec)).await;
    made.map_err(|error| EngineError::Internal(error.to_string()))??;
    Ok(())
}

/// Drops an index: `name`, or `schema.name`.
pub(super) fn drop_index(context: &Context<'_>, name: &ObjectName) -> Result<()> {
    let name = table_name(name)?;
    Ok(context.engine().drop_index(&name.schema, &name.table)?)
}

fn refuse_clauses(create: &CreateIndex) -> Result<()> {
    let refused = [
        (create.unique, "CREATE UNIQUE INDEX"),
        (!create.include.is_empty(), "INCLUDE"),
        (create.nulls_distinct.is_some(), "NULLS DISTINCT"),
        (create.predicate.is_some(), "CREATE INDEX ... WHERE"),
        (!create.index_options.is_empty() || !create.alter_options.is_empty(), "options after CREATE INDEX"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(
            clause,
            "write CREATE INDEX name ON table USING ivf (column vector_cosine_ops) WITH (recall = 0.98)",
        )),
        None => Ok(()),
    }
}

fn spec(create: &CreateIndex) -> Result<IndexSpec> {
    let [IndexColumn { column, operator_class }] = create.columns.as_slice() else {
        return Err(Error::unsupported("an index of several columns", "create one for each"));
    };
    let Expr::Identifier(name) = &column.expr else {
        return Err(Error::unsupported(format!("an index of {}", column.expr), "name a column of vectors"));
    };
    Ok(IndexSpec {
        name: create.name.as_ref().map(table_name).transpose()?.map(|name| name.table),
        column: folded(name),
        kind: create
            .using
            .as_ref()
            .map_or_else(|| KIND_DEFAULT.to_owned(), |kind| kind.to_string().to_lowercase()),
        class: operator_class.as_ref().map(ToString::to_string),
        options: create.with.iter().map(option).collect::<Result<OptionTexts>>()?,
    })
}

fn option(option: &Expr) -> Result<(String, String)> {
    let refused = || Error::invalid(format!("option {option}"), "write name = value");
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = option else { return Err(refused()) };
    let Expr::Identifier(name) = left.as_ref() else { return Err(refused()) };
    Ok((folded(name), value_text(right).ok_or_else(refused)?))
}
