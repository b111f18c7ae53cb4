//! From a path to an engine: create, recover, or say clearly why not.

use std::sync::Arc;

use super::core::{Core, Live, Writer};
use super::follow::Follower;
use super::group::CommitQueue;
use super::history::History;
use super::jobs::Jobs;
use super::manifest::{self, Manifest, PublishError, Stored};
use super::orphans::remove_orphans;
use super::recovery::{Recovered, log_files, recover};
use crate::common::sync::{ArcSwap, AtomicBool, Condvar, Mutex};
use crate::common::{DatabaseId, Epoch, Error, Figures, FileId, MonotoneClock, Options, Result, SeqNo};
use crate::format::layout;
use crate::io::{LockGuard, Storage, unlock};
use crate::lsm::compaction::Pace;
use crate::lsm::{FileNumbers, Published, State};
use crate::wal::read_header;

/// Opens what `storage` holds, or creates a database there.
pub(super) fn open_core(storage: Arc<dyn Storage>, options: Options) -> Result<Core> {
    if options.encryption_key.is_some() && !storage.is_durable() {
        let why = "a database in memory writes no files to encrypt; give a path, or no key";
        return Err(Error::invalid("the encryption key", why));
    }
    let storage = unlock(storage, options.encryption_key.as_ref())?;
    if options.read_only { open_reader(storage, options) } else { open_writer(storage, options) }
}

fn open_reader(storage: Arc<dyn Storage>, options: Options) -> Result<Core> {
    let (follower, published) = Follower::open(&storage)?;
    let stored = Stored::clone(follower.stored());
    let numbers = (stored.manifest.next_file, stored.manifest.epoch);
    let recovered =
        Recovered { state: State::clone(&published.state), seq: published.seq(), wal: None, tail: None };
    let core = assemble(storage, options, stored, recovered, numbers, None);
    *core.follower.lock() = Some(follower);
    Ok(core)
}

fn open_writer(storage: Arc<dyn Storage>, options: Options) -> Result<Core> {
    let lock = lock(&*storage, &options)?;
    remove_drafts(&*storage)?;
    let stored = manifest::load(&*storage)?;
    let used = stored.as_ref().map_or(0, |stored| stored.manifest.next_file.0.max(stored.manifest.number));
    let own = lock.numbers_above(used)?;
    let stored = match stored {
        Some(stored) => {
            // A folder that came with a later version of the format may be missing; its name must be durable before a
            // manifest names a file in it.
            for dir in layout::DIRS {
                storage.create_dir(dir)?;
            }
            // The last process may have died between the renaming of CURRENT and the sync of its folder; what the
            // manifest before it needs is removed below.
            storage.sync_dir("")?;
            stored
        }
        None => create(&*storage, &*lock, own)?,
    };
    let next = next_numbers(&*storage, &stored, own)?;
    let log = storage.is_durable().then_some(next);
    let recovered = recover(&storage, stored.database, &stored.manifest, log, &|| held(&*lock))?;
    let (history, retired) = History::open(&storage, &stored, &recovered.state);
    remove_orphans(&*storage, stored.database, &stored.manifest, &|file| file > next.0)?;
    let core = assemble(storage, options, stored, recovered, (next.0.next(), next.1), Some(lock));
    let core = Core { first_manifest: own.unwrap_or_default(), ..core };
    core.maintenance.lock().history = history;
    *core.retired.lock() = retired;
    Ok(core)
}

fn held(lock: &dyn LockGuard) -> Result<()> {
    if lock.is_held() { Ok(()) } else { Err(lock.lost()) }
}

