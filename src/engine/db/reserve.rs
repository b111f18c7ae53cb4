//! What is done about a full disk: a little space kept aside, so that a full disk can still be tidied up: a manifest is
//! written, a log begun.
//!
//! The file holds nothing. When one of those steps finds no space, the file goes and the step is tried once more; the
//! background thread puts the file back when there is space again.

use std::sync::atomic::Ordering;

use super::core::Core;
use crate::common::{FileId, Result};
use crate::format::layout::{self, RESERVE};
use crate::wal::draft_path;

impl Core {
    /// Makes `attempt`, and once more with the reserve when there was no space.
    pub fn with_reserve<T>(&self, attempt: impl Fn() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) if error.is_out_of_space() && self.release_reserve() => attempt(),
            outcome => outcome,
        }
    }

    /// Gives the reserve up; false when there was none.
    pub fn release_reserve(&self) -> bool {
        self.reserve.swap(false, Ordering::AcqRel) && self.storage.remove(RESERVE).is_ok()
    }

    /// Puts the reserve back. Without space for it nothing changes.
    pub fn keep_reserve(&self) {
        // An object store does not fill up.
        let wanted =
            self.options.reserve_bytes > 0 && self.storage.is_durable() && self.storage.keeps_appends();
        if wanted && !self.reserve.load(Ordering::Acquire) {
            let kept = self.write_reserve();
            self.reserve.store(true, Ordering::Release);
            if kept.is_err() {
                self.release_reserve();
            }
        }
    }

    fn write_reserve(&self) -> Result<()> {
        self.storage.remove(RESERVE)?;
        let mut file = self.storage.create(RESERVE)?;
        file.append(&vec![0; self.options.reserve_bytes])?;
        file.sync()
    }

    /// Removes what a failed creation of a log left, so that another can take its place in the chain.
    pub fn forget_log(&self, file: FileId) {
        let removed = self
            .storage
            .remove(&layout::wal(file))
            .and_then(|()| self.storage.remove(&draft_path(file, self.epoch)))
            .and_then(|()| self.storage.sync_dir(layout::WAL_DIR));
        if removed.is_err() {
            self.poison();
        }
    }
}
