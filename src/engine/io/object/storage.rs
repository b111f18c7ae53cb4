//! The storage over an object store: which file is a draft, an entry of the journal, or an object of its own.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arrow::buffer::Buffer;
use bytes::Bytes;

use super::cache::Cache;
use super::disk::{DiskCache, Kept};
use super::draft::{DraftRef, ObjectWriter, PART_LEN};
use super::index::Named;
use super::journal::{JOURNAL_DIR, Journal};
use super::lock::JournalLock;
use super::objects::{Objects, Upload};
use super::reader::{HeldReader, PartsReader, SealedReader, stamp_of};
use super::remote::{Patience, Remote};
use super::trash::Trash;
use crate::common::sync::Mutex;
use crate::common::{Error, Result};
use crate::io::path::{check_dir, check_path, split};
use crate::io::{FileReader, FileWriter, LockGuard, Stamp, Storage};

/// How often the background thread looks for objects whose time has come.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Settings of a storage over an object store.
#[derive(Clone, Copy, Debug)]
pub struct ObjectTuning {
    /// Bytes of objects kept in memory.
    pub cache_bytes: usize,
    /// How long an object stays after this writer removed it, for readers in other processes.
    pub keep_removed: Duration,
    /// How often calls are tried.
    pub patience: Patience,
}

impl Default for ObjectTuning {
    fn default() -> Self {
        let (cache_bytes, keep_removed) = (256 << 20, Duration::from_secs(300));
        Self { cache_bytes, keep_removed, patience: Patience::default() }
    }
}

/// A database on an object store.
#[derive(Debug)]
pub struct ObjectStorage {
    shared: Arc<Shared>,
}

/// What the storage, its files and its lock share.
#[derive(Debug)]
pub(super) struct Shared {
    pub remote: Remote,
    pub journal: Journal,
    pub cache: Arc<Cache>,
    pub trash: Trash,
    disk: OnceLock<Arc<DiskCache>>,
    drafts: Mutex<BTreeMap<String, DraftRef>>,
    /// Objects that this process has put and not removed.
    mine: Mutex<HashSet<String>>,
    /// The background thread was started.
    sweeping: AtomicBool,
}

impl ObjectStorage {
    /// A storage over `objects`, which hold one database or nothing. Asks nothing of them yet.
    #[must_use]
    pub fn new(objects: Arc<dyn Objects>, tuning: ObjectTuning) -> Self {
        let remote = Remote { objects, patience: tuning.patience };
        let cache = Arc::new(Cache::new(tuning.cache_bytes));
        let journal = Journal::new(remote.clone(), Arc::clone(&cache));
        let (trash, drafts) = (Trash::new(tuning.keep_removed), Mutex::default());
        let (disk, mine, sweeping) = Default::default();
        Self { shared: Arc::new(Shared { remote, journal, cache, trash, disk, drafts, mine, sweeping }) }
    }

    /// The same, which keeps what it reads of sealed objects on the local disk as well.
    #[must_use]
    pub fn with_disk(self, disk: Arc<DiskCache>) -> Self {
        self.shared.disk.get_or_init(|| disk);
        self
    }

    fn draft(&self, path: &str) -> Option<DraftRef> {
        self.shared.drafts.lock().get(path).cloned()
    }
}

impl Shared {
    /// The first bytes of a sealed object, at most `len`, the length of all of it, and what the local disk keeps of it. Bytes
    /// that are on the disk are not asked for again; whether the object is as it was, the store is asked.
    pub fn begin(&self, path: &str, len: u64) -> Result<(Bytes, u64, Option<Kept>)> {
        let (disk, address) = (self.disk.get(), || self.remote.objects.describe());
        let known = disk.and_then(|disk| disk.newest(&address(), path));
        let tag = known.as_ref().map(|(kept, _)| &*kept.tag);
        let opened = match (self.remote.open(path, len, tag)?, known) {
            (None, Some((kept, first))) => return Ok((first, kept.len, Some(kept))),
            (Some(opened), _) => opened,
            (None, None) => return Err(Error::Internal(format!("{path} was found to be as nobody knew it"))),
        };
        let kept = disk.zip(opened.tag).map(|(disk, tag)| disk.object((&address(), path), &tag, opened.len));
        if let Some(kept) = &kept {
            kept.put(0, &opened.first);
        }
        Ok((opened.first, opened.len, kept))
    }

