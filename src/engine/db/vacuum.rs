//! `vacuum`: gives back now what automatic maintenance would give back in time: the bytes of rows that were deleted,
//! replaced or have expired before it began, and files that nothing names.
//!
//! Once it has returned, those bytes are in no file of the database, except where a snapshot still reads the file, or a
//! past version that a tag or the retention keeps needs it. Readers in other processes keep files open, not names. What the
//! medium keeps of a removed file is not its business.

use std::collections::HashSet;
use std::sync::Arc;

use super::core::{Core, MANIFESTS_KEPT};
use super::orphans::remove_orphans;
use crate::common::{FileId, Result, TableId};
use crate::format::layout;
use crate::lsm::{Expiry, Retired, TableFile, TableState, blob_shares};

/// Looks at a table's files: a merge that was under way at the first may bring in a file with dead rows once.
const LOOKS: u32 = 2;

/// What a vacuum came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VacuumReport {
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk after it.
    pub bytes_after: u64,
    /// Files that were rewritten: without their dead rows, or under the newest data key.
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
    /// Flushes, and rewrites every file that holds a dead row or lies under an earlier data key, one at a time.
    pub(super) fn vacuum(&self) -> Result<VacuumReport> {
        self.check_writable()?;
        let bytes_before = self.bytes_on_disk()?;
        self.freeze(&mut self.writer.lock())?;
        self.flush_frozen()?;
        self.forget_versions()?;
        let tables: Vec<TableId> =
            self.published.load().state.tables.values().map(|table| table.def.id).collect();
        let mut rewritten = 0;
        for table in tables {
            rewritten += self.rewrite_holed(table)?;
            rewritten += self.rewrite_blobs(table)?;
        }
        self.turn_over_manifests()?;
        let orphans = self.remove_orphans()?;
        self.forget_keys()?;
        // A removal that is not durable is none.
        for dir in layout::DIRS {
            // A folder that came with a later version of the format may be missing.
            self.storage.create_dir(dir)?;
            self.storage.sync_dir(dir)?;
        }
        Ok(VacuumReport { bytes_before, bytes_after: self.bytes_on_disk()?, rewritten, orphans })
    }

    fn rewrite_holed(&self, table: TableId) -> Result<u64> {
        let mut rewritten = 0;
        for _ in 0..LOOKS {
            let holed = self.holed(table)?;
            let mut done = 0;
            for &file in &holed {
                done += usize::from(self.rewrite(table, file, &HashSet::new())?);
            }
            rewritten += done as u64;
            if done == holed.len() {
                break;
            }
        }
        Ok(rewritten)
    }

    /// Files of a table with a dead row, or under an earlier data key.
    fn holed(&self, table: TableId) -> Result<Vec<FileId>> {
        let state = Arc::clone(&self.published.load().state);
        state.table_by_id(table).map_or_else(|| Ok(Vec::new()), |table| self.holed_of(table))
    }

    fn holed_of(&self, table: &TableState) -> Result<Vec<FileId>> {
        let expiry = Expiry::of(&table.def, self.now());
        let has_expired = |file: &TableFile| -> Result<bool> {
            expiry.map_or(Ok(false), |expiry| Ok(!expiry.in_file(&table.def, file)?.is_empty()))
        };
        let mut holed = Vec::new();
        for file in table.files.iter() {
            let is_due = file.dead_rows() > 0 || has_expired(file)?;
            if is_due || self.is_outdated(&layout::sst(file.id()))? {
                holed.push(file.id());
            }
        }
        Ok(holed)
    }

    /// Copies what is needed of each blob file that holds more than that, or lies under an earlier data key. After
    /// [`Core::rewrite_holed`], so that no row is dead.
    fn rewrite_blobs(&self, table: TableId) -> Result<u64> {
        let mut rewritten = 0;
        for _ in 0..LOOKS {
            let state = Arc::clone(&self.published.load().state);
            let Some(table) = state.table_by_id(table) else { break };
            let mut moved = HashSet::new();
            for share in blob_shares(&table.files) {
                if share.used < share.info.bytes || self.is_outdated(&share.info.path())? {
                    moved.insert(share.info.file);
                }
            }
            let refers =
                |file: &&Arc<TableFile>| file.blobs().iter().any(|blob| moved.contains(&blob.info().file));
            for file in table.files.iter().filter(refers) {
                rewritten += u64::from(self.rewrite(table.def.id, file.id(), &moved)?);
            }
        }
        Ok(rewritten)
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
        self.check_writable()?;
        self.check_lock()?;
        let is_held = |file| self.retired.lock().iter().filter_map(Retired::held).any(|held| held == file);
        // A number that was not given out yet is that of a writer who took the lock since it was looked at.
        let next = self.numbers.peek();
        let in_use = |file| self.numbers.is_unnamed(file) || is_held(file) || file >= next;
        remove_orphans(&*self.storage, self.database, &live.manifest, &in_use)
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
