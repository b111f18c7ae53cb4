//! L1: the one door to bytes. Nothing outside this folder opens a file.
//!
//! Invariants:
//! 1. No order is assumed between two operations that were not synced.
//! 2. A sealed file never changes; only `CURRENT` is ever replaced, by rename.
//! 3. A failed sync is never retried: the caller poisons the writer.

pub(crate) mod aligned;
mod cache;
mod container;
mod encrypted;
mod local;
mod local_file;
mod lock;
mod memory;
pub mod object;
pub(crate) mod path;
mod place;
pub(crate) mod storage;

pub use cache::{Cache, CacheFigures, FileCache};
pub use container::{CONTAINER_MAGIC, ContainerStorage, ContainerWriter, FileDraft, Member, Reopen};
pub use encrypted::{
    ENCRYPTED_MAGIC, EncryptedStorage, KEYS, KEYS_MAGIC, Salts, describe_keys, encrypted_like, unlock,
    unlock_with_salts,
};
pub use local::{LocalOptions, LocalStorage, open_file};
pub(crate) use memory::MemoryFile;
pub use memory::MemoryStorage;
pub use object::{ObjectStorage, ObjectTuning};
pub use place::{open_for, open_place};
pub use storage::{Fence, FileReader, FileWriter, LockGuard, Stamp, Storage};
