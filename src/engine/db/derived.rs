//! What is kept beside new files for searches: codes of vectors, and what searches asked for of the files before.

use std::sync::Arc;

use super::core::Core;
use crate::format::table::TableDef;
use crate::index::is_coded;
use crate::lsm::{TableFile, TableState, WANTED, Wanted};
use crate::sstable::SstInfo;

impl Core {
    /// What searches asked for of a table since it was opened.
    pub fn wanted(&self, table: &TableState) -> Wanted {
        let wanted = Wanted::default();
        table.files.iter().for_each(|file| wanted.add(file.wanted()));
        table.memtables().for_each(|memtable| wanted.add(&memtable.notes().get::<Wanted>(WANTED)));
        wanted
    }

    /// Writes what searches read beside new files of a table. A search makes what a disk refused.
    pub fn store_derived(&self, table: &TableState, files: &[SstInfo]) {
        let wanted = self.wanted(table);
        if !has_codes(&table.def) && wanted.is_empty() {
            return;
        }
        for file in self.open_files(&table.def, files.to_vec(), &table.files).unwrap_or_default() {
            let _ = file.store_codes(&table.def);
            wanted.make(&file, &table.def);
        }
    }

    /// New files of a table are asked for what its old ones were.
    pub fn adopt(&self, table: &TableState, files: &[Arc<TableFile>]) {
        let wanted = self.wanted(table);
        files.iter().for_each(|file| file.wanted().add(&wanted));
    }
}

fn has_codes(table: &TableDef) -> bool {
    table.columns.iter().any(|column| is_coded(column.field.data_type()).is_some())
}