    /// Lets go of what is kept of an object.
    fn forget(&self, path: &str) {
        self.cache.forget(path);
        if let Some(disk) = self.disk.get() {
            disk.forget(&self.remote.objects.describe(), path);
        }
    }

    /// An object is about to be put.
    fn expect(&self, path: &str) {
        self.trash.take_back(path);
        self.forget(path);
        self.mine.lock().insert(path.to_owned());
    }

    /// Puts a sealed object.
    pub fn put_sealed(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.expect(path);
        if bytes.len() <= PART_LEN {
            return self.remote.put(path, &bytes);
        }
        let parts: Vec<Bytes> = (0..bytes.len())
            .step_by(PART_LEN)
            .map(|start| bytes.slice(start..bytes.len().min(start + PART_LEN)))
            .collect();
        self.remote.put_parts(path, &parts)
    }

    /// Begins a sealed object that comes in parts.
    pub fn begin_upload(&self, path: &str) -> Result<Box<dyn Upload>> {
        self.expect(path);
        self.remote.objects.upload(path).map_err(|trouble| self.remote.error("put", path, trouble))
    }

    /// It is no draft any more.
    pub fn forget_draft(&self, path: &str) {
        self.drafts.lock().remove(path);
    }

    /// Removes what nobody needs, at once where that is wanted; the background thread does otherwise.
    pub fn tidy(&self) {
        if self.trash.is_immediate() {
            self.journal.prune();
        }
    }

    /// Deletes removed objects whose time has come.
    pub fn sweep(&self) {
        for path in self.trash.due() {
            self.forget(&path);
            if self.remote.delete(&path).is_err() {
                self.trash.put(&path);
            }
        }
    }

    /// True where there is nothing for this writer to remove: a file that a later opening may have written, or one of
    /// its own numbers that it has not put. A removal that arrives late would hit what is put there next.
    fn is_none_of_ours(&self, path: &str) -> bool {
        let number = split(path).1.split('.').next().and_then(|number| number.parse::<u64>().ok());
        let (Some(number), Some(epoch)) = (number, self.journal.epoch()) else { return false };
        match (number >> 32).cmp(&epoch) {
            Ordering::Less => false,
            Ordering::Equal => !self.mine.lock().remove(path),
            Ordering::Greater => true,
        }
    }

    fn remove(&self, path: &str) {
        if self.journal.with_index(|index| index.remove(path)) {
            self.tidy();
        } else if !self.is_none_of_ours(path) {
            self.trash.put(path);
            if self.trash.is_immediate() {
                self.sweep();
            }
        }
    }
}

