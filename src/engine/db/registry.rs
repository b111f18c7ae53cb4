//! Which databases this process has open: opening one path twice shares one engine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};

use super::check::{CheckReport, check_storage};
use super::engine::Engine;
use crate::common::sync::Mutex;
use crate::common::{EncryptionKey, Error, KeyFault, Options, Result};
use crate::io::{ContainerStorage, object, open_for, unlock};

static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Engine>>>> = LazyLock::new(Mutex::default);

/// Opens the database in a folder or, only to be read, in a single file, or hands out the engine that already has it open for writing. Read-only openings
/// share nothing: each follows the writer by itself.
///
/// # Errors
/// `NotFound`, `Invalid` for a path that holds something else and for settings other than those of the engine that is
/// shared, `Key` for a key that is not the database's, `Busy` when another process writes to it, `Corrupt`,
/// `Unsupported`, `Io`.
pub fn open_path(path: &Path, options: Options) -> Result<Arc<Engine>> {
    if options.read_only || ContainerStorage::is_at(path) {
        let options = Options { read_only: true, ..options };
        return Engine::open(open_for(path, &options)?, options);
    }
    let mut open = OPEN.lock();
    if let Some(engine) =
        identity(path).and_then(|path| open.get(&path)?.upgrade()).filter(|engine| engine.is_open())
    {
        if !engine.opens_with(options.encryption_key.as_ref()) {
            return Err(Error::key(path.display().to_string(), KeyFault::Other));
        }
        check_same(path, &options, engine.options())?;
        return Ok(engine);
    }
    let engine = Engine::open(open_for(path, &options)?, options)?;
    open.retain(|_, engine| engine.strong_count() > 0);
    if let Some(path) = identity(path) {
        open.insert(path, Arc::downgrade(&engine));
    }
    Ok(engine)
}

/// Reads every byte of the database in a folder or a single file; an encrypted one needs its `key`.
///
/// # Errors
/// When there is none, its manifest cannot be read, or the key is not the one.
pub fn check_path(
    path: &Path,
    key: Option<&EncryptionKey>,
    progress: &mut dyn FnMut(&str),
) -> Result<CheckReport> {
    let options = Options { read_only: true, create: false, ..Options::default() };
    check_storage(&unlock(open_for(path, &options)?, key)?, progress)
}

/// Handles that share an engine share its settings.
fn check_same(path: &Path, wanted: &Options, has: &Options) -> Result<()> {
    // Whether it was to be created no longer matters, of two clocks the first one counts, and the key fits.
    let (create, clock, encryption_key) = (has.create, Arc::clone(&has.clock), None);
    let wanted = Options { create, clock, encryption_key, ..wanted.clone() };
    let has = &Options { encryption_key: None, ..has.clone() };
    let differing = differing(&wanted, has);
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(
        format!("settings of database {:?}", path.display().to_string()),
        format!("this process has it open with another {differing}; use the same, or close it first"),
    ))
}

/// Names of the settings that are not equal.
fn differing(a: &Options, b: &Options) -> String {
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let unequal = a.lines().zip(b.lines()).filter(|(a, b)| a != b);
    let names: Vec<&str> = unequal.filter_map(|(a, _)| a.trim().split(':').next()).collect();
    names.join(" and ")
}

/// Two paths to one folder are one database.
fn identity(path: &Path) -> Option<PathBuf> {
    match object::address(path) {
        Some(address) => Some(object::normal(address).into()),
        None => path.canonicalize().ok(),
    }
}
