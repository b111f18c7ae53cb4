//! `inspect`: explains one file of the format in the terms of FORMAT.md, whole or damaged.
//!
//! It believes nothing that does not prove itself, never fails because of what the bytes say, and tells where they
//! are wrong. It looks at one file (and, for the checksums of an SSTable, at its companion): whether a database needs
//! the file is the business of `check`.

mod blob;
mod codes;
mod container;
mod data;
mod deletes;
mod derived;
mod encrypted;
mod log;
mod report;
mod sealed;
mod sum;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::common::{EncryptionKey, Error, Result};
use crate::format::layout;
use crate::io::{CONTAINER_MAGIC, ENCRYPTED_MAGIC, FileReader, KEYS, KEYS_MAGIC, open_file};

pub use report::{Damage, Fields, FileReport};

/// Longest file that is held in memory whole; only logs, data files and single files are longer.
const WHOLE_MAX: u64 = 1 << 30;

/// Explains a file; `records` adds one entry for each record, batch, section or file that it holds. What an encrypted
/// file holds is explained with the `key` of its database, in whose folder it must lie.
///
/// # Errors
/// `Io` when it cannot be read, `Invalid` when it is no file, `Key` for a wrong key. Damage is in the report.
pub fn inspect_path(path: &Path, key: Option<&EncryptionKey>, records: bool) -> Result<FileReport> {
    let file = open_file(path)?;
    let head = file.load(0..file.len().min(8))?;
    if let Some(key) = key.filter(|_| head[..] == ENCRYPTED_MAGIC) {
        return encrypted::inspect(path, key, records);
    }
    let companion = open_file(&path.with_extension("sum")).ok();
    inspect_file(&file, companion.as_ref(), records)
}

/// Explains a file that is open; `companion` is the `.sum` beside an SSTable's data file.
///
/// # Errors
/// `Io` when it cannot be read.
pub fn inspect_file(
    file: &Arc<dyn FileReader>,
    companion: Option<&Arc<dyn FileReader>>,
    records: bool,
) -> Result<FileReport> {
    let head = file.load(0..file.len().min(8))?;
    let mut report = FileReport::new(file.path(), file.len());
    let kind = kind_of(file.path(), &head);
    report.kind = kind.title();
    match kind {
        Kind::Log => log::explain(file, records, &mut report)?,
        Kind::Data => data::explain(file, companion, records, &mut report)?,
        Kind::Sum => sum::explain(&whole(file)?, records, &mut report),
        Kind::Deletes => deletes::explain(&whole(file)?, records, &mut report),
        Kind::Blob => blob::explain(file, &mut report)?,
        Kind::Codes => codes::explain(&whole(file)?, &mut report),
        Kind::Derived => derived::explain(&whole(file)?, &mut report),
        Kind::Manifest => sealed::manifest(&whole(file)?, records, &mut report),
        Kind::Current => sealed::current(&whole(file)?, &mut report),
        Kind::Container => container::explain(file, records, &mut report),
        Kind::Encrypted => encrypted::explain(&mut report),
        Kind::Keys => encrypted::keys(&whole(file)?, &mut report),
        Kind::Lock => lock(&whole(file)?, &mut report),
        Kind::Other => report.damaged(0, "it does not begin as any file of a Trilith database"),
    }
    if !records {
        report.records.clear();
    }
    Ok(report)
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Log,
    Data,
    Sum,
    Deletes,
    Blob,
    Codes,
    Derived,
    Manifest,
    Current,
    Lock,
    Container,
    Encrypted,
    Keys,
    Other,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Log => "write-ahead log",
            Self::Data => "SSTable",
            Self::Sum => "companion of an SSTable",
            Self::Deletes => "deletion bitmaps",
            Self::Blob => "large values",
            Self::Codes => "codes of vectors",
            Self::Derived => "made of a column for searches",
            Self::Manifest => "manifest",
            Self::Current => "CURRENT",
            Self::Lock => "lock file",
            Self::Container => "database in a single file",
            Self::Encrypted => "encrypted file",
            Self::Keys => "keys of an encrypted database",
            Self::Other => "unknown file",
        }
    }
}

/// By its first bytes; by its name where they are damaged.
fn kind_of(path: &str, head: &[u8]) -> Kind {
    match head {
        b"TRILWAL\n" => return Kind::Log,
        b"TRILSUM\0" => return Kind::Sum,
        b"TRILDEL\0" => return Kind::Deletes,
        b"TRILBLOB" => return Kind::Blob,
        b"TRICODE\0" => return Kind::Codes,
        b"TRIDERIV" => return Kind::Derived,
        b"TRIMANIF" => return Kind::Manifest,
        b"TRICURNT" => return Kind::Current,
        b"ARROW1\0\0" => return Kind::Data,
        head if head == CONTAINER_MAGIC => return Kind::Container,
        head if head == ENCRYPTED_MAGIC => return Kind::Encrypted,
        head if head == KEYS_MAGIC => return Kind::Keys,
        _ => {}
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    match (name, name.rsplit_once('.').map(|(_, kind)| kind)) {
        (layout::CURRENT, _) => Kind::Current,
        ("LOCK", _) => Kind::Lock,
        (KEYS, _) => Kind::Keys,
        (_, Some("blob")) => Kind::Blob,
        (_, Some("wal")) => Kind::Log,
        (_, Some("arrow")) => Kind::Data,
        (_, Some("sum")) => Kind::Sum,
        (_, Some("del")) => Kind::Deletes,
        (_, Some("codes")) => Kind::Codes,
        (_, Some(kind)) if kind.starts_with("text-") || kind.starts_with("sparse-") => Kind::Derived,
        (_, Some("mf")) => Kind::Manifest,
        _ => Kind::Other,
    }
}

fn whole(file: &Arc<dyn FileReader>) -> Result<Buffer> {
    if file.len() > WHOLE_MAX {
        return Err(Error::Limit {
            what: format!("bytes of {}", file.path()),
            got: file.len(),
            max: WHOLE_MAX,
        });
    }
    file.load(0..file.len())
}

fn lock(bytes: &[u8], report: &mut FileReport) {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(256).collect();
    report.set("last holder", text);
    report.set("note", "the kernel holds the lock, not this text: it stays when the holder has gone");
}
