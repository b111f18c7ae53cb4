//! The writer lock on an object store: the last entry of the journal that names a writer names this one.

use std::sync::Arc;

use super::storage::Shared;
use crate::common::{Error, Result};
use crate::io::LockGuard;
use crate::io::lock::describe_self;

/// Held until dropped, or until somebody takes over.
#[derive(Debug)]
pub(super) struct JournalLock {
    shared: Arc<Shared>,
    pid: u32,
}

impl JournalLock {
    pub fn take(shared: &Arc<Shared>) -> Result<Self> {
        shared.journal.take_over(describe_self().trim_end())?;
        Ok(Self { shared: Arc::clone(shared), pid: std::process::id() })
    }
}

impl LockGuard for JournalLock {
    /// No question to the store: whoever has lost it finds out at the next put, before it acknowledges anything.
    fn is_held(&self) -> bool {
        self.shared.journal.is_held()
    }

    fn lost(&self) -> Error {
        self.shared.journal.lost()
    }

    fn numbers_above(&self, used: u64) -> Result<Option<u64>> {
        self.shared.journal.numbers_above(used, describe_self().trim_end()).map(Some)
    }
}

impl Drop for JournalLock {
    fn drop(&mut self) {
        // In a forked child the parent goes on writing.
        if self.pid == std::process::id() {
            self.shared.journal.end();
        }
    }
}
