//! The journal: numbered objects that say what happened to names, one after another, by one writer at a time.
//!
//! A writer puts each entry under the next number, if that is free; who takes over does the same first. So of two writers
//! one finds its number taken, and stops for good. Readers ask for what follows the newest entry they know.
//!
//! A listing is a hint: what follows the newest entry in it is found by asking for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::buffer::Buffer;
use bytes::Bytes;

use super::cache::{Cache, aligned};
use super::entry::{Entry, Kind};
use super::index::{Index, KEPT_BEHIND, Named, Part};
use super::remote::{Put, Remote};
use crate::common::sync::Mutex;
use crate::common::{ClosedReason, Error, Result};

/// Folder of the entries.
pub(super) const JOURNAL_DIR: &str = "journal";
/// Entries asked for at once.
const AT_ONCE: usize = 64;
/// Entries that a reader keeps in mind at least.
const LONG: usize = 10_000;
/// How often an opening begins anew because others opened meanwhile.
const RIVALS_MAX: u32 = 100;
/// Numbers that an opening tries one after another before it looks where the writer is by now.
const NUMBERS_TRIED: u64 = 1000;

/// The journal of one database, as one handle of it sees it.
#[derive(Debug)]
pub(super) struct Journal {
    remote: Remote,
    cache: Arc<Cache>,
    index: Mutex<Index>,
    /// Entries at which a reader reads all anew.
    long: AtomicUsize,
    /// Held while an entry is put, so that there is never more than one without an answer.
    role: Mutex<Role>,
}

/// What this handle may do.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Role {
    Reader,
    Writer(u64),
    /// Somebody took over.
    Lost(String),
    /// Whether the last entry was put is unknown.
    InDoubt,
}

impl Journal {
    pub fn new(remote: Remote, cache: Arc<Cache>) -> Self {
        let (index, long) = (Mutex::default(), AtomicUsize::new(LONG));
        Self { remote, cache, index, long, role: Mutex::new(Role::Reader) }
    }

    /// The files as of the newest entry read.
    pub fn with_index<T>(&self, look: impl FnOnce(&mut Index) -> T) -> T {
        look(&mut self.index.lock())
    }

    /// A file, as far as entries were read.
    pub fn file(&self, path: &str) -> Option<Named> {
        self.index.lock().file(path).cloned()
    }