impl Storage for ObjectStorage {
    fn describe(&self) -> String {
        self.shared.remote.objects.describe()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        check_path(path)?;
        let mut drafts = self.shared.drafts.lock();
        if drafts.contains_key(path) || self.shared.journal.file(path).is_some() {
            return Err(Error::io("create", path, std::io::ErrorKind::AlreadyExists.into()));
        }
        let draft = DraftRef::new(Arc::clone(&self.shared), path);
        drafts.insert(path.to_owned(), draft.clone());
        Ok(Box::new(ObjectWriter::new(draft)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        check_path(path)?;
        if let Some(bytes) = self.draft(path).and_then(|draft| draft.bytes()) {
            return Ok(Arc::new(HeldReader {
                path: path.to_owned(),
                bytes: Buffer::from(bytes),
                entry: None,
            }));
        }
        if !path.contains('/') {
            self.shared.journal.refresh()?;
        }
        match self.shared.journal.file(path) {
            Some(Named::Whole(part)) => {
                let bytes = self.shared.journal.body(path, part)?;
                Ok(Arc::new(HeldReader { path: path.to_owned(), bytes, entry: Some(part.number) }))
            }
            Some(Named::Parts(parts)) => {
                Ok(Arc::new(PartsReader::new(Arc::clone(&self.shared), path, parts)?))
            }
            None if self.shared.trash.holds(path) => {
                Err(Error::io("open", path, std::io::ErrorKind::NotFound.into()))
            }
            None => Ok(Arc::new(SealedReader::open(&self.shared, path)?)),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        check_dir(dir)?;
        if dir.is_empty() {
            self.shared.journal.refresh()?;
        }
        let mut names: BTreeSet<String> = self.shared.remote.list(dir, None)?.into_iter().collect();
        names.retain(|name| !self.shared.trash.holds(&join(dir, name)));
        let here = |path: &String| {
            let (of, name) = split(path);
            (of == dir).then(|| name.to_owned())
        };
        self.shared.journal.with_index(|index| names.extend(index.paths().filter_map(here)));
        names.extend(self.shared.drafts.lock().keys().filter_map(here));
        Ok(names.into_iter().collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        // What has a draft was not uploaded, nor is anything that is named as one.
        if self.shared.drafts.lock().remove(path).is_none() && !path.ends_with(".new") {
            self.shared.remove(path);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_path(from)?;
        check_path(to)?;
        let draft = self.shared.drafts.lock().remove(from);
        let draft = draft.ok_or_else(|| Error::io("rename", from, std::io::ErrorKind::NotFound.into()))?;
        self.shared.drafts.lock().remove(to);
        draft.name(to)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)
    }

    fn stamp(&self, path: &str) -> Result<Option<Stamp>> {
        if path.contains('/') {
            return Ok(None);
        }
        let Some(file) = self.shared.journal.file(path) else { return Ok(self.stamp_of_folder(path)) };
        let Named::Whole(_) = file else { return Ok(None) };
        self.shared.journal.refresh()?;
        match self.shared.journal.file(path) {
            Some(Named::Whole(part)) => Ok(Some(stamp_of(part.number))),
            _ => Err(Error::io("look at", path, std::io::ErrorKind::NotFound.into())),
        }
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        let lock = JournalLock::take(&self.shared)?;
        start_sweeping(&self.shared)?;
        Ok(Box::new(lock))
    }

    fn stranger(&self, known: &[&str]) -> Result<Option<String>> {
        let is_strange = |name: &String| !known.contains(&name.as_str()) && name != JOURNAL_DIR;
        Ok(self.list("")?.into_iter().find(is_strange))
    }

    fn keeps_appends(&self) -> bool {
        false
    }
}

impl ObjectStorage {
    /// The newest file that the journal has begun in a folder; only openings for writing see them go.
    fn stamp_of_folder(&self, dir: &str) -> Option<Stamp> {
        let begun = |file: &Named| match file {
            Named::Parts(parts) => parts.first().map_or(0, |part| part.number),
            Named::Whole(part) => part.number,
        };
        let newest = self.shared.journal.with_index(|index| {
            let here = index.paths().filter(|path| split(path).0 == dir).filter_map(|path| index.file(path));
            here.map(begun).max()
        });
        newest.map(|newest| Stamp { file: (0, 0), changed: (newest as i64, 0) })
    }
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// A thread that removes what is due, as long as the storage lives.
fn start_sweeping(shared: &Arc<Shared>) -> Result<()> {
    if shared.trash.is_immediate() || shared.sweeping.swap(true, AcqRel) {
        return Ok(());
    }
    let weak: Weak<Shared> = Arc::downgrade(shared);
    let work = move || {
        while let Some(shared) = weak.upgrade() {
            shared.sweep();
            shared.journal.prune();
            drop(shared);
            std::thread::sleep(SWEEP_EVERY);
        }
    };
    let started = std::thread::Builder::new().name("trilith-sweep".into()).spawn(work);
    started
        .map(drop)
        .map_err(|error| Error::io("start a thread for", shared.remote.objects.describe(), error))
}
