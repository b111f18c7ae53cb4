//! `vacuum`: gives back now what automatic maintenance would give back in time: the bytes of rows that were deleted,
//! replaced or have expired before it began, and files that nothing names.
//!
//! Once it has returned, those bytes are in no file of the database, except where a snapshot still reads the file. What
//! the medium keeps of a removed file is not its business.

use std::sync::Arc;

use super::core::{Core, MANIFESTS_KEPT};
use super::recovery::remove_orphans;
use crate::common::{FileId, Result};
use crate::format::layout;
use crate::lsm::{Expiry, Retired, TableFile, TableState};

/// What a vacuum came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VacuumReport {
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk after it.
    pub bytes_after: u64,
    /// Files with dead rows that were rewritten without them.
    pub rewritten: u64,
    /// Files that were removed because nothing named them: left where a removal had failed.
    pub orphans: u64,
}

impl VacuumReport {
    /// Bytes that the disk has back. Files that snapshots still read go when those end, and are not counted.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.bytes_before.saturating_sub(self.bytes_after)
    }
}

impl Core {
    /// Flushes, and rewrites every file that holds a dead row, one at a time.
    pub(super) fn vacuum(&self) -> Result<VacuumReport> {
        self.check_writable()?;
        let bytes_before = self.bytes_on_disk()?;
        self.freeze(&mut self.writer.lock())?;
        self.flush_frozen()?;
        let mut rewritten = 0;
        let state = Arc::clone(&self.published.load().state);
        for table in state.tables.values() {
            for file in self.holed(table)? {
                rewritten += u64::from(self.rewrite(table.def.id, file)?);
            }
        }
        drop(state);
        self.turn_over_manifests()?;
        let orphans = self.remove_orphans()?;
        Ok(VacuumReport { bytes_before, bytes_after: self.bytes_on_disk()?, rewritten, orphans })
    }

    /// Files with a dead row.
    fn holed(&self, table: &TableState) -> Result<Vec<FileId>> {
        let expiry = Expiry::of(&table.def, self.now());
        let has_expired = |file: &TableFile| {
            expiry.map_or(Ok(false), |expiry| Ok(!expiry.in_file(&table.def, file)?.is_empty()))
        };
        let mut holed = Vec::new();
        for file in table.files.iter() {
            if file.dead_rows() > 0 || has_expired(file)? {
                holed.push(file.id());
            }
        }
        Ok(holed)
    }

    /// Writes manifests until none from before is kept: they name first and last keys of files that are gone.
    fn turn_over_manifests(&self) -> Result<()> {
        let mut live = self.maintenance.lock();
        (0..=MANIFESTS_KEPT).try_for_each(|_| self.edit_manifest(&mut live, |_| Ok(())))
    }

    /// Removes files that no manifest names, that nobody is writing, and that no snapshot reads.
    fn remove_orphans(&self) -> Result<u64> {
        let live = self.maintenance.lock();
        // A log that is being begun is a draft.
        let _writer = self.writer.lock();
        self.check_lock()?;
        let is_held = |file| self.retired.lock().iter().filter_map(Retired::held).any(|held| held == file);
        remove_orphans(&*self.storage, &live.manifest, &|file| self.numbers.is_unnamed(file) || is_held(file))
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
