//! What lies beside a table's files for searches, described for people.

use std::sync::Arc;

use super::core::Core;
use crate::common::Result;
use crate::format::layout;
use crate::format::table::TableName;

/// One file that was made of a column of another.
#[derive(Clone, Debug)]
pub struct IndexInfo {
    /// The table.
    pub table: TableName,
    /// The column that it was made of.
    pub column: String,
    /// What it is: `codes` of vectors, `text` for words, `sparse` for bounds of sparse vectors.
    pub kind: String,
    /// Path within the database.
    pub path: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Rows that it was made of.
    pub rows: u64,
}

impl Core {
    /// As [`super::Engine::indexes`].
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let state = Arc::clone(&self.published.load().state);
        let mut names = self.storage.list(layout::INDEX_DIR)?;
        names.sort();
        let mut found = Vec::new();
        for table in state.tables.values() {
            for name in &names {
                let Some((file, column, kind)) = layout::parse_index(name) else { continue };
                let made_of = table.files.iter().find(|known| known.id() == file);
                let column = table.def.columns.iter().find(|known| known.id == column);
                let (Some(made_of), Some(column)) = (made_of, column) else { continue };
                let path = format!("{}/{name}", layout::INDEX_DIR);
                // A file that went meanwhile is not there to list.
                let Ok(opened) = self.storage.open(&path) else { continue };
                found.push(IndexInfo {
                    table: table.def.name.clone(),
                    column: column.field.name().clone(),
                    kind: kind.to_owned(),
                    bytes: opened.len(),
                    rows: made_of.info().rows,
                    path,
                });
            }
        }
        Ok(found)
    }
}
