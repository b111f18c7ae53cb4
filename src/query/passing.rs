//! Passing names: what a table is called while `CREATE TABLE ... AS` fills it.
//!
//! The table gets its own name when it is whole. A process that dies before leaves a table under a
//! passing name; nobody lists or reaches it, and the next process that opens the database drops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trilith_engine::{Engine, TableName};

use crate::error::Result;

/// What passing names, and no others, hold.
const MARK: &str = " (being created by ";

/// A name nobody else uses, for a table that is filled before it is called `name`.
///
/// No statement lists or reaches it, and what a dead process leaves under one is dropped by the next that
/// opens the database. `AlterTable::RenameTable` or `ReplaceTable` gives the table its own name.
#[must_use]
pub fn passing_name(name: &TableName) -> TableName {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    TableName::new(&name.schema, format!("{}{MARK}{}, {number})", name.table, std::process::id()))
}

/// Whether a table of this name is still being filled.
pub(crate) fn is_passing(name: &TableName) -> bool {
    name.table.contains(MARK)
}

/// Drops what processes before this one left half created; only the one writer may call it.
///
/// # Errors
/// When the engine cannot drop a table.
pub(crate) fn drop_orphans(engine: &Arc<Engine>) -> Result<()> {
    let own = format!("{MARK}{}, ", std::process::id());
    for def in engine.snapshot()?.tables() {
        if is_passing(&def.name) && !def.name.table.contains(&own) {
            engine.drop_table(&def.name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{Database, EngineOptions, Options};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use trilith_engine::{IfExists, TableSpec};

    fn table(engine: &Arc<Engine>, name: TableName) {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let spec = TableSpec {
            name,
            schema,
            primary_key: vec![],
            defaults: std::collections::HashMap::new(),
            options: trilith_engine::OptionTexts::new(),
            indexes: vec![],
        };
        engine.create_table(&spec, IfExists::Fail).unwrap();
    }

    #[test]
    fn orphans_are_hidden_and_dropped_by_the_next_process() {
        let engine = Engine::in_memory(EngineOptions::default()).unwrap();
        table(&engine, TableName::public(format!("t{MARK}0, 7)")));
        let own = passing_name(&TableName::public("t"));
        table(&engine, own.clone());
        let database = Database::over(Arc::clone(&engine), &Options::default()).unwrap();
        let names: Vec<TableName> =
            engine.snapshot().unwrap().tables().iter().map(|def| def.name.clone()).collect();
        assert_eq!(names, std::slice::from_ref(&own));
        assert_eq!(database.table_names().unwrap(), []);
        assert!(database.sql_blocking(&format!("SELECT * FROM \"{}\"", own.table)).is_err());
        assert!(database.sql_blocking(&format!("CREATE TABLE \"{}\" (a INT)", own.table)).is_err());
    }
}
