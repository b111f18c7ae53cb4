//! `DROP TABLE`, `DROP INDEX` and `DROP SCHEMA`.

use datafusion::dataframe::DataFrame;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType};
use trilith_engine::ErrorKind;

use super::context::Context;
use super::create_index::drop_index;
use super::target::{schema_name, table_name};
use crate::error::{Error, Result};

/// Runs a `DROP`; the objects go one by one.
pub(super) fn run(
    context: &Context<'_>,
    object: ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    cascade: bool,
) -> Result<DataFrame> {
    for name in names {
        let dropped = match object {
            ObjectType::Table => drop_table(context, name),
            ObjectType::Index => drop_index(context, name),
            ObjectType::Schema => drop_schema(context, name, cascade),
            other => Err(Error::unsupported(
                format!("DROP {other}"),
                "only tables, indexes and schemas can be dropped",
            )),
        };
        match dropped {
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => {}
            outcome => outcome?,
        }
    }
    context.done()
}

fn drop_table(context: &Context<'_>, name: &ObjectName) -> Result<()> {
    Ok(context.engine().drop_table(&table_name(name)?)?)
}

fn drop_schema(context: &Context<'_>, name: &ObjectName, cascade: bool) -> Result<()> {
    let schema = schema_name(name)?;
    if cascade {
        let tables = context.pinned.snapshot.tables();
        for def in tables.iter().filter(|def| def.name.schema == schema) {
            context.engine().drop_table(&def.name)?;
        }
    }
    Ok(context.engine().drop_schema(&schema)?)
}
