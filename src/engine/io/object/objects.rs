//! What is asked of an object store, and nothing more. Calls block; names are relative to the database.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use bytes::Bytes;

/// Why a call did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// There is no such object.
    Missing,
    /// There is one already.
    Exists,
    /// It may have taken place or not, and may succeed when it is tried again: a timeout, a busy server.
    Passing(String),
    /// It will fail again: no right, no bucket, nothing that such a store can do.
    Final(io::ErrorKind, String),
}

/// How an object begins, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its first bytes.
    pub first: Bytes,
    /// Its length.
    pub len: u64,
    /// What tells its present state from any other that an object of its name ever had, if the store knows that.
    pub tag: Option<String>,
}

/// A place for whole objects under names. What was put is found by every later `get`; a listing may lag behind by
/// a few dozen changes.
pub trait Objects: Send + Sync + Debug {
    /// Where this is, for messages; without credentials.
    fn describe(&self) -> String;

    /// Puts an object, whatever was there.
    ///
    /// # Errors
    /// `Passing`, `Final`.
    fn put(&self, name: &str, bytes: Bytes) -> Result<(), Trouble>;

    /// Puts an object where there is none.
    ///
    /// # Errors
    /// `Exists`, `Passing`, `Final`.
    fn put_new(&self, name: &str, bytes: Bytes) -> Result<(), Trouble>;

    /// Begins an object that comes in parts.
    ///
    /// # Errors
    /// `Passing`, `Final`.
    fn upload(&self, name: &str) -> Result<Box<dyn Upload>, Trouble>;

    /// The first bytes of an object, at most `len`; `None` when it is in the state `unless`.
    ///
    /// # Errors
    /// `Missing`, `Passing`, `Final`.
    fn open(&self, name: &str, len: u64, unless: Option<&str>) -> Result<Option<Opened>, Trouble>;

    /// A whole object.
    ///
    /// # Errors
    /// `Missing`, `Passing`, `Final`.
    fn get(&self, name: &str) -> Result<Bytes, Trouble>;

    /// Whole objects, in the order of their names.
    fn get_all(&self, names: &[String]) -> Vec<Result<Bytes, Trouble>> {
        names.iter().map(|name| self.get(name)).collect()
    }

    /// Parts of one object, which lie within it.
    ///
    /// # Errors
    /// `Missing`, `Passing`, `Final`.
    fn ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Trouble>;

    /// Names of the objects in `folder` (`""` is the database's own), without those in folders below it, sorted; with
    /// `after`, only those that sort after it.
    ///
    /// # Errors
    /// `Passing`, `Final`.
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Trouble>;

    /// Removes an object; fine when there is none.
    ///
    /// # Errors
    /// `Passing`, `Final`.
    fn delete(&self, name: &str) -> Result<(), Trouble>;
}

/// An object that comes in parts, and is there once all of them are. Dropped unfinished, it is none.
pub trait Upload: Send + Debug {
    /// Adds a part: of 5 MiB at least, but for the last.
    ///
    /// # Errors
    /// `Passing`, `Final`; it cannot be gone on with then.
    fn part(&mut self, bytes: Bytes) -> Result<(), Trouble>;

    /// Makes it an object.
    ///
    /// # Errors
    /// `Passing`, `Final`.
    fn finish(&mut self) -> Result<(), Trouble>;
}
