//! Every parser of the format as something that bytes are given to: shared by H12 and the targets of `src/engine/fuzz`.
//!
//! An input is a byte that says which file or schema it is for, and the bytes themselves. A parser seals them where the
//! format seals, puts them where they belong in a database that is otherwise right, and reads everything that comes of it.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::format::deletes::{self, DeletesInfo};
use trilith_engine::format::wal_header::{WAL_HEADER_LEN, WalHeader};
use trilith_engine::format::wal_record::{RECORD_HEADER_LEN, RecordHeader};
use trilith_engine::format::{Hash128, blob, commit, packed, sum};
use trilith_engine::testing::SimStorage;
use trilith_engine::{DatabaseId, Engine, FileId, KeyCodec, Options, Storage, TableName, check_storage};

use crate::arrow_rows::batch;
use crate::chance::pick;
use crate::model::Table;
use crate::sealed;
use crate::seals;
use crate::specimen::{Specimen, plain_options, specimen_of};

/// The most that one allocation may ask for while bytes of a few KiB are read.
pub const MEMORY_MAX: usize = 64 << 20;

/// Real bytes, and what is needed to read them.
pub struct Seeds {
    specimen: Specimen,
    database: DatabaseId,
    schemas: Vec<SchemaRef>,
    /// Some rows of each table, packed.
    packed: Vec<(SchemaRef, usize, Vec<u8>)>,
    /// Payloads of log records.
    payloads: Vec<Vec<u8>>,
    /// The payload of the live manifest.
    manifest: Vec<u8>,
    /// An encrypted database.
    sealed: Specimen,
}

/// A parser, and what it is tried on.
pub struct Parser {
    /// Its name.
    pub name: &'static str,
    /// How many times as often as the slowest it is tried.
    pub share: u32,
    /// Bytes that it reads without an error.
    pub start: fn(&Seeds, u8) -> Vec<u8>,
    /// Reads bytes; panics when it gives what it must not.
    pub read: fn(&Seeds, u8, Vec<u8>),
}

const fn parser(
    name: &'static str,
    share: u32,
    start: fn(&Seeds, u8) -> Vec<u8>,
    read: fn(&Seeds, u8, Vec<u8>),
) -> Parser {
    Parser { name, share, start, read }
}

/// All of them.
pub const PARSERS: [Parser; 13] = [
    parser("packed", 200, |seeds, which| nth(&seeds.packed, which).2.clone(), packed_rows),
    parser("commit", 100, |seeds, which| nth(&seeds.payloads, which).clone(), commit_payload),
    parser("record", 100, first_record, record_header),
    parser("log_header", 100, |seeds, which| start_of(seeds, ".wal", which, WAL_HEADER_LEN), log_header),
    parser("key", 200, |_, which| (0..which % 40).map(|at| at.wrapping_mul(which) % 3).collect(), key),
    parser("deletes", 40, |seeds, which| unsealed(seeds, ".del", which), deletion_file),
    parser("companion", 40, |seeds, which| unsealed(seeds, ".sum", which), companion),
    parser(
        "keys",
        20,
        |seeds, _| sealed::keys_of(&seeds.sealed),
        |seeds, _, bytes| sealed::keys(&seeds.sealed, bytes),
    ),
    parser(
        "sealed",
        40,
        |seeds, which| sealed::file_of(&seeds.sealed, which).1.clone(),
        |seeds, which, bytes| sealed::file(&seeds.sealed, which, bytes),
    ),
    parser("blob", 40, blob_tail_of, blob_tail),
    parser("sstable", 4, |seeds, which| seeds.file(".arrow", which).1.clone(), sstable),
    parser("manifest", 1, |seeds, _| seeds.manifest.clone(), manifest),
    parser("open_dir", 1, edits_of, open_dir),
];

fn nth<T>(items: &[T], which: u8) -> &T {
    &items[usize::from(which) % items.len()]
}

impl Seeds {
    /// Makes two small databases.
    pub fn new() -> Self {
        let specimen = specimen_of(&plain_options());
        let engine = Engine::open(
            Arc::new(specimen.disk.kill_image()),
            Options { read_only: true, ..plain_options() },
        );
        let snapshot = engine.unwrap().snapshot().unwrap();
        let schemas = snapshot.tables().iter().map(|table| table.schema()).collect();
        let database = seals::database(&specimen);
        let packed =
            specimen.state.values().flat_map(|table| [1, 9].map(|count| packed_of(table, count))).collect();
        let payloads = specimen.files.iter().filter(|(path, _)| path.ends_with(".wal"));
        let payloads = payloads.flat_map(|(_, bytes)| payloads_of(bytes)).collect();
        let mut manifest = Vec::new();
        let _ = seals::reseal(&specimen.disk.kill_image(), |payload| {
            manifest = payload.to_vec();
            None
        });
        let key = Some(crate::encrypted::the_key());
        let sealed = specimen_of(&Options { encryption_key: key, ..plain_options() });
        Self { specimen, database, schemas, packed, payloads, manifest, sealed }
    }

