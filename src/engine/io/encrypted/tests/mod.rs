//! Sealed files give back what was written, or an error: never other bytes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod frames;
mod pages;
mod places;

use std::sync::Arc;

use super::*;
use crate::common::EncryptionKey;
use crate::testing::SimStorage;

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::from_bytes(&[byte; 32]).unwrap()
}

/// A disk, and the same disk as its owner sees it.
fn disk() -> (SimStorage, Arc<dyn Storage>) {
    let disk = SimStorage::new();
    let storage = unlock(Arc::new(disk.clone()), Some(&key(1))).unwrap();
    for dir in ["sst", "wal"] {
        storage.create_dir(dir).unwrap();
    }
    drop(storage.lock().unwrap());
    (disk, storage)
}

fn reopened(disk: &SimStorage) -> Arc<dyn Storage> {
    unlock(Arc::new(disk.clone()), Some(&key(1))).unwrap()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn put(storage: &dyn Storage, path: &str, bytes: &[u8]) {
    let mut file = storage.create(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

fn whole(storage: &dyn Storage, path: &str) -> Result<Vec<u8>> {
    let file = storage.open(path)?;
    Ok(file.read(0..file.len())?.to_vec())
}
