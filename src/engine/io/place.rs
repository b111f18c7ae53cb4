//! What a path of the user's leads to: the folder of a database, a database in a single file, or an object store.

use std::path::Path;
use std::sync::Arc;

use super::local::open_mapped;
use super::object::{DiskCache, address};
use super::{ContainerStorage, LocalOptions, LocalStorage, ObjectStorage, ObjectTuning, Storage};
use crate::common::{Options, Result};

/// Opens the place that a path, or the address of an object store, leads to, with the settings of an engine.
///
/// # Errors
/// Those of [`open_place`] and [`ObjectStorage::connect`].
pub fn open_for(path: &Path, options: &Options) -> Result<Arc<dyn Storage>> {
    if let Some(address) = address(path) {
        let Options { cache_bytes, keep_removed, .. } = *options;
        let tuning = ObjectTuning { cache_bytes, keep_removed, ..ObjectTuning::default() };
        let storage = ObjectStorage::connect(address, &options.storage_options, tuning)?;
        return Ok(Arc::new(match &options.cache_dir {
            Some(folder) => storage.with_disk(DiskCache::new(folder, options.cache_dir_bytes)?),
            None => storage,
        }));
    }
    let local = LocalOptions {
        // What is mapped of an encrypted file is of no use before it was copied.
        mmap: options.mmap && options.encryption_key.is_none(),
        create: options.create && !options.read_only,
        read_only: options.read_only,
        cache_bytes: options.cache_bytes,
    };
    open_place(path, local)
}

/// Opens the place at `path`; a single file is only read, whatever the options say.
///
/// # Errors
/// Those of [`LocalStorage::open`] and [`ContainerStorage::open`].
pub fn open_place(path: &Path, options: LocalOptions) -> Result<Arc<dyn Storage>> {
    if ContainerStorage::is_at(path) {
        let container = ContainerStorage::open(open_mapped(path, options.mmap)?)?;
        return Ok(Arc::new(container.with_cache(options.cache())));
    }
    Ok(Arc::new(LocalStorage::open(path, options)?))
}
