//! The folder a backup is written to: whose it is, and when it becomes a database.

use std::sync::Arc;

use crate::common::{DatabaseId, Error, FileId, Result};
use crate::db::manifest::{self, Manifest, PublishError, Stored};
use crate::db::orphans::remove_orphans;
use crate::format::layout;
use crate::io::{LockGuard, Storage};

/// Stands in a folder until its first backup is whole, so that nobody takes it for an empty one.
const UNFINISHED: &str = "UNFINISHED-BACKUP";

/// A folder for a backup of one database, locked against other writers.
#[derive(Debug)]
pub(in crate::db) struct Target {
    storage: Arc<dyn Storage>,
    database: DatabaseId,
    /// The backup that is there already.
    before: Option<Stored>,
    lock: Box<dyn LockGuard>,
}

impl Target {
    /// Takes a folder that is empty, or holds an earlier or unfinished backup of the same database.
    pub(in crate::db) fn open(storage: Arc<dyn Storage>, database: DatabaseId) -> Result<Self> {
        let before = manifest::load(&*storage)?;
        match &before {
            Some(stored) if stored.database != database => {
                let why =
                    "it holds another database; give a new or empty folder, or an earlier backup of this one";
                return Err(Error::invalid(format!("{:?}", storage.describe()), why));
            }
            Some(_) => {}
            None if storage.list("")?.iter().any(|name| name == UNFINISHED) => {}
            None => check_empty(&*storage)?,
        }
        for dir in layout::DIRS {
            storage.create_dir(dir)?;
        }
        let lock = storage.lock()?;
        if before.is_none() {
            storage.publish("", UNFINISHED, b"a backup was begun here and did not come to its end\n")?;
        }
        Ok(Self { storage, database, before, lock })
    }

    pub(in crate::db) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(in crate::db) fn shared(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(in crate::db) fn database(&self) -> DatabaseId {
        self.database
    }

    /// The manifest of the backup that is there.
    pub(in crate::db) fn before(&self) -> Option<&Manifest> {
        self.before.as_ref().map(|stored| &stored.manifest)
    }

    /// The greatest number of any file in the folder, whether the backup needs it or not.
    pub(in crate::db) fn greatest_file(&self) -> Result<FileId> {
        let mut greatest = FileId(0);
        for dir in layout::NAMED_DIRS {
            let numbers = self.storage.list(dir)?;
            let found = numbers.iter().filter_map(|name| layout::file_number(name)).max();
            greatest = greatest.max(found.unwrap_or_default());
        }
        Ok(greatest)
    }

    /// A number that no manifest here has, so that the one before stays whole until CURRENT is swung.
    pub(in crate::db) fn next_number(&self, number: u64) -> Result<u64> {
        let number = self.before().map_or(number, |before| number.max(before.number + 1));
        Ok(self.lock.numbers_above(number)?.map_or(number, |own| own + 1))
    }

    /// Makes the backup what the folder holds.
    pub(in crate::db) fn publish(&self, manifest: &Manifest) -> Result<()> {
        self.storage.sync_dir("")?;
        let published = manifest::publish(&*self.storage, self.database, manifest, &|| Ok(()));
        published.map(drop).map_err(|error| match error {
            PublishError::Unchanged(error) | PublishError::Unknown(error) => error,
        })
    }

    /// The folder is a database from here on.
    pub(in crate::db) fn settle(&self) -> Result<()> {
        self.storage.remove(UNFINISHED)?;
        self.storage.sync_dir("")
    }

    /// Removes what a failed backup brought. What cannot be removed is still marked as unfinished.
    pub(in crate::db) fn take_back(&self) {
        // The failure that led here is the one to report.
        let _ = self.clear();
    }

    fn clear(&self) -> Result<()> {
        if let Some(now) = manifest::load(&*self.storage)? {
            return remove_orphans(&*self.storage, now.database, &now.manifest, &|_| false).map(drop);
        }
        for dir in layout::DIRS {
            for name in self.storage.list(dir)? {
                self.storage.remove(&format!("{dir}/{name}"))?;
            }
        }
        self.storage.remove(&format!("{}.new", layout::CURRENT))?;
        self.storage.remove(UNFINISHED)
    }
}

/// Refuses a folder that holds anything but what an emptied backup leaves.
pub(in crate::db) fn check_empty(storage: &dyn Storage) -> Result<()> {
    let mut found = storage.stranger(&layout::DIRS)?;
    for dir in layout::DIRS {
        found = found.or(storage.list(dir)?.first().map(|name| format!("{dir}/{name}")));
    }
    match found {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            format!("{:?}", storage.describe()),
            format!("it is not empty (it holds {name:?}); give a new or empty folder"),
        )),
    }
}
