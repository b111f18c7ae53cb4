//! The key of an encrypted database: rotated at once, and forgotten with the last file that needs it.

use super::core::Core;
use crate::common::{EncryptionKey, Error, KeyFault, Result};
use crate::format::layout;

impl Core {
    /// Makes `key` the one that opens the database.
    pub(super) fn rotate_key(&self, key: &EncryptionKey) -> Result<()> {
        let storage = self.storage.encryption();
        let storage = storage.ok_or_else(|| Error::key(self.storage.describe(), KeyFault::NotEncrypted))?;
        let _live = self.maintenance.lock();
        self.check_writable()?;
        storage.rotate(key, &|| self.check_lock())
    }

    /// True for an SSTable that lies under a data key from before the last rotation.
    pub(super) fn is_outdated(&self, path: &str) -> Result<bool> {
        self.storage.encryption().map_or(Ok(false), |storage| storage.is_outdated(path))
    }

    /// Drops the data keys that no file needs any more.
    pub(super) fn forget_keys(&self) -> Result<()> {
        let Some(storage) = self.storage.encryption() else { return Ok(()) };
        let _live = self.maintenance.lock();
        self.check_writable()?;
        storage.forget_unused(&layout::DIRS, &|| self.check_lock()).map(drop)
    }
}
