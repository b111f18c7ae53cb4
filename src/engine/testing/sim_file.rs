//! Handles on a simulated disk.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::disk::Inode;
use super::faulty::CallKind;
use super::machine::{Machine, Outcome};
use super::sim::SimStorage;
use crate::common::sync::Mutex;
use crate::common::{ClosedReason, Error, Result};
use crate::io::storage::check_range;
use crate::io::{FileReader, FileWriter, LockGuard};

/// Appends to one file, whatever its name has become.
#[derive(Debug)]
pub(super) struct SimWriter {
    storage: SimStorage,
    path: String,
    inode: Inode,
    len: u64,
    failed: bool,
    /// An append found no space: no more appends, but a sync is as good as before.
    full: bool,
}

impl SimWriter {
    pub(super) fn new(storage: SimStorage, path: &str, inode: Inode) -> Self {
        Self { storage, path: path.to_owned(), inode, len: 0, failed: false, full: false }
    }

    fn attempt(
        &mut self,
        kind: CallKind,
        op: &'static str,
        effect: impl FnOnce(&mut Machine, Outcome) -> io::Result<()>,
    ) -> Result<()> {
        if self.failed {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        self.storage.call(kind, (op, &self.path), effect).inspect_err(|error| {
            let only_full = kind == CallKind::Append && error.is_out_of_space();
            (self.full, self.failed) = (only_full, !only_full);
        })
    }
}

impl FileWriter for SimWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.full {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        let inode = self.inode;
        self.attempt(CallKind::Append, "append to", |machine, outcome| {
            let written = match outcome {
                Outcome::Done => bytes.len(),
                Outcome::Failed(None) => 0,
                Outcome::Failed(Some(part)) => (part % (bytes.len() as u64 + 1)) as usize,
            };
            machine.disk.append(inode, &bytes[..written]);
            Ok(())
        })?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let inode = self.inode;
        self.attempt(CallKind::Sync, "sync", |machine, outcome| {
            match outcome {
                Outcome::Done => machine.disk.sync(inode),
                // The power went meanwhile: the data is where any unsynced data is.
                Outcome::Failed(part) if machine.off => {
                    part.into_iter().for_each(|_| machine.disk.sync(inode))
                }
                Outcome::Failed(_) => machine.disk.lose_unsynced(inode),
            }
            Ok(())
        })
    }

    fn reserve(&mut self, len: u64) -> u64 {
        let inode = self.inode;
        let given =
            self.storage.call(CallKind::Reserve, ("reserve room for", &self.path), |machine, outcome| {
                let given = if let Outcome::Done | Outcome::Failed(Some(_)) = outcome { len } else { 0 };
                machine.disk.reserve(inode, given as usize);
                Ok(given)
            });
        given.unwrap_or(0)
    }

    fn trim(&mut self) {
        let inode = self.inode;
        // As on a disk, nobody is told how it went.
        let _ = self.storage.call(CallKind::Trim, ("trim", &self.path), |machine, outcome| {
            if let Outcome::Done | Outcome::Failed(Some(_)) = outcome {
                machine.disk.trim(inode);
            }
            Ok(())
        });
    }
}

/// One file as it was when it was opened.
#[derive(Debug)]
pub(super) struct SimReader {
    storage: SimStorage,
    path: String,
    bytes: Buffer,
}

impl SimReader {
    pub(super) fn new(storage: SimStorage, path: &str, bytes: Buffer) -> Self {
        Self { storage, path: path.to_owned(), bytes }
    }
}

impl FileReader for SimReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (start, len) = check_range(&self.path, self.len(), &range)?;
        let view = self.bytes.slice_with_length(start, len);
        self.storage.call(CallKind::Read, ("read", &self.path), |_, _| Ok(view))
    }

    fn is_mapped(&self) -> bool {
        self.storage.mapped()
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }
}

/// Frees the lock when dropped.
#[derive(Debug)]
pub(super) struct SimLock(pub(super) Arc<Mutex<Machine>>);

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.lock().locked = false;
    }
}
