//! What a backup is asked for, and what it says of itself.

use crate::common::Result;

/// How files get into a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CopyMode {
    /// As hard links where the file system allows, otherwise copied.
    #[default]
    Link,
    /// Always copied, and so read and verified in full.
    Copy,
}

/// How far a backup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackupProgress {
    /// Bytes that the backup holds so far.
    pub done: u64,
    /// Bytes that it will hold.
    pub total: u64,
}

/// What a backup came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackupReport {
    /// Number of its manifest.
    pub version: u64,
    /// The last commit in it.
    pub seq: u64,
    /// Files of rows and of deletion bitmaps.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are links to the database's own.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Files that an earlier backup in the same folder had brought.
    pub reused: u64,
}

/// Hears of the progress; an error of it ends the work, and what was done of it is taken back.
pub type OnProgress<'a> = &'a mut dyn FnMut(BackupProgress) -> Result<()>;
