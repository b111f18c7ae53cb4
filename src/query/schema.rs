//! One schema of a snapshot: its tables, and in `public` the objects a caller lends to one statement.
//!
//! A lent object hides a table of the same name for that statement, as in DuckDB's registration.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::Result;
use trilith_engine::{Error as EngineError, TableName};

use super::connection::Pinned;
use super::passing;
use super::table::TrilithTable;
use crate::error::external;

/// Tables that live outside the database, by name.
pub type LocalTables = Arc<HashMap<String, Arc<dyn TableProvider>>>;

/// Tables of one schema.
pub struct TrilithSchema {
    pinned: Pinned,
    name: String,
    locals: LocalTables,
}

impl TrilithSchema {
    /// The schema `name` as the snapshot has it.
    #[must_use]
    pub fn new(pinned: Pinned, name: &str, locals: LocalTables) -> Self {
        Self { pinned, name: name.to_owned(), locals }
    }
}

impl fmt::Debug for TrilithSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrilithSchema({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for TrilithSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = self.pinned.snapshot.tables();
        let stored = tables
            .iter()
            .filter(|def| def.name.schema == self.name && !passing::is_passing(&def.name))
            .map(|def| def.name.table.clone());
        let mut names: Vec<String> = stored.chain(self.locals.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(local) = self.locals.get(name) {
            return Ok(Some(Arc::clone(local)));
        }
        let name = TableName::new(&self.name, name);
        if passing::is_passing(&name) {
            return Ok(None);
        }
        match self.pinned.snapshot.table(&name) {
            Ok(view) => Ok(Some(Arc::new(TrilithTable::new(self.pinned.clone(), view)))),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(external(error)),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.locals.contains_key(name)
            || self.pinned.snapshot.table(&TableName::new(&self.name, name)).is_ok()
    }
}
