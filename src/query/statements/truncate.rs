//! `TRUNCATE`: the table is replaced by an empty one of the same columns, in one step.

use std::collections::HashMap;

use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::lit;
use datafusion::sql::sqlparser::ast::Truncate;
use trilith_engine::{IfExists, IndexSpec, TableDef, TableSpec};

use super::context::Context;
use super::target::Target;
use crate::error::{Error, Result};

/// Empties the tables; the result counts the rows that went.
pub(super) async fn run(context: &Context<'_>, truncate: &Truncate) -> Result<DataFrame> {
    if truncate.partitions.is_some() {
        return Err(Error::unsupported("TRUNCATE ... PARTITION", "use DELETE with a condition"));
    }
    let mut count = 0;
    for table in &truncate.table_names {
        let target = match Target::find(context, &table.name) {
            Err(_) if truncate.if_exists => continue,
            found => found?,
        };
        count += target.view.row_count()?;
        context.engine().create_table(&spec(&target.def), IfExists::Replace)?;
    }
    let count = LogicalPlanBuilder::empty(true).project(vec![lit(count).alias("count")])?.build()?;
    context.execute(count).await
}

fn spec(def: &TableDef) -> TableSpec {
    let defaults: HashMap<String, String> = def
        .columns
        .iter()
        .filter_map(|column| Some((column.field.name().clone(), column.default.clone()?)))
        .collect();
    let key = def.key_columns().iter().map(|&i| def.columns[i].field.name().clone()).collect();
    let (name, options) = (def.name.clone(), def.options.texts(&def.columns));
    let indexes = def.indexes.iter().map(|index| IndexSpec::of(def, index)).collect();
    TableSpec { name, schema: def.schema(), primary_key: key, defaults, options, indexes }
}