    /// A file whose name ends so, and its path.
    fn file(&self, ending: &str, which: u8) -> &(String, Vec<u8>) {
        let files: Vec<&(String, Vec<u8>)> =
            self.specimen.files.iter().filter(|(path, _)| path.ends_with(ending)).collect();
        files[usize::from(which) % files.len()]
    }
}

/// The number in a file's name.
pub fn number(path: &str) -> FileId {
    let name = path.rsplit('/').next().and_then(|name| name.split('.').next());
    FileId(name.and_then(|name| name.parse().ok()).unwrap_or_default())
}

fn packed_of(table: &Table, count: usize) -> (SchemaRef, usize, Vec<u8>) {
    let rows: Vec<_> = table.rows.values().take(count).map(|row| row.to_vec()).collect();
    let batch = batch(&table.columns, &rows);
    (batch.schema(), rows.len(), packed::pack(&batch).unwrap())
}

fn payloads_of(log: &[u8]) -> Vec<Vec<u8>> {
    let seed = WalHeader::decode(log, "").unwrap().1;
    let (mut at, mut payloads) = (WAL_HEADER_LEN, Vec::new());
    while let Some((header, _)) = log.get(at..).and_then(|bytes| RecordHeader::decode(bytes, seed, at as u64))
    {
        payloads.push(log[at + RECORD_HEADER_LEN..][..header.len as usize].to_vec());
        at += header.stride() as usize;
    }
    payloads
}

fn start_of(seeds: &Seeds, ending: &str, which: u8, len: usize) -> Vec<u8> {
    seeds.file(ending, which).1[..len].to_vec()
}

/// A file without the hash at its end.
fn unsealed(seeds: &Seeds, ending: &str, which: u8) -> Vec<u8> {
    let (_, bytes) = seeds.file(ending, which);
    bytes[..bytes.len() - size_of::<Hash128>()].to_vec()
}

fn packed_rows(seeds: &Seeds, which: u8, bytes: Vec<u8>) {
    let (schema, rows, _) = nth(&seeds.packed, which);
    let rows = rows + usize::from(which >> 7);
    if let Ok(batch) = packed::unpack(&bytes, rows, schema) {
        assert_eq!(batch.num_rows(), rows);
        let _ = format!("{batch:?}");
    }
}

fn commit_payload(seeds: &Seeds, _: u8, bytes: Vec<u8>) {
    for op in commit::decode(&Buffer::from_vec(bytes)).into_iter().flatten() {
        for schema in &seeds.schemas {
            let _ = op.batch(Arc::clone(schema)).map(|batch| format!("{batch:?}"));
        }
    }
}

fn first_record(seeds: &Seeds, which: u8) -> Vec<u8> {
    start_of(seeds, ".wal", which, WAL_HEADER_LEN + RECORD_HEADER_LEN).split_off(WAL_HEADER_LEN)
}

fn record_header(seeds: &Seeds, which: u8, mut bytes: Vec<u8>) {
    let log = &seeds.file(".wal", which).1;
    let (seed, at) = (WalHeader::decode(log, "").unwrap().1, WAL_HEADER_LEN as u64);
    if let Some((head, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &at.to_le_bytes()), head).to_le_bytes();
    }
    if let Some((header, _)) = RecordHeader::decode(&bytes, seed, at) {
        let _ = header.stride();
    }
}

fn log_header(seeds: &Seeds, which: u8, mut bytes: Vec<u8>) {
    if let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(body).to_le_bytes();
    }
    let _ = WalHeader::decode(&bytes, &seeds.file(".wal", which).0);
}

fn key(_: &Seeds, which: u8, bytes: Vec<u8>) {
    let types = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Float64,
        DataType::Boolean,
        DataType::FixedSizeBinary(5),
        DataType::Binary,
        DataType::Decimal128(20, 3),
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ];
    let dice = &mut SmallRng::seed_from_u64(which.into());
    let types: Vec<DataType> = (0..dice.random_range(1..4)).map(|_| pick(dice, &types).clone()).collect();
    let codec = KeyCodec::new(&types).unwrap();
    let _ = codec.display(&bytes);
    if let Ok(columns) = codec.decode(&BinaryArray::from_iter_values([&bytes])) {
        // A value that decodes is one that encodes; only -0 and the bits of NaN need not come back as they were.
        let again = codec.encode_row(&columns, 0).unwrap();
        assert_eq!(codec.decode_one(&again).unwrap().len(), columns.len());
    }
}

/// A file of its own on a disk of its own, sealed.
fn planted(path: &str, mut bytes: Vec<u8>) -> (SimStorage, u64, Hash128) {
    let hash = Hash128::seal(&mut bytes);
    let disk = SimStorage::new();
    disk.plant(path, &bytes);
    (disk, bytes.len() as u64, hash)
}

