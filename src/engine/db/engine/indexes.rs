//! Indexes: those that statements name, and the files that searches keep.

use std::sync::Arc;

use super::Engine;
use crate::common::Result;
use crate::db::{IndexInfo, IndexSpec};
use crate::format::table::{TableDef, TableName};

impl Engine {
    /// Defines an index of a column of vectors and makes it for the files that are there; later files get it as they are
    /// written. A search that a crash or a full disk left without makes it.
    ///
    /// # Errors
    /// `NotFound` for the table or the column; `AlreadyExists` for the name; `Invalid` for another kind of column, one that
    /// has an index already, a kind, class or option that there is not; when the disk refuses, after which the index is defined.
    pub fn create_index(&self, table: &TableName, spec: &IndexSpec) -> Result<Arc<TableDef>> {
        self.core.create_index(table, spec)
    }

    /// Drops an index of a schema; its column has what columns have without one.
    ///
    /// # Errors
    /// `NotFound`; when the disk refuses.
    pub fn drop_index(&self, schema: &str, name: &str) -> Result<()> {
        self.core.drop_index(schema, name)
    }

    /// What searches made of columns and keep beside the files, by table and file. What is in memory alone is not listed.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        self.core.indexes()
    }
}