    /// The epoch of this handle while it writes.
    pub fn epoch(&self) -> Option<u64> {
        match *self.role.lock() {
            Role::Writer(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// Reads what was put since the last look. A writer knows it all.
    pub fn refresh(&self) -> Result<()> {
        if *self.role.lock() != Role::Reader {
            return Ok(());
        }
        let known = self.index.lock().newest();
        if known == 0 {
            return self.read_all();
        }
        let after = name_of(known);
        let listed = numbers(&self.remote.list(JOURNAL_DIR, Some(&after))?);
        // Readers are not told which entries have gone.
        let is_long = self.index.lock().len() > self.long.load(Ordering::Relaxed);
        if is_long || !listed.iter().copied().eq(known + 1..known + 1 + listed.len() as u64) {
            // What came between is gone already, or not listed yet: all is read anew.
            return self.read_all();
        }
        self.take_in(&listed).map(drop)
    }

    fn read_all(&self) -> Result<()> {
        let fresh =
            Self { index: Mutex::default(), ..Self::new(self.remote.clone(), Arc::clone(&self.cache)) };
        let listed = numbers(&self.remote.list(JOURNAL_DIR, None)?);
        fresh.take_in(&listed)?;
        // A listing that lags shows neither all of the newest nor a run of them without holes.
        let newest = fresh.index.lock().newest();
        let near = newest.saturating_sub(KEPT_BEHIND) + 1..newest;
        let missing: Vec<u64> = near.filter(|number| !fresh.index.lock().knows(*number)).collect();
        if !missing.is_empty() {
            let mut all = [listed, missing].concat();
            all.sort_unstable();
            *fresh.index.lock() = Index::default();
            fresh.take_in(&all)?;
        }
        loop {
            let next = fresh.index.lock().newest() + 1;
            if fresh.take_in(&[next])? == 0 {
                break;
            }
        }
        let index = fresh.index.into_inner();
        self.long.store(index.len() * 2 + LONG, Ordering::Relaxed);
        *self.index.lock() = index;
        Ok(())
    }

    /// Reads the entries of these numbers, in their order; how many of them there are.
    fn take_in(&self, numbers: &[u64]) -> Result<usize> {
        let mut found = 0;
        for some in numbers.chunks(AT_ONCE) {
            let names: Vec<String> = some.iter().map(|number| path_of(*number)).collect();
            for (bytes, number) in self.remote.get_all(&names)?.into_iter().zip(some) {
                let Some(bytes) = bytes else { continue };
                self.index.lock().add(&self.decode(*number, &bytes)?);
                found += 1;
            }
        }
        Ok(found)
    }

    fn decode(&self, number: u64, bytes: &Bytes) -> Result<Entry> {
        let name = path_of(number);
        let entry = Entry::decode(&name, number, bytes)?;
        if entry.kind == Kind::Part {
            self.cache.put(&name, 0, aligned(&name, &entry.body)?);
        }
        Ok(entry)
    }

    /// Takes the place of the writer: from here on it can put nothing.
    pub fn take_over(&self, holder: &str) -> Result<u64> {
        let mut role = self.role.lock();
        if matches!(*role, Role::Writer(_)) {
            return Err(Error::Busy { path: self.remote.objects.describe(), holder: "this process".into() });
        }
        *role = Role::Reader;
        for _ in 0..RIVALS_MAX {
            self.read_all()?;
            if let Some(epoch) = self.seize(holder)? {
                *role = Role::Writer(epoch);
                return Ok(epoch);
            }
        }
        Err(Error::Busy {
            path: self.remote.objects.describe(),
            holder: "many others, one after another".into(),
        })
    }

    /// Puts the name of a new writer under the first number that is free; its epoch, or `None` when it is not the newest
    /// of all. Nothing is read before: whoever reads what a busy writer puts never catches up with it.
    fn seize(&self, holder: &str) -> Result<Option<u64>> {
        let (known, epoch) = {
            let index = self.index.lock();
            (index.newest(), index.epoch() + 1)
        };
        let Some(entry) = self.first_free(known + 1, epoch, holder)? else { return Ok(None) };
        let after = self.remote.list(JOURNAL_DIR, Some(&name_of(entry.number)))?;
        if !numbers(&after).is_empty() {
            // The number was free because its entry had gone already: the writer is far ahead of it.
            return Ok(None);
        }
        if entry.number == known + 1 {
            self.index.lock().add(&entry);
            return Ok(Some(epoch));
        }
        self.read_all()?;
        let index = self.index.lock();
        // Another one may have taken over between, with the same epoch.
        let is_ours = index.newest() == entry.number && index.epoch_before() < epoch;
        Ok(is_ours.then_some(epoch))
    }

    fn first_free(&self, from: u64, epoch: u64, holder: &str) -> Result<Option<Entry>> {
        for number in from..from + NUMBERS_TRIED {
            let body = Bytes::copy_from_slice(holder.as_bytes());
            let entry = Entry { kind: Kind::Writer, number, epoch, offset: 0, path: String::new(), body };
            if self.remote.put_first(&path_of(number), &entry.encode())? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Puts the name of a writer under its next number; false when another entry came first, which is read then.
    fn put_writer(&self, epoch: u64, holder: &str) -> Result<bool> {
        let number = self.index.lock().newest() + 1;
        let body = Bytes::copy_from_slice(holder.as_bytes());
        let entry = Entry { kind: Kind::Writer, number, epoch, offset: 0, path: String::new(), body };
        match self.remote.put_new(&path_of(number), &entry.encode())? {
            Put::Done => self.index.lock().add(&entry),
            Put::Taken(Some(bytes)) => {
                let other = self.decode(number, &bytes)?;
                self.index.lock().add(&other);
                return Ok(false);
            }
            Put::Taken(None) => {
                let what = "the store lists objects that it has no longer; try again";
                let why = std::io::Error::new(std::io::ErrorKind::ResourceBusy, what);
                return Err(Error::io("take over", self.remote.objects.describe(), why));
            }
        }
        Ok(true)
    }

    /// An epoch of this writer whose numbers of files, 2^32 for each epoch, lie above `used`; the first of them.
    pub fn numbers_above(&self, used: u64, holder: &str) -> Result<u64> {
        let mut role = self.role.lock();
        let Role::Writer(mut epoch) = *role else { return Err(self.refusal(&role)) };
        if used >> 32 >= epoch {
            // Files that came from another database: this one's epochs go on above theirs.
            epoch = (used >> 32) + 1;
            if !self.put_writer(epoch, holder)? {
                *role = Role::Lost(self.last_holder());
                return Err(self.refusal(&role));
            }
            *role = Role::Writer(epoch);
        }
        Ok(epoch << 32)
    }

    /// Puts an entry. After a failure nothing more can be put.
    pub fn append(&self, kind: Kind, path: &str, offset: u64, body: Bytes) -> Result<()> {
        let mut role = self.role.lock();
        let Role::Writer(epoch) = *role else { return Err(self.refusal(&role)) };
        let number = self.index.lock().newest() + 1;
        let entry = Entry { kind, number, epoch, offset, path: path.to_owned(), body };
        match self.remote.put_new(&path_of(number), &entry.encode()) {
            Ok(Put::Done) => {
                self.index.lock().add(&entry);
                Ok(())
            }
            Ok(Put::Taken(bytes)) => {
                *role = Role::Lost(self.holder_in(number, bytes));
                Err(self.refusal(&role))
            }
            Err(error) => {
                *role = Role::InDoubt;
                Err(error)
            }
        }
    }

    /// Says that nothing more will come, so that nobody has to be kept out. What goes wrong here costs an object.
    pub fn end(&self) {
        let _ = self.append(Kind::Closed, "", 0, Bytes::new());
        let mut role = self.role.lock();
        if matches!(*role, Role::Writer(_)) {
            *role = Role::Reader;
        }
    }

    /// False once somebody is known to have taken over, or an entry may or may not have been put.
    pub fn is_held(&self) -> bool {
        matches!(*self.role.lock(), Role::Writer(_))
    }

    /// Why nothing can be put.
    pub fn lost(&self) -> Error {
        self.refusal(&self.role.lock())
    }

    fn refusal(&self, role: &Role) -> Error {
        match role {
            Role::Lost(holder) => {
                Error::TakenOver { path: self.remote.objects.describe(), holder: holder.clone() }
            }
            Role::InDoubt => Error::Closed(ClosedReason::Poisoned),
            Role::Reader | Role::Writer(_) => Error::Closed(ClosedReason::ReadOnly),
        }
    }

    fn holder_in(&self, number: u64, bytes: Option<Bytes>) -> String {
        let entry = bytes.and_then(|bytes| Entry::decode(&path_of(number), number, &bytes).ok());
        let writer = entry.filter(|entry| entry.kind == Kind::Writer);
        writer.map_or_else(|| "another process".to_owned(), |entry| shown(&entry.body))
    }

    fn last_holder(&self) -> String {
        let number = self.index.lock().newest();
        self.holder_in(number, self.remote.get(&path_of(number)).ok())
    }

    /// The body of an entry.
    pub fn body(&self, file: &str, part: Part) -> Result<Buffer> {
        let name = path_of(part.number);
        if let Some(body) = self.cache.get(&name, 0) {
            return Ok(body);
        }
        let Some(bytes) = self.remote.find(&name)? else {
            let what = format!(
                "{} is missing, and holds its bytes from {} on",
                self.remote.show(&name),
                part.offset
            );
            return Err(Error::corrupt(file, part.offset, what));
        };
        let entry = Entry::decode(&name, part.number, &bytes)?;
        let body = aligned(&name, &entry.body)?;
        if body.len() as u64 != part.len || entry.path != file {
            return Err(Error::corrupt(file, part.offset, format!("{name} is another entry than it was")));
        }
        self.cache.put(&name, 0, body.clone());
        Ok(body)
    }

    /// Removes entries that nothing needs. Those that stay behind are removed by a later call.
    pub fn prune(&self) {
        let spent = self.index.lock().spent();
        if self.epoch().is_none() {
            return;
        }
        for number in spent {
            if self.remote.delete(&path_of(number)).is_err() {
                return;
            }
            self.cache.forget(&path_of(number));
            self.index.lock().forget(number);
        }
    }
}

fn shown(holder: &[u8]) -> String {
    String::from_utf8_lossy(holder).chars().filter(|c| !c.is_control()).take(256).collect()
}

/// Names sort like numbers.
fn name_of(number: u64) -> String {
    format!("{number:020}")
}

fn path_of(number: u64) -> String {
    format!("{JOURNAL_DIR}/{}", name_of(number))
}

fn numbers(names: &[String]) -> Vec<u64> {
    names.iter().filter(|name| name.len() == 20).filter_map(|name| name.parse().ok()).collect()
}