/// What an earlier writer was about to name, it shall not find: see [`crate::io::Fence`].
fn remove_drafts(storage: &dyn Storage) -> Result<()> {
    for dir in ["", layout::MANIFEST_DIR, layout::WAL_DIR] {
        for name in storage.list(dir)?.iter().filter(|name| layout::is_draft(name)) {
            storage.remove(&if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") })?;
        }
    }
    Ok(())
}

/// The number of the first file of this opening, above all that were ever given out, and its epoch. In a folder files are
/// numbered from 2^32 times the epoch: a writer that does not know yet that its lock is gone makes and removes files too,
/// and they shall not be those of the next one.
fn next_numbers(storage: &dyn Storage, stored: &Stored, own: Option<u64>) -> Result<(FileId, Epoch)> {
    let mut epoch = stored.manifest.epoch;
    if let Some(newest) = log_files(storage, &stored.manifest)?.last() {
        epoch = epoch.max(read_header(storage, *newest, stored.database)?.epoch);
    }
    // What is listed on an object store may be another writer's.
    if let Some(own) = own {
        return Ok((FileId(own), epoch.next()));
    }
    let mut used = stored.manifest.next_file;
    for dir in layout::DATA_DIRS {
        let greatest = storage.list(dir)?.iter().filter_map(|name| layout::file_number(name)).max();
        used = used.max(greatest.unwrap_or_default());
    }
    // Numbers that came with a backup may lie above those of this epoch.
    let epoch = epoch.next().max(Epoch((used.0 >> 32) + 1));
    Ok((FileId(epoch.0 << 32), epoch))
}

/// Only a folder that is ours, or empty, gets a lock file written into it.
fn lock(storage: &dyn Storage, options: &Options) -> Result<Box<dyn LockGuard>> {
    check_ours(storage)?;
    if options.create {
        for dir in layout::DIRS {
            storage.create_dir(dir)?;
        }
    } else if !storage.list("")?.iter().any(|name| name == layout::CURRENT) {
        refuse_remains(storage)?;
        return Err(Error::NotFound { entity: "database", name: storage.describe() });
    }
    storage.lock()
}

fn check_ours(storage: &dyn Storage) -> Result<()> {
    let names = storage.list("")?;
    if names.iter().any(|name| name == layout::CURRENT) {
        return Ok(());
    }
    let ours = |name: &str| {
        ["LOCK", layout::RESERVE].contains(&name) || layout::is_draft(name) || layout::DIRS.contains(&name)
    };
    match names.iter().find(|name| !ours(name)) {
        Some(other) => Err(Error::invalid(
            format!("{:?}", storage.describe()),
            format!(
                "it is not a Trilith database (it holds {other:?} and no CURRENT); give a new or empty folder"
            ),
        )),
        None => Ok(()),
    }
}

fn create(storage: &dyn Storage, lock: &dyn LockGuard, own: Option<u64>) -> Result<Stored> {
    refuse_remains(storage)?;
    let database = DatabaseId(rand::random());
    let manifest = Manifest { number: own.unwrap_or_default() + 1, ..Manifest::empty() };
    storage.sync_dir("")?;
    let published = manifest::publish(storage, database, &manifest, &|| held(lock));
    let hash = published.map_err(|error| match error {
        PublishError::Unchanged(error) | PublishError::Unknown(error) => error,
    })?;
    Ok(Stored { manifest, database, hash })
}

/// A database whose CURRENT is gone must not be taken for an empty folder.
pub(super) fn refuse_remains(storage: &dyn Storage) -> Result<()> {
    let is_first = |name: &String| layout::is_first_manifest(name) || layout::is_draft(name);
    let manifests = storage.list(layout::MANIFEST_DIR)?.iter().any(|name| !is_first(name));
    let mut remains = manifests;
    for dir in layout::DATA_DIRS {
        remains |= !storage.list(dir)?.is_empty();
    }
    if remains {
        return Err(Error::corrupt(
            layout::CURRENT,
            0,
            "it is missing, and the folder holds files of a database",
        ));
    }
    Ok(())
}

fn assemble(
    storage: Arc<dyn Storage>,
    options: Options,
    stored: Stored,
    recovered: Recovered,
    (next_file, epoch): (FileId, Epoch),
    lock: Option<Box<dyn LockGuard>>,
) -> Core {
    let Stored { manifest, database, hash } = stored;
    let first_log = manifest.wal_start.or(recovered.wal.as_ref().map(|wal| wal.end().file));
    let latest = manifest.clock.max(recovered.state.times.newest().unwrap_or_default());
    let clock = Arc::new(MonotoneClock::new(Arc::clone(&options.clock), latest));
    let state = State { clock, ..recovered.state };
    let published = Published::new(Arc::new(state), recovered.seq);
    let pace = Pace::new(options.compaction_bytes_per_second);
    Core {
        storage,
        options,
        database,
        epoch,
        numbers: FileNumbers::new(next_file),
        first_manifest: 0,
        published: ArcSwap::from_pointee(published),
        recent: Default::default(),
        follower: Mutex::default(),
        queue: CommitQueue::default(),
        writer: Mutex::new(Writer {
            wal: recovered.wal,
            previous: None,
            first_log,
            seq: recovered.seq,
            frozen: SeqNo(0),
        }),
        maintenance: Mutex::new(Live { manifest, hash: Some(hash), history: History::default() }),
        work: (Mutex::new(()), Condvar::new()),
        figures: Figures::default(),
        jobs: Jobs::default(),
        pace,
        retired: Mutex::default(),
        reserve: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        poisoned: AtomicBool::new(false),
        fenced: AtomicBool::new(false),
        lock: Mutex::new(lock),
        pid: std::process::id(),
    }
}
