//! `ALTER TABLE`: columns come, go and change names; the table changes its name and its options.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Field;
use datafusion::common::DFSchema;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::sql::sqlparser::ast::{
    AlterTable as Statement, AlterTableOperation, ColumnDef, ColumnOption, ObjectName, RenameTableNameKind,
};
use trilith_engine::{AlterTable, TableDef, TableName};

use super::context::Context;
use super::create_table::Columns;
use super::table_options;
use super::target::{Target, folded, table_name};
use crate::error::{Error, Result};
use crate::query::types;

/// Runs an `ALTER TABLE`, operation by operation.
pub(super) async fn run(context: &Context<'_>, statement: Statement) -> Result<DataFrame> {
    let found = Target::find(context, &statement.name);
    if found.is_err() && statement.if_exists {
        return context.done();
    }
    let target = found?;
    let mut name = target.def.name.clone();
    let mut def = Arc::clone(&target.def);
    for operation in &statement.operations {
        let Some(change) = change(context, &def, operation).await? else { continue };
        def = context.engine().alter_table(&name, &change)?;
        name = def.name.clone();
    }
    context.done()
}

/// The engine's form of one operation; `None` when there is nothing to do.
async fn change(
    context: &Context<'_>,
    def: &Arc<TableDef>,
    operation: &AlterTableOperation,
) -> Result<Option<AlterTable>> {
    match operation {
        AlterTableOperation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
            if *if_not_exists && def.column_index(&folded(&column_def.name)).is_some() {
                return Ok(None);
            }
            add_column(context, column_def).await.map(Some)
        }
        AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
            let [column] = column_names.as_slice() else {
                return Err(Error::unsupported(
                    "DROP COLUMN with several names",
                    "write DROP COLUMN for each",
                ));
            };
            let name = folded(column);
            let skip = *if_exists && def.column_index(&name).is_none();
            Ok((!skip).then_some(AlterTable::DropColumn { name }))
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            let (from, to) = (folded(old_column_name), folded(new_column_name));
            Ok(Some(AlterTable::RenameColumn { from, to }))
        }
        AlterTableOperation::RenameTable {
            table_name: RenameTableNameKind::To(to) | RenameTableNameKind::As(to),
        } => Ok(Some(AlterTable::RenameTable { to: new_name(def, to)? })),
        AlterTableOperation::SetOptionsParens { options } => {
            Ok(Some(AlterTable::SetOptions { options: table_options::texts(options)? }))
        }
        other => Err(Error::unsupported(
            format!("ALTER TABLE ... {other}"),
            "use ADD COLUMN, DROP COLUMN, RENAME COLUMN a TO b, RENAME TO or SET (option = value)",
        )),
    }
}

/// A bare new name stays in the table's schema.
fn new_name(def: &TableDef, to: &ObjectName) -> Result<TableName> {
    let name = table_name(to)?;
    let is_bare = to.0.len() == 1;
    Ok(if is_bare { TableName::new(&def.name.schema, name.table) } else { name })
}

async fn add_column(context: &Context<'_>, column: &ColumnDef) -> Result<AlterTable> {
    if column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_))) {
        return Err(Error::unsupported(
            "ADD COLUMN ... PRIMARY KEY",
            "create a new table and INSERT ... SELECT",
        ));
    }
    let mut columns = Columns::planned(context, std::slice::from_ref(column)).await?;
    let Some(field) = columns.fields.pop() else {
        return Err(Error::invalid("ADD COLUMN", "give the column a name and a type"));
    };
    let default = columns.defaults.remove(field.name());
    let fill = match &default {
        Some(sql) => Some(constant(context, sql, &field).await?),
        None => None,
    };
    Ok(AlterTable::AddColumn { field, default, fill })
}

/// The value of a default at this moment: what rows that are there already get.
async fn constant(context: &Context<'_>, sql: &str, field: &Field) -> Result<ArrayRef> {
    let nothing = DFSchema::empty();
    let value = types::coerce(context.expression(sql, &nothing)?, field, &nothing)?;
    let plan = LogicalPlanBuilder::empty(true).project(vec![value.alias(field.name())])?.build()?;
    let batches = context.execute(plan).await?.collect().await?;
    let batch = batches.into_iter().find(|batch| batch.num_rows() == 1);
    batch.map(|batch| Arc::clone(batch.column(0))).ok_or_else(|| Error::invalid(sql, "it is not one value"))
}
