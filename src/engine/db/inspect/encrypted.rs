//! Files of an encrypted database: what they say without the key, and with it.

use std::path::Path;
use std::sync::Arc;

use super::report::FileReport;
use crate::common::{EncryptionKey, Error, Result};
use crate::io::{KEYS, LocalOptions, LocalStorage, describe_keys, unlock};

/// Explains what is in the file, which lies in the folder of its database.
pub(super) fn inspect(path: &Path, key: &EncryptionKey, records: bool) -> Result<FileReport> {
    let path =
        std::path::absolute(path).map_err(|source| Error::io("find", path.display().to_string(), source))?;
    let is_database = |folder: &&Path| folder.join(KEYS).is_file();
    let Some(folder) = path.ancestors().skip(1).take(2).find(is_database) else {
        let why = "the file KEYS of its database is neither beside it nor in the folder above; give the file in its place";
        return Err(Error::invalid(format!("{:?}", path.display().to_string()), why));
    };
    let inside = |path: &Path| {
        path.strip_prefix(folder).ok().and_then(Path::to_str).map(str::to_owned).ok_or_else(|| {
            Error::invalid(
                format!("{:?}", path.display().to_string()),
                "no file of a database has such a name",
            )
        })
    };
    let options = LocalOptions { mmap: false, create: false, read_only: true, cache_bytes: 0 };
    let storage = unlock(Arc::new(LocalStorage::open(folder, options)?), Some(key))?;
    let name = inside(&path)?;
    let companion = storage.open(&inside(&path.with_extension("sum"))?).ok();
    match storage.open(&name) {
        Ok(file) => {
            let mut report = super::inspect_file(&file, companion.as_ref(), records)?;
            report.set("encrypted", true);
            Ok(report)
        }
        Err(error @ Error::Corrupt { .. }) => {
            let mut report = FileReport::new(&name, super::open_file(&path)?.len());
            report.kind = super::Kind::Encrypted.title();
            report.failed(&error);
            Ok(report)
        }
        Err(error) => Err(error),
    }
}

/// What an encrypted file says to anybody.
pub(super) fn explain(report: &mut FileReport) {
    report.set("note", "give the key of its database to see what it holds (--key-file, or TRILITH_KEY)");
}

/// What `KEYS` says to anybody.
pub(super) fn keys(bytes: &[u8], report: &mut FileReport) {
    match describe_keys(bytes) {
        Ok((id, keys)) => {
            report.set("keys of", format!("{id:032x}"));
            report.set("data keys", keys);
        }
        Err(error) => report.failed(&error),
    }
}
