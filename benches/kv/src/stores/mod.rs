//! The stores behind one face, so that every workload treats them alike.

use std::error::Error;
use std::path::Path;

use crate::data::{KEY, Rows};

mod fjall;
mod lmdb;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod trilith;

pub use trilith::Trilith;

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// When a write returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// With the operating system, or as near to it as the store has.
    Buffered,
    /// After fdatasync.
    Durable,
}

/// What a scan or a get shows its rows to.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// Reads as of one moment, where the store has moments.
pub trait Reader {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool>;

    /// Rows of many keys; visits those that are there, in the order of `keys`.
    fn get_many(&self, keys: &[[u8; KEY]], visit: Visit) -> Outcome {
        keys.iter().try_for_each(|key| self.get(key, &mut *visit).map(|_| ()))
    }

    /// Up to `limit` rows from `from` on, upwards or downwards.
    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome;
}

pub trait Store: Send + Sync {
    /// Writes rows in one commit.
    fn put(&self, rows: &Rows) -> Outcome;

    /// Writes one row in one commit.
    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome;

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome;

    /// Everything in files, and the work on them done.
    fn settle(&self) -> Outcome;
}

/// The names of the stores that this build has, ours first.
pub fn names() -> Vec<&'static str> {
    let mut names = vec!["trilith"];
    if cfg!(feature = "rocksdb") {
        names.push("rocksdb");
    }
    names.extend(["fjall", "redb", "lmdb"]);
    names
}

/// Opens a store in a folder, with `cache` bytes of memory for what it reads where it has such a setting.
pub fn open(name: &str, path: &Path, level: Level, cache: usize) -> Outcome<Box<dyn Store>> {
    Ok(match name {
        "trilith" => Box::new(Trilith::open(path, level)?),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => Box::new(rocksdb::Rocks::open(path, level, cache)?),
        "fjall" => Box::new(fjall::Fjall::open(path, level, cache)?),
        "redb" => Box::new(redb::Redb::open(path, level, cache)?),
        "lmdb" => Box::new(lmdb::Lmdb::open(path, level)?),
        other => return Err(format!("no store {other:?} in this build; there are {:?}", names()).into()),
    })
}