fn deletion_file(seeds: &Seeds, which: u8, bytes: Vec<u8>) {
    let (path, _) = seeds.file(".del", which);
    let (disk, len, hash) = planted(path, bytes);
    let info = DeletesInfo { file: number(path), len, hash };
    let bitmaps = deletes::read(&disk, seeds.database, &info);
    bitmaps
        .into_iter()
        .flatten()
        .for_each(|(_, bitmap)| assert!(bitmap.len() >= bitmap.iter().take(9).count() as u64));
}

fn companion(seeds: &Seeds, which: u8, mut bytes: Vec<u8>) {
    let (path, _) = seeds.file(".sum", which);
    Hash128::seal(&mut bytes);
    let _ = sum::decode(path, seeds.database, number(path), &Buffer::from_vec(bytes));
}

/// Where the tail of a file of large values begins.
fn end_of_values(bytes: &[u8]) -> u64 {
    blob::data_len(&bytes[bytes.len() - blob::FOOTER_LEN..], bytes.len() as u64).unwrap()
}

fn blob_tail_of(seeds: &Seeds, which: u8) -> Vec<u8> {
    unsealed(seeds, ".blob", which).split_off(end_of_values(&seeds.file(".blob", which).1) as usize)
}

fn blob_tail(seeds: &Seeds, which: u8, tail: Vec<u8>) {
    let (path, bytes) = seeds.file(".blob", which);
    let (header, end) = (&bytes[..blob::HEADER_LEN], end_of_values(bytes));
    let mut whole = [header, &tail[..]].concat();
    Hash128::seal(&mut whole);
    let tail = Buffer::from_slice_ref(&whole[header.len()..]);
    let _ = blob::decode_tail(path, header, &tail, end);
    let _ = blob::data_len(&tail[tail.len().saturating_sub(blob::FOOTER_LEN)..], tail.len() as u64);
}

fn sstable(seeds: &Seeds, which: u8, mut bytes: Vec<u8>) {
    let (path, before) = seeds.file(".arrow", which);
    // Files keep their length: the other target changes what the companion says of it.
    bytes.resize(before.len(), 0);
    if bytes != *before {
        read_all(&seals::with_data(&seeds.specimen, path, &bytes));
    }
}

fn manifest(seeds: &Seeds, _: u8, bytes: Vec<u8>) {
    let disk = seeds.specimen.disk.kill_image();
    assert!(seals::reseal(&disk, |_| Some(bytes)).is_some());
    read_all(&disk);
}

/// Bytes of an edit before those that it writes: which file, whether it is cut there, where, and how many.
const EDIT_LEN: usize = 5;

fn edits_of(seeds: &Seeds, which: u8) -> Vec<u8> {
    let file = usize::from(which) % seeds.specimen.files.len();
    let at = (seeds.specimen.files[file].1.len() / 2) as u16;
    [&[file as u8, which & 3][..], &at.to_le_bytes(), &[4, 1, 2, 3, which]].concat()
}

/// A folder in which many files changed at once; no checksum agrees but by chance.
fn open_dir(seeds: &Seeds, _: u8, edits: Vec<u8>) {
    let disk = seeds.specimen.disk.kill_image();
    let mut rest = &edits[..];
    while let Some(([file, how, low, high, len], after)) = rest.split_first_chunk::<EDIT_LEN>() {
        let (new, after) = after.split_at(after.len().min(usize::from(*len)));
        rest = after;
        let path = &nth(&seeds.specimen.files, *file).0;
        let Some(mut bytes) = disk.contents(path) else { continue };
        let at = usize::from(u16::from_le_bytes([*low, *high])).min(bytes.len());
        match how % 4 {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, new.iter().copied())),
            2 if new.is_empty() => {
                let _ = disk.remove(path);
                continue;
            }
            _ => bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new),
        }
        disk.plant(path, &bytes);
    }
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let _ = check_storage(&storage, &mut |_| {}).map(|report| report.problems.len());
    read_all(&disk);
    // Whoever writes to it gets an error, or a database that opens again.
    let opened = Engine::open(Arc::clone(&storage), plain_options());
    if opened.and_then(|engine| engine.flush().and_then(|()| engine.close())).is_ok() {
        drop(Engine::open(storage, plain_options()).unwrap());
    }
}

/// Reads whatever a database gives.
fn read_all(disk: &SimStorage) {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let Ok(engine) = Engine::open(storage, Options { read_only: true, ..plain_options() }) else { return };
    let Ok(snapshot) = engine.snapshot() else { return };
    for table in snapshot.tables() {
        let name: &TableName = &table.name;
        let Ok(parts) = snapshot.table(name).and_then(|view| view.parts()) else { continue };
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        for (part, batch) in parts.iter().flat_map(|part| (0..part.num_batches()).map(move |i| (part, i))) {
            let _ = part.read(batch, &columns, false).map(|rows| format!("{rows:?}"));
        }
    }
}
