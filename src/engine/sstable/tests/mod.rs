#![expect(clippy::unwrap_used, reason = "tests")]
//! SSTables against a model in memory, and under damage.

mod damage;
mod forged;
mod model;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{KeySpec, RowKeys, SstHeader, SstInfo, SstKey, SstReader, SstWriter};
use crate::common::{ColumnId, DatabaseId, FileId, RowId, SeqNo, TableId};
use crate::format::key::KeyCodec;
use crate::format::row_ids::RowIdRuns;
use crate::format::table::COLUMN_ID_KEY;
use crate::io::{LocalOptions, LocalStorage, MemoryStorage, Storage};

const DATABASE: DatabaseId = DatabaseId(0x5eed);

fn memory() -> Arc<dyn Storage> {
    let storage = MemoryStorage::new();
    storage.create_dir("sst").unwrap();
    Arc::new(storage)
}

/// A folder on disk, mapped or not.
fn local(dir: &std::path::Path, mmap: bool) -> Arc<dyn Storage> {
    let options = LocalOptions { mmap, ..LocalOptions::default() };
    let storage = LocalStorage::open(dir, options).unwrap();
    storage.create_dir("sst").unwrap();
    Arc::new(storage)
}

/// A batch whose fields carry column ids 10, 11, ...
fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let field = |(i, (name, column)): (usize, &(&str, ArrayRef))| {
        let id = HashMap::from([(COLUMN_ID_KEY.to_owned(), (i + 10).to_string())]);
        Field::new(*name, column.data_type().clone(), true).with_metadata(id)
    };
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns.into_iter().map(|(_, c)| c).collect(), &options)
        .unwrap()
}

fn header(file: u64, schema: &SchemaRef, key: SstKey, batch_rows: usize) -> SstHeader {
    let (database, file, schema) = (DATABASE, FileId(file), Arc::clone(schema));
    SstHeader { database, file, table: TableId(3), schema, key, batch_rows }
}

/// A key of the first `columns` columns of a batch.
fn key_spec(batch: &RecordBatch, columns: usize) -> KeySpec {
    let types: Vec<_> = batch.columns()[..columns].iter().map(|c| c.data_type().clone()).collect();
    let ids = (0..columns).map(|i| ColumnId(i as u32 + 10)).collect();
    KeySpec { columns: ids, codec: Arc::new(KeyCodec::new(&types).unwrap()) }
}

/// Writes sorted rows, in pieces of `piece` rows.
fn write_keyed(
    storage: &Arc<dyn Storage>,
    file: u64,
    batch: &RecordBatch,
    key: &KeySpec,
    batch_rows: usize,
    piece: usize,
) -> SstInfo {
    let header = header(file, batch.schema_ref(), SstKey::Keyed, batch_rows);
    let mut writer = SstWriter::create(Arc::clone(storage), header).unwrap();
    for start in (0..batch.num_rows()).step_by(piece.max(1)) {
        let rows = batch.slice(start, piece.min(batch.num_rows() - start));
        let keys = key.codec.encode(&rows.columns()[..key.columns.len()]).unwrap();
        writer.write(&rows, RowKeys::Encoded(&keys)).unwrap();
    }
    assert_eq!(writer.rows(), batch.num_rows() as u64);
    writer.finish(SeqNo(4), SeqNo(9)).unwrap()
}

fn write_keyless(
    storage: &Arc<dyn Storage>,
    file: u64,
    batch: &RecordBatch,
    ids: &RowIdRuns,
    batch_rows: usize,
) -> SstInfo {
    let header = header(file, batch.schema_ref(), SstKey::RowId, batch_rows);
    let mut writer = SstWriter::create(Arc::clone(storage), header).unwrap();
    writer.write(batch, RowKeys::RowIds(ids)).unwrap();
    writer.finish(SeqNo(1), SeqNo(1)).unwrap()
}

fn open(storage: &Arc<dyn Storage>, info: &SstInfo, key: Option<&KeySpec>) -> SstReader {
    SstReader::open(&**storage, DATABASE, info, key.cloned()).unwrap()
}

/// All rows of a file.
fn read_all(reader: &SstReader) -> Vec<RecordBatch> {
    (0..reader.num_batches()).map(|i| reader.read_batch(i, None).unwrap()).collect()
}

fn row_ids(ids: impl IntoIterator<Item = u64>) -> RowIdRuns {
    RowIdRuns::from_ids(&ids.into_iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_manifest_entry_survives_json() {
    let storage = memory();
    let batch = batch_of(vec![("k", Arc::new(arrow::array::Int64Array::from(vec![1, 2])))]);
    let info = write_keyed(&storage, 1, &batch, &key_spec(&batch, 1), 8, 8);
    let text = serde_json::to_string(&info).unwrap();
    assert!(text.contains(&format!("\"sum_hash\":\"{}\"", info.sum_hash)), "{text}");
    assert_eq!(serde_json::from_str::<SstInfo>(&text).unwrap(), info);
    assert_eq!((info.min_seq, info.max_seq), (SeqNo(4), SeqNo(9)));
}

#[test]
fn an_empty_table_has_no_rows_to_find() {
    let storage = memory();
    let batch = batch_of(vec![("k", Arc::new(arrow::array::Int64Array::from(Vec::<i64>::new())))]);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 8, 8);
    let reader = open(&storage, &info, Some(&key));
    assert_eq!((reader.num_batches(), reader.find(&[0; 8]).unwrap()), (0, None));
    assert_eq!(reader.lower_bound(&[0; 8]).unwrap(), 0);
    reader.verify().unwrap();
    let info = write_keyless(&storage, 2, &batch, &row_ids([]), 8);
    assert_eq!(open(&storage, &info, None).find_row_id(RowId(0)), None);
}
