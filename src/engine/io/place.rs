//! What a path of the user's leads to: the folder of a database, or a database in a single file.

use std::path::Path;
use std::sync::Arc;

use super::local::open_mapped;
use super::{ContainerStorage, LocalOptions, LocalStorage, Storage};
use crate::common::Result;

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
