//! Past versions of a database, and branches of it.

use std::path::Path;
use std::sync::Arc;

use trilith_engine::{BackupReport, OnProgress, SeqNo};

use super::Database;
use crate::error::Result;
use crate::query::connection::Connection;
use crate::runtime;

/// What a version is named by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum At {
    /// Its number.
    Version(u64),
    /// The newest that was committed at or before this moment, in milliseconds since 1970 UTC.
    Moment(i64),
    /// A tag.
    Tag(String),
}

impl Database {
    /// The number of the newest version; inside a transaction, of the one it reads.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn version(&self) -> Result<u64> {
        Ok(self.snapshot()?.seq().0)
    }

    /// The database as of an earlier version, which is only read. It stays readable as long as the handle lives.
    ///
    /// # Errors
    /// `NotFound` for a tag that is not there and for a version that is not kept; the message says which are.
    pub fn at(&self, at: &At) -> Result<Self> {
        self.check_open()?;
        let engine = &self.inner.engine;
        let version = match at {
            At::Version(number) => SeqNo(*number),
            At::Moment(millis) => engine.version_at(*millis)?,
            At::Tag(name) => engine.version_of_tag(name)?,
        };
        let connection = Connection::past(Arc::clone(engine), engine.at(version)?);
        Ok(Self { inner: Arc::clone(&self.inner), connection: Arc::new(connection) })
    }

    /// Names the newest version and returns its number: it can be read until the tag is dropped.
    ///
    /// # Errors
    /// `AlreadyExists`; `Invalid` for a name that cannot be, and for a past version.
    pub fn create_tag(&self, name: &str) -> Result<u64> {
        self.check_definable("CREATE TAG")?;
        Ok(self.inner.engine.create_tag(name)?.0)
    }

    /// Makes a branch in the new folder `path`: a database of its own that begins as this one is now, or, of a past
    /// version, as that was. Files are shared as hard links where the file system can.
    ///
    /// # Errors
    /// `Invalid` when the folder is not empty; otherwise as [`Database::backup`].
    pub async fn branch(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        let (database, path) = (self.clone(), path.as_ref().to_owned());
        runtime::on_worker(async move { database.branch_blocking(path, &mut |_| Ok(())) }).await
    }

    /// Blocking twin of [`Database::branch`]. `progress` may end it with an error.
    ///
    /// # Errors
    /// As [`Database::branch`].
    pub fn branch_blocking(&self, path: impl AsRef<Path>, progress: OnProgress<'_>) -> Result<BackupReport> {
        self.check_open()?;
        Ok(self.inner.engine.branch(path.as_ref(), self.past_version(), progress)?)
    }

    /// The version that this handle reads, when it is a past one.
    #[must_use]
    pub fn past_version(&self) -> Option<SeqNo> {
        self.connection.version()
    }
}
