//! Codes of a file's vectors: read, or made, once for all versions that hold the file.
//!
//! They are derived, so a file of codes is written without a sync and under no manifest: what a crash, a hand or time
//! did to it shows in its hash, and it is made again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use trilith_udfs::kernels::Rotation;

use crate::common::sync::Mutex;
use crate::common::{ColumnId, DatabaseId, FileId, Result};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::index::{CODED_ROWS_MIN, CodePlan, CodeSource, VectorCodes, encode, is_coded};
use crate::io::{FileReader, Storage};
use crate::sstable::SstReader;

/// What is known of the codes of one file.
#[derive(Debug, Default)]
pub(super) struct CodeCache(Mutex<HashMap<Key, Option<Opened>>>);

/// A column, and which codes it was to get: an older version of the table may want others.
type Key = (ColumnId, Option<CodePlan>);

/// Codes, and the file that they are mapped from.
#[derive(Clone, Debug)]
struct Opened {
    codes: Arc<VectorCodes>,
    file: Option<Arc<dyn FileReader>>,
}

impl CodeCache {
    /// The codes of a column, as the table's index says. Others that ask for them wait while they are made.
    pub(super) fn get(
        &self,
        storage: &dyn Storage,
        database: DatabaseId,
        reader: &SstReader,
        (table, column): (&TableDef, ColumnId),
    ) -> Result<Option<Arc<VectorCodes>>> {
        let key = (column, CodePlan::of(table, column));
        let mut known = self.0.lock();
        // Nothing of a mapping is looked at once somebody has cut its file short.
        let whole = |opened: &Opened| opened.file.as_ref().is_none_or(|file| file.check_len().is_ok());
        if let Some(found) = known.get(&key)
            && found.as_ref().is_none_or(whole)
        {
            return Ok(found.as_ref().map(|opened| Arc::clone(&opened.codes)));
        }
        let found = match source(database, reader, key) {
            None => None,
            Some(source) => Some(open(storage, source).map_or_else(|_| make(storage, reader, source), Ok)?),
        };
        let codes = found.as_ref().map(|opened| Arc::clone(&opened.codes));
        known.insert(key, found);
        Ok(codes)
    }

    /// Verifies what is stored; a file that is not there is no fault.
    pub(super) fn check(
        &self,
        storage: &dyn Storage,
        database: DatabaseId,
        (table, reader): (&TableDef, &SstReader),
        found: &mut dyn FnMut(&str, Result<u64>),
    ) -> Result<()> {
        let present = storage.list(layout::INDEX_DIR)?;
        for source in sources(database, table, reader) {
            let path = layout::codes(source.file, source.column);
            if present.iter().any(|name| path.ends_with(&format!("/{name}"))) {
                let length = || Ok(storage.open(&path)?.len());
                found(&path, open(storage, source).and_then(|_| length()));
            }
        }
        Ok(())
    }

    /// Makes and stores the codes of all columns that have such and are not stored as the table's indexes say, and
    /// forgets those that were made otherwise.
    pub(super) fn store(
        &self,
        storage: &dyn Storage,
        database: DatabaseId,
        (table, reader): (&TableDef, &SstReader),
    ) -> Result<()> {
        let is_asked = |(column, plan): &Key| CodePlan::of(table, *column) == *plan;
        self.0.lock().retain(|key, _| is_asked(key));
        for source in sources(database, table, reader) {
            if open(storage, source).is_err() {
                store(storage, source, &encode(source, &vectors(reader, source.column)?)?)?;
            }
        }
        Ok(())
    }
}

fn store(storage: &dyn Storage, source: CodeSource, codes: &[u8]) -> Result<()> {
    let path = layout::codes(source.file, source.column);
    let draft = format!("{path}.new");
    storage.remove(&draft)?;
    storage.create(&draft)?.append(codes)?;
    storage.rename(&draft, &path)
}

/// Removes the codes of one column of a file: they are not made as its index says.
pub(super) fn remove_codes_of(storage: &dyn Storage, file: FileId, column: ColumnId) -> Result<()> {
    storage.remove(&layout::codes(file, column))
}

/// Removes the codes of a file that goes. What stays behind is an orphan, which the next opening for writing removes.
pub(super) fn remove_codes(storage: &dyn Storage, file: FileId) {
    for name in storage.list(layout::INDEX_DIR).unwrap_or_default() {
        if layout::file_number(&name) == Some(file) {
            let _ = storage.remove(&format!("{}/{name}", layout::INDEX_DIR));
        }
    }
}

/// What the codes of all columns that get such are made of.
fn sources(database: DatabaseId, table: &TableDef, reader: &SstReader) -> Vec<CodeSource> {
    let planned = |column| source(database, reader, (column, CodePlan::of(table, column)));
    reader.column_ids().filter_map(planned).collect()
}

/// What codes of a column are made of; `None` for a column or a file without.
fn source(database: DatabaseId, reader: &SstReader, (column, plan): Key) -> Option<CodeSource> {
    let (info, plan) = (reader.info(), plan?);
    let at = reader.column_index(column).filter(|_| info.rows >= CODED_ROWS_MIN)?;
    let dims = is_coded(reader.schema().field(at).data_type())?;
    let padded = Rotation::padded_len(dims);
    Some(CodeSource {
        database,
        file: info.file,
        data_len: info.data_len,
        rows: info.rows,
        column,
        dims,
        padded,
        plan,
    })
}

fn open(storage: &dyn Storage, source: CodeSource) -> Result<Opened> {
    let path = layout::codes(source.file, source.column);
    let file = storage.open(&path)?;
    file.check_len()?;
    let codes = VectorCodes::decode(&path, &file.read(0..file.len())?, source)?;
    Ok(Opened { codes: Arc::new(codes), file: file.is_mapped().then_some(file) })
}

fn make(storage: &dyn Storage, reader: &SstReader, source: CodeSource) -> Result<Opened> {
    let bytes = encode(source, &vectors(reader, source.column)?)?;
    // Who only reads may not store them, and a full disk takes nothing: they are there all the same.
    let _ = store(storage, source, &bytes);
    let codes = VectorCodes::decode(&layout::codes(source.file, source.column), &bytes, source)?;
    Ok(Opened { codes: Arc::new(codes), file: None })
}

fn vectors(reader: &SstReader, column: ColumnId) -> Result<Vec<ArrayRef>> {
    let at: Vec<usize> = reader.column_index(column).into_iter().collect();
    let mut batches = Vec::with_capacity(reader.num_batches());
    for batch in 0..reader.num_batches() {
        batches.extend(reader.read_columns(batch, &at)?);
    }
    Ok(batches)
}
