//! `vacuum`: gives back now what automatic maintenance would give back in time. Files that no manifest names are not its
//! business: the next opening for writing removes them, when nobody can be using them.

use std::sync::Arc;

use super::core::Core;
use crate::common::Result;
use crate::format::layout;

/// What a vacuum came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VacuumReport {
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk after it.
    pub bytes_after: u64,
    /// Files with deleted rows that were rewritten without them.
    pub rewritten: u64,
}

impl VacuumReport {
    /// Bytes that the disk has back. Files that snapshots still read go when those end, and are not counted.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.bytes_before.saturating_sub(self.bytes_after)
    }
}

impl Core {
    /// Flushes, and rewrites the tables of which a file holds a deleted row.
    pub(super) fn vacuum(&self) -> Result<VacuumReport> {
        self.check_writable()?;
        let bytes_before = self.bytes_on_disk()?;
        self.freeze(&mut self.writer.lock())?;
        self.flush_frozen()?;
        self.forget_versions()?;
        let mut rewritten = 0;
        let state = Arc::clone(&self.published.load().state);
        for table in state.tables.values() {
            let holed = table.files.iter().filter(|file| file.dead_rows() > 0).count() as u64;
            rewritten += holed;
            if holed > 0 {
                self.compact_table(table.def.id)?;
            }
        }
        drop(state);
        Ok(VacuumReport { bytes_before, bytes_after: self.bytes_on_disk()?, rewritten })
    }

    fn bytes_on_disk(&self) -> Result<u64> {
        let mut bytes = 0;
        for dir in layout::DIRS {
            for name in self.storage.list(dir)? {
                // A file may go while it is counted.
                bytes += self.storage.open(&format!("{dir}/{name}")).map_or(0, |file| file.len());
            }
        }
        Ok(bytes)
    }
}
