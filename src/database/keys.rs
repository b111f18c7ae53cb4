//! The key of an encrypted database.

use trilith_engine::EncryptionKey;

use super::Database;
use crate::error::Result;
use crate::runtime;

impl Database {
    /// Makes `key` the one that opens an encrypted database: at once, whatever its size. Files written from then on also
    /// have a new data key; older ones get it as they are rewritten, all of them by [`Database::vacuum`]. Keep the old
    /// key until this has returned, and for backups made before.
    ///
    /// # Errors
    /// `Invalid` when the database is not encrypted; when the disk refuses, after which one of the two keys opens it.
    /// `Unsupported` inside a transaction.
    pub async fn rotate_key(&self, key: &EncryptionKey) -> Result<()> {
        let (database, key) = (self.clone(), key.clone());
        runtime::on_worker(async move { database.rotate_key_blocking(&key) }).await
    }

    /// Blocking twin of [`Database::rotate_key`].
    ///
    /// # Errors
    /// As [`Database::rotate_key`].
    pub fn rotate_key_blocking(&self, key: &EncryptionKey) -> Result<()> {
        self.check_open()?;
        self.connection.refuse_within("a new key")?;
        Ok(self.inner.engine.rotate_key(key)?)
    }
}
