//! What a simulated disk holds: what processes see, and how much of it would outlive a power cut.
//!
//! Files only grow, so the durable part of one is a length. Names are durable one change at a time. A disk is
//! cheap to clone: contents are shared, and only the machine whose handle created a file appends to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::io::MemoryFile;
use crate::io::path::split;

/// Number of a file, whatever its name.
pub(super) type Inode = usize;

/// One file.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    /// At least `len` bytes; more when another machine that shares it went on appending.
    pub(super) content: Arc<MemoryFile>,
    /// Bytes that processes see.
    pub(super) len: usize,
    /// Bytes that a sync made durable, or that the system believes to be.
    pub(super) synced: usize,
    /// Parts of the synced bytes that a failed sync dropped: seen until the power goes.
    pub(super) lost: Vec<Range<usize>>,
    /// Bytes the file was given room for; beyond `len` they read as zeros.
    pub(super) room: usize,
    /// Room that a sync made durable.
    pub(super) synced_room: usize,
}

impl FileState {
    /// A file whose every byte is durable.
    pub(super) fn durable(bytes: &[u8]) -> Self {
        let content = Arc::new(MemoryFile::new(bytes));
        let len = bytes.len();
        Self { content, len, synced: len, lost: Vec::new(), room: 0, synced_room: 0 }
    }

    /// What was appended.
    pub(super) fn appended(&self) -> Buffer {
        self.content.bytes().slice_with_length(0, self.len)
    }

    /// What a reader finds.
    pub(super) fn bytes(&self) -> Buffer {
        if self.room <= self.len {
            return self.appended();
        }
        let mut bytes = self.appended().to_vec();
        bytes.resize(self.room, 0);
        bytes.into()
    }
}

/// A change of names that no folder sync has covered.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create { path: Arc<str>, inode: Inode },
    Remove { path: Arc<str> },
    Rename { from: Arc<str>, to: Arc<str>, inode: Inode },
}

impl NameChange {
    fn touches(&self, dir: &str) -> bool {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => split(path).0 == dir,
            Self::Rename { from, to, .. } => split(from).0 == dir || split(to).0 == dir,
        }
    }

    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Create { path, inode } => {
                names.insert(Arc::clone(path), *inode);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(Arc::clone(to), *inode);
            }
        }
    }
}

/// Which file a path names.
pub(super) type Names = BTreeMap<Arc<str>, Inode>;

/// A whole disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) dirs: BTreeSet<Arc<str>>,
    pub(super) files: Vec<FileState>,
    /// What processes see.
    pub(super) names: Names,
    /// What a power cut certainly leaves.
    pub(super) durable: Names,
    /// What leads from `durable` to `names`, in order.
    pub(super) pending: Vec<NameChange>,
}

impl Disk {
    pub(super) fn inode(&self, path: &str) -> io::Result<Inode> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<Inode> {
        let (dir, _) = split(path);
        if !dir.is_empty() && !self.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.files.len();
        self.files.push(FileState::durable(&[]));
        self.change(NameChange::Create { path: path.into(), inode });
        Ok(inode)
    }

    pub(super) fn remove(&mut self, path: &str) {
        if self.names.contains_key(path) {
            self.change(NameChange::Remove { path: path.into() });
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.inode(from)?;
        self.change(NameChange::Rename { from: from.into(), to: to.into(), inode });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &str) {
        let (settled, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|change| change.touches(dir));
        let settled: Vec<NameChange> = settled;
        settled.iter().for_each(|change| change.apply(&mut self.durable));
        self.pending = pending;
    }

    pub(super) fn append(&mut self, inode: Inode, bytes: &[u8]) {
        if let Some(file) = self.files.get_mut(inode) {
            file.content.append(bytes);
            file.len += bytes.len();
        }
    }

    pub(super) fn sync(&mut self, inode: Inode) {
        if let Some(file) = self.files.get_mut(inode) {
            file.synced = file.len;
            file.synced_room = file.room;
        }
    }

    pub(super) fn reserve(&mut self, inode: Inode, len: usize) {
        if let Some(file) = self.files.get_mut(inode) {
            file.room = file.room.max(len);
        }
    }

    pub(super) fn trim(&mut self, inode: Inode) {
        if let Some(file) = self.files.get_mut(inode) {
            file.room = 0;
        }
    }

    /// A sync that fails as on Linux: the data is never written, and no longer counts as unsynced.
    pub(super) fn lose_unsynced(&mut self, inode: Inode) {
        if let Some(file) = self.files.get_mut(inode).filter(|file| file.synced < file.len) {
            file.lost.push(file.synced..file.len);
            file.synced = file.len;
        }
    }

    /// Puts a durable file under a durable name, whatever was there.
    pub(super) fn plant(&mut self, path: &str, bytes: &[u8]) {
        let inode = self.files.len();
        self.files.push(FileState::durable(bytes));
        let change = NameChange::Create { path: path.into(), inode };
        change.apply(&mut self.names);
        change.apply(&mut self.durable);
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}
