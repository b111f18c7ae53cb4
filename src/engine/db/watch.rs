//! Cheap answers to "did the writer change a name?", for readers that follow it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::manifest;
use crate::common::{Error, Result};
use crate::format::{Hash128, layout};
use crate::io::{FileReader, Stamp, Storage};

/// Longer than any system's clock stands still: two changes of a folder that far apart have different stamps.
const TICK: Duration = Duration::from_millis(100);

/// One state of CURRENT. It keeps the file open, so that no other file can get its number.
#[derive(Clone, Debug)]
pub(super) struct CurrentWatch {
    file: Arc<dyn FileReader>,
    stamp: Option<Stamp>,
}

impl CurrentWatch {
    /// CURRENT as it is now.
    ///
    /// # Errors
    /// `NotFound` when the folder holds no database, `Io`.
    pub fn open(storage: &dyn Storage) -> Result<Self> {
        let file = match storage.open(layout::CURRENT) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                super::open::refuse_remains(storage)?;
                return Err(Error::NotFound { entity: "database", name: storage.describe() });
            }
            file => file?,
        };
        let stamp = file.stamp()?;
        Ok(Self { file, stamp })
    }

    /// The open file.
    pub fn file(&self) -> &dyn FileReader {
        &*self.file
    }

    /// Hash of the manifest that it names.
    pub fn hash(&self) -> Result<Hash128> {
        manifest::named_hash(&*self.file)
    }

    /// True when the name is known to lead to this file still.
    pub fn is_level(&self, storage: &dyn Storage) -> Result<bool> {
        let Some(stamp) = &self.stamp else { return Ok(false) };
        Ok(storage.stamp(layout::CURRENT)?.is_some_and(|now| now.file == stamp.file))
    }

    /// True when it names another manifest now.
    pub fn has_moved(&self, storage: &dyn Storage) -> Result<bool> {
        Ok(!self.is_level(storage)? && Self::open(storage)?.hash()? != self.hash()?)
    }
}

/// One state of the log's folder.
#[derive(Clone, Debug)]
pub(super) struct FolderWatch {
    stamp: Option<Stamp>,
    seen: Instant,
    /// The folder was listed when its stamp was older than [`TICK`], so that nothing can hide behind it.
    settled: bool,
}

impl FolderWatch {
    /// The folder as it is now; list it after this, unless it is settled.
    pub fn look(storage: &dyn Storage, before: Option<&Self>) -> Result<Self> {
        let stamp = stamp(storage)?;
        match before.filter(|before| stamp.is_some() && before.stamp == stamp) {
            Some(before) if before.settled => Ok(before.clone()),
            Some(before) => Ok(Self { settled: false, ..before.clone() }),
            None => Ok(Self { stamp, seen: Instant::now(), settled: false }),
        }
    }

    /// True when a listing made earlier still holds.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// True when no file was added or removed since it was listed.
    pub fn is_level(&self, storage: &dyn Storage) -> Result<bool> {
        Ok(self.settled && stamp(storage)? == self.stamp)
    }

    /// To be called once the folder was listed.
    pub fn listed_at(&mut self, asked: Instant) {
        self.settled = self.stamp.is_some() && asked.duration_since(self.seen) > TICK;
    }
}

fn stamp(storage: &dyn Storage) -> Result<Option<Stamp>> {
    match storage.stamp(layout::WAL_DIR) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        stamp => stamp,
    }
}
