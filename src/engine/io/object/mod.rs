//! L1: a database on an object store: S3, Google Cloud Storage, Azure, or anything else that has `put if absent`.
//!
//! Objects are put whole and never change, so what a folder does by appending, renaming and locking is done here by a
//! *journal*: a row of numbered objects, each put only if its number is free. Who opens for writing puts its name into
//! the row, and from then on the writer before it cannot put anything: the number it would take next is taken. All that
//! gives something a name (a log, CURRENT) is an object of that row, so there is one order of events and one writer.
//!
//! Invariants:
//! 1. An object of the journal counts once its put is confirmed; nothing is acknowledged before.
//! 2. A put whose answer was lost is told from another writer's by the bytes that lie there.
//! 3. Sealed files have numbers that no other opening gives out, so they need no order among writers.
//! 4. A writer removes no file of a later opening.
//!
//! Not a cache policy for anything else, nor a lock server: writers do not wait for one another, the newest one wins.

mod cache;
mod cloud;
mod connect;
mod disk;
mod draft;
mod entry;
mod evict;
mod index;
mod journal;
mod lock;
mod objects;
mod piece;
mod reader;
mod remote;
mod storage;
mod trash;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod disk_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use cloud::CloudObjects;
pub use connect::{address, normal};
pub use disk::DiskCache;
pub use objects::{Objects, Opened, Trouble, Upload};
pub use remote::Patience;
pub use storage::{ObjectStorage, ObjectTuning};
