//! Settings of an engine: plain data, no components.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{Clock, SystemClock};
use super::{EncryptionKey, Error, StoreOptions};

/// When a commit is acknowledged; named in every published figure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Durability {
    /// Held in process memory; lost when the process ends.
    None,
    /// Handed to the operating system: survives `kill -9`, not a power cut.
    Buffered,
    /// On disk, in a sync shared with concurrent commits. The default.
    #[default]
    Group,
    /// On disk, in a sync of its own.
    Strict,
}

impl Durability {
    /// The name accepted by [`Durability::from_str`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Buffered => "buffered",
            Self::Group => "group",
            Self::Strict => "strict",
        }
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::None, Self::Buffered, Self::Group, Self::Strict]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| {
                Error::invalid(format!("durability {text:?}"), "use one of none, buffered, group, strict")
            })
    }
}

/// Which past versions of a database stay readable, beside the tagged ones. A version that either number covers is
/// kept. It is part of the database; a new one keeps none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Retention {
    /// The newest so many versions before the present one; 0 for none.
    pub versions: u64,
    /// Those of the last so many milliseconds; 0 for none.
    pub millis: u64,
}

/// How an engine is opened. Byte counts unless the name says otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// Durability of commits that do not name their own.
    pub durability: Durability,
    /// Refuse every write and take no lock. Each snapshot sees what the writer of another process had acknowledged
    /// (at `buffered` or above) when it was taken; that look costs some microseconds while nothing is new.
    pub read_only: bool,
    /// Create the database when the path holds none.
    pub create: bool,
    /// Read sealed files through a memory map after verifying them; otherwise by `pread`. Those of an encrypted database
    /// are never mapped.
    pub mmap: bool,
    /// Memory for columns that were read, verified and decoded of files that are not mapped.
    pub cache_bytes: usize,
    /// The key of an encrypted database, or of a new one that is to be; `None` for one that is not encrypted.
    pub encryption_key: Option<EncryptionKey>,
    /// Memtable bytes, over all tables, at which a flush starts.
    pub memtable_bytes: usize,
    /// Appends of at least this many bytes skip the log and are written as sorted files at once.
    pub direct_append_bytes: usize,
    /// Memory that the writes of one transaction may take before its commit.
    pub transaction_bytes: usize,
    /// Rows in one Arrow batch of an SSTable.
    pub batch_rows: usize,
    /// Bytes at which a flush, a bulk append or a compaction starts a new SSTable.
    pub file_bytes: usize,
    /// Strings and bytes longer than this are stored beside the rows, once, so that flushes and compactions do not copy them
    /// and reads of other columns do not pass over them; at least 66. 0 keeps all values in the rows.
    pub blob_bytes: usize,
    /// Bytes a second that compaction may write; 0 is no limit. Flushes are never held back.
    pub compaction_bytes_per_second: u64,
    /// The time by which rows of tables with a `ttl` expire.
    pub clock: Arc<dyn Clock>,
    /// Bytes kept aside on disk, so that a full disk can still be tidied up; 0 keeps none.
    pub reserve_bytes: usize,
    /// Credentials, endpoint and the like of an object store; what they do not say comes from the environment.
    pub storage_options: StoreOptions,
    /// A folder of the local disk that keeps what is read of sealed files on an object store, also for later and for other
    /// processes; `None` for none. Nobody else should be able to write to it. It may be emptied at any time.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that `cache_dir` may hold; what was read longest ago goes first.
    pub cache_dir_bytes: u64,
    /// How long a file that this writer replaced stays on an object store, for snapshots of other processes.
    pub keep_removed: Duration,
    /// Flush and compact in background threads. Off in deterministic tests, which call `maintain`.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Group,
            read_only: false,
            create: true,
            mmap: true,
            cache_bytes: 256 << 20,
            encryption_key: None,
            memtable_bytes: 64 << 20,
            direct_append_bytes: 8 << 20,
            transaction_bytes: 256 << 20,
            batch_rows: 8192,
            file_bytes: 128 << 20,
            blob_bytes: 4 << 10,
            compaction_bytes_per_second: 0,
            clock: Arc::new(SystemClock),
            reserve_bytes: 256 << 10,
            storage_options: StoreOptions::default(),
            cache_dir: None,
            cache_dir_bytes: 10 << 30,
            keep_removed: Duration::from_secs(300),
            background: true,
        }
    }
}
