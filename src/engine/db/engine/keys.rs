//! The key of an encrypted database.

use super::Engine;
use crate::common::{EncryptionKey, Result};

impl Engine {
    /// Makes `key` the one that opens an encrypted database: at once, whatever its size. Files written from then on also
    /// have a new data key; older ones get it as they are rewritten, all of them by [`Engine::vacuum`]. Keep the old key
    /// until this has returned, and for backups made before.
    ///
    /// # Errors
    /// `Key` when the database is not encrypted; `Closed`; when the disk refuses, after which one of the two keys opens it.
    pub fn rotate_key(&self, key: &EncryptionKey) -> Result<()> {
        self.core.rotate_key(key)
    }

    /// True when files are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.core.storage.encryption().is_some()
    }

    /// True when the database opens with `key`, or without one.
    pub(in crate::db) fn opens_with(&self, key: Option<&EncryptionKey>) -> bool {
        match (self.core.storage.encryption(), key) {
            (Some(storage), Some(key)) => storage.opens_with(key),
            (storage, key) => storage.is_none() && key.is_none(),
        }
    }
}
