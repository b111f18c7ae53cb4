//! Encryption at rest: a place for a database whose every file is sealed with AES-256-GCM.
//!
//! The caller's key opens the file `KEYS`, whose data keys open everything else, so that changing it rewrites one small
//! file. No order of pieces, no file in the place of another, and no part of another database opens. Not protected:
//! what the process holds in memory, names and sizes of files, and the age of a folder as a whole.

mod cipher;
mod frame;
mod keys;
mod log_reader;
mod log_writer;
mod pages;
mod storage;

#[cfg(test)]
mod tests;

pub use cipher::{ENCRYPTED_MAGIC, Salts};
pub use keys::{KEYS, KEYS_MAGIC, describe_keys};
pub use storage::{EncryptedStorage, unlock, unlock_with_salts};

use std::sync::Arc;

use super::Storage;
use crate::common::Result;

/// `place`, encrypted with the keys of `source` if that is encrypted and `place` not yet.
///
/// # Errors
/// `Invalid` when `place` has other keys; `Io`.
pub fn encrypted_like(source: &dyn Storage, place: Arc<dyn Storage>) -> Result<Arc<dyn Storage>> {
    match source.encryption().filter(|_| place.encryption().is_none()) {
        Some(source) => source.extend_to(place),
        None => Ok(place),
    }
}
