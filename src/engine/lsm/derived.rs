//! What searches make of one column of a sealed file: opened where it is stored, or made, once for all versions that
//! hold the file.
//!
//! It is derived, so it is written without a sync and under no manifest: what a crash, a hand or time did to it shows in its
//! hash, and it is made again. Who wants it says how it is made ([`Derivation`]); this module knows bytes only.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

use super::columns::read_columns;
use super::file::TableFile;
use crate::common::sync::Mutex;
use crate::common::{ColumnId, DatabaseId, Result};
use crate::format::derived::{self, DerivedSource};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::io::{FileReader, Storage};
use crate::sstable::SstReader;

/// How something is made of a column, and read again.
pub trait Derivation: Clone + Send + Sync + 'static {
    /// What it is once opened.
    type Opened: Any + Send + Sync;

    /// One lower-case word, which ends the names of its files.
    fn kind(&self) -> &'static str;

    /// All that it depends on besides the rows, in words; another description is another file.
    fn description(&self) -> String;

    /// Makes the bytes of all rows, which come batch by batch.
    ///
    /// # Errors
    /// Whatever makes that impossible.
    fn make(&self, rows: &mut dyn Iterator<Item = Result<ArrayRef>>) -> Result<Vec<u8>>;

    /// Reads bytes that `make` returned.
    ///
    /// # Errors
    /// When they are none of such.
    fn open(&self, bytes: Buffer) -> Result<Self::Opened>;
}

/// Under which a memtable's notes keep what is wanted of it.
pub const WANTED: &str = "wanted";

/// What searches want of a table, so that it is made for a new file by the thread that writes it and not by the next
/// search: what was asked of the files that it takes the place of, and of the memtables.
#[derive(Default)]
pub struct Wanted(Mutex<BTreeMap<(ColumnId, String), Maker>>);

type Maker = Arc<dyn Fn(&TableFile, &TableDef) -> Result<()> + Send + Sync>;

impl Wanted {
    /// Something is asked of a column.
    pub fn note<D: Derivation>(&self, column: ColumnId, how: &D) {
        self.0.lock().entry((column, how.description())).or_insert_with(|| {
            let how = how.clone();
            Arc::new(move |file, table| {
                // A column that was dropped is wanted no more.
                let at = table.columns.iter().position(|known| known.id == column);
                at.map_or(Ok(()), |at| file.derived(table, at, &how).map(|_| ()))
            })
        });
    }

    /// True when nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Takes over what others want.
    pub fn add(&self, others: &Self) {
        let others: Vec<_> =
            others.0.lock().iter().map(|(key, maker)| (key.clone(), Arc::clone(maker))).collect();
        self.0.lock().extend(others);
    }

    /// Makes all of it for a file. What fails is made by the search that asks for it, which then says why.
    pub fn make(&self, file: &TableFile, table: &TableDef) {
        let makers: Vec<Maker> = self.0.lock().values().map(Arc::clone).collect();
        makers.iter().for_each(|make| drop(make(file, table)));
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.lock().keys()).finish()
    }
}

/// What is open of one file, by column and description.
#[derive(Debug, Default)]
pub(super) struct DerivedCache {
    open: Mutex<HashMap<(ColumnId, String), Slot>>,
    pub(super) wanted: Wanted,
}

/// One thing that is made or being made: others that ask for it wait, those that ask for something else do not.
type Slot = Arc<Mutex<Option<Held>>>;

/// What was opened, and the file that it is mapped from.
#[derive(Debug)]
struct Held {
    opened: Arc<dyn Any + Send + Sync>,
    file: Option<Arc<dyn FileReader>>,
}

impl Held {
    /// Nothing of a mapping is looked at once somebody has cut its file short.
    fn is_whole(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.check_len().is_ok())
    }
}

impl DerivedCache {
    pub(super) fn get<D: Derivation>(
        &self,
        storage: &dyn Storage,
        database: DatabaseId,
        (table, column): (&TableDef, usize),
        reader: &SstReader,
        how: &D,
    ) -> Result<Arc<D::Opened>> {
        let source = source(database, reader, table.columns[column].id, how);
        let slot =
            Arc::clone(self.open.lock().entry((source.column, source.description.clone())).or_default());
        self.wanted.note(source.column, how);
        let mut held = slot.lock();
        let known = held.as_ref().filter(|held| held.is_whole()).map(|held| Arc::clone(&held.opened));
        if let Some(opened) = known.and_then(|opened| opened.downcast::<D::Opened>().ok()) {
            return Ok(opened);
        }
        let (opened, file) = match stored(storage, &source, how) {
            Ok(found) => found,
            Err(_) => {
                let values = |batch| Ok(read_columns(table, reader, batch, &[column])?.column(0).clone());
                (make(storage, &mut (0..reader.num_batches()).map(values), &source, how)?, None)
            }
        };
        *held = Some(Held { opened: Arc::clone(&opened) as _, file });
        Ok(opened)
    }
}

/// Verifies what is stored of a file; `found` hears of each and of its length if it is whole.
pub(super) fn check(
    storage: &dyn Storage,
    reader: &SstReader,
    found: &mut dyn FnMut(&str, Result<u64>),
) -> Result<()> {
    let file = reader.info().file;
    for name in storage.list(layout::INDEX_DIR)? {
        if layout::file_number(&name) == Some(file) && layout::is_derived(&name) {
            let path = format!("{}/{name}", layout::INDEX_DIR);
            let verified = storage.open(&path).and_then(|opened| {
                derived::verify(&path, &opened.load(0..opened.len())?).map(|()| opened.len())
            });
            found(&path, verified);
        }
    }
    Ok(())
}

fn source(
    database: DatabaseId,
    reader: &SstReader,
    column: ColumnId,
    how: &impl Derivation,
) -> DerivedSource {
    let (info, description) = (reader.info(), how.description());
    DerivedSource { database, file: info.file, data_len: info.data_len, rows: info.rows, column, description }
}

type Found<T> = (Arc<T>, Option<Arc<dyn FileReader>>);

fn stored<D: Derivation>(storage: &dyn Storage, source: &DerivedSource, how: &D) -> Result<Found<D::Opened>> {
    let path = layout::derived(source.file, source.column, how.kind(), source.variant());
    let file = storage.open(&path)?;
    file.check_len()?;
    let body = derived::open(&path, &file.read(0..file.len())?, source)?;
    Ok((Arc::new(how.open(body)?), file.is_mapped().then_some(file)))
}

fn make<D: Derivation>(
    storage: &dyn Storage,
    rows: &mut dyn Iterator<Item = Result<ArrayRef>>,
    source: &DerivedSource,
    how: &D,
) -> Result<Arc<D::Opened>> {
    let body = how.make(rows)?;
    // Who only reads may not store it, and a full disk takes nothing: it is there all the same.
    let _ = store(storage, source, how.kind(), &body);
    Ok(Arc::new(how.open(Buffer::from(body))?))
}

fn store(storage: &dyn Storage, source: &DerivedSource, kind: &str, body: &[u8]) -> Result<()> {
    let path = layout::derived(source.file, source.column, kind, source.variant());
    let draft = format!("{path}.new");
    storage.remove(&draft)?;
    storage.create(&draft)?.append(&derived::seal(source, body))?;
    storage.rename(&draft, &path)
}
