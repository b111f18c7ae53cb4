//! The schema `trilith`: tables that describe the database, as of the statement's snapshot.
//!
//! One file per table, each a function from the snapshot to one batch; nothing is stored.

mod columns;
mod compactions;
mod files;
mod index_files;
mod indexes;
mod metrics;
mod settings;
mod stats;
mod tables;
mod tags;
mod versions;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::connection::Pinned;

type Describe = fn(&Pinned) -> Result<RecordBatch>;

/// Every system table and what fills it.
const TABLES: [(&str, Describe); 11] = [
    ("columns", columns::describe),
    ("compactions", compactions::describe),
    ("files", files::describe),
    ("index_files", index_files::describe),
    ("indexes", indexes::describe),
    ("metrics", metrics::describe),
    ("settings", settings::describe),
    ("stats", stats::describe),
    ("tables", tables::describe),
    ("tags", tags::describe),
    ("versions", versions::describe),
];

/// The system tables of one snapshot.
pub(crate) struct SystemSchema {
    pinned: Pinned,
}

impl SystemSchema {
    pub(crate) fn new(pinned: Pinned) -> Self {
        Self { pinned }
    }
}

impl fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemSchema")
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some((_, describe)) = TABLES.iter().find(|(table, _)| *table == name) else { return Ok(None) };
        let batch = describe(&self.pinned)?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|(table, _)| *table == name)
    }
}
