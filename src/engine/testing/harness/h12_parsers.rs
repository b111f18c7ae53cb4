//! H12: every parser of the format on bytes that no writer made, under checksums that agree with them: an answer or an
//! error, no panic, and no memory beyond a bound.
//!
//! Each target starts from real bytes, changes them, seals them again where the format seals, and reads everything that
//! the parser gives.

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
use trilith_engine::{DatabaseId, Engine, FileId, KeyCodec, Options, Storage, TableName};

use crate::arrow_rows::batch;
use crate::h8_model::pick;
use crate::lanes;
use crate::model::Table;
use crate::mutate::mutate;
use crate::report::{Budget, Report, Verdict};
use crate::sealed;
use crate::seals;
use crate::specimen::{Specimen, plain_options, specimen_of};
use crate::weight;

/// Inputs of one trial.
const BATCH: u64 = 256;
/// The most that one allocation may ask for while bytes of a few KiB are read.
const MEMORY_MAX: usize = 64 << 20;

/// What the targets start from.
pub struct Seeds {
    specimen: Specimen,
    database: DatabaseId,
    schemas: Vec<SchemaRef>,
    /// Some rows of each table, packed.
    packed: Vec<(SchemaRef, usize, Vec<u8>)>,
    /// Payloads of log records.
    payloads: Vec<Vec<u8>>,
    /// An encrypted database.
    sealed: Specimen,
}

type Target = (&'static str, fn(&Seeds, &mut SmallRng));

/// Each with how many times as often as the slowest it is tried.
const TARGETS: [(u32, Target); 12] = [
    (200, ("packed", packed_rows)),
    (100, ("commit", commit_payload)),
    (100, ("record", record_header)),
    (100, ("log_header", log_header)),
    (200, ("key", key)),
    (40, ("deletes", deletion_file)),
    (40, ("companion", companion)),
    (20, ("keys", |seeds, dice| sealed::keys(&seeds.sealed, dice))),
    (40, ("sealed", |seeds, dice| sealed::file(&seeds.sealed, dice))),
    (40, ("blob", blob_tail)),
    (4, ("sstable", sstable)),
    (1, ("manifest", manifest)),
];

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let seeds = Seeds::new();
    let all: u32 = TARGETS.iter().map(|(share, _)| share).sum();
    lanes::run(budget, |seed, report| {
        let mut dice = SmallRng::seed_from_u64(seed);
        for n in 0..BATCH {
            let mut ticket = dice.random_range(0..all);
            let chosen = TARGETS.iter().find(|(share, _)| {
                let hit = ticket < *share;
                ticket = ticket.saturating_sub(*share);
                hit
            });
            let Some((_, (name, target))) = chosen else { continue };
            weight::forget();
            target(&seeds, &mut dice);
            let asked = weight::greatest();
            report.add(name, 1);
            report.count(match asked > MEMORY_MAX {
                true => Verdict::Wrong(format!("{name}, input {n} of seed {seed}: {asked} bytes at once")),
                false => Verdict::Survived,
            });
        }
    })
}

impl Seeds {
    fn new() -> Self {
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
        let key = Some(crate::encrypted::the_key());
        let sealed = specimen_of(&Options { encryption_key: key, ..plain_options() });
        Self { specimen, database, schemas, packed, payloads, sealed }
    }

    /// A file whose name ends so, and its path.
    fn file(&self, ending: &str, dice: &mut SmallRng) -> (&str, Vec<u8>) {
        let files: Vec<&(String, Vec<u8>)> =
            self.specimen.files.iter().filter(|(path, _)| path.ends_with(ending)).collect();
        let (path, bytes) = *pick(dice, &files);
        (path, bytes.clone())
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

fn packed_rows(seeds: &Seeds, dice: &mut SmallRng) {
    let (schema, rows, bytes) = pick(dice, &seeds.packed);
    let (mut bytes, rows) = (bytes.clone(), rows + dice.random_range(0..2));
    mutate(&mut bytes, dice);
    if let Ok(batch) = packed::unpack(&bytes, rows, schema) {
        assert_eq!(batch.num_rows(), rows);
        let _ = format!("{batch:?}");
    }
}

fn commit_payload(seeds: &Seeds, dice: &mut SmallRng) {
    let mut bytes = pick(dice, &seeds.payloads).clone();
    mutate(&mut bytes, dice);
    for op in commit::decode(&Buffer::from_vec(bytes)).into_iter().flatten() {
        for schema in &seeds.schemas {
            let _ = op.batch(Arc::clone(schema)).map(|batch| format!("{batch:?}"));
        }
    }
}

fn record_header(seeds: &Seeds, dice: &mut SmallRng) {
    let (_, mut bytes) = seeds.file(".wal", dice);
    let (seed, at) = (WalHeader::decode(&bytes, "").unwrap().1, WAL_HEADER_LEN as u64);
    bytes.drain(..WAL_HEADER_LEN);
    bytes.truncate(RECORD_HEADER_LEN);
    mutate(&mut bytes, dice);
    if let Some((head, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &at.to_le_bytes()), head).to_le_bytes();
    }
    if let Some((header, _)) = RecordHeader::decode(&bytes, seed, at) {
        let _ = header.stride();
    }
}

fn log_header(seeds: &Seeds, dice: &mut SmallRng) {
    let (path, mut bytes) = seeds.file(".wal", dice);
    bytes.truncate(WAL_HEADER_LEN);
    mutate(&mut bytes, dice);
    if let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(body).to_le_bytes();
    }
    let _ = WalHeader::decode(&bytes, path);
}

fn key(_: &Seeds, dice: &mut SmallRng) {
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
    let types: Vec<DataType> = (0..dice.random_range(1..4)).map(|_| pick(dice, &types).clone()).collect();
    let codec = KeyCodec::new(&types).unwrap();
    let mut bytes: Vec<u8> = (0..dice.random_range(0..40)).map(|_| dice.random_range(0..3)).collect();
    mutate(&mut bytes, dice);
    let _ = codec.display(&bytes);
    if let Ok(columns) = codec.decode(&BinaryArray::from_iter_values([&bytes])) {
        // A value that decodes is one that encodes; only -0 and the bits of NaN need not come back as they were.
        let again = codec.encode_row(&columns, 0).unwrap();
        assert_eq!(codec.decode_one(&again).unwrap().len(), columns.len());
    }
}

/// A file of its own on a disk of its own, sealed.
fn sealed(path: &str, mut bytes: Vec<u8>) -> (SimStorage, u64, Hash128) {
    let hash = Hash128::seal(&mut bytes);
    let disk = SimStorage::new();
    disk.plant(path, &bytes);
    (disk, bytes.len() as u64, hash)
}

fn unsealed(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len().saturating_sub(size_of::<Hash128>()));
}

fn deletion_file(seeds: &Seeds, dice: &mut SmallRng) {
    let (path, mut bytes) = seeds.file(".del", dice);
    unsealed(&mut bytes);
    mutate(&mut bytes, dice);
    let (disk, len, hash) = sealed(path, bytes);
    let info = DeletesInfo { file: number(path), len, hash };
    let bitmaps = deletes::read(&disk, seeds.database, &info);
    bitmaps
        .into_iter()
        .flatten()
        .for_each(|(_, bitmap)| assert!(bitmap.len() >= bitmap.iter().take(9).count() as u64));
}

fn companion(seeds: &Seeds, dice: &mut SmallRng) {
    let (path, mut bytes) = seeds.file(".sum", dice);
    unsealed(&mut bytes);
    mutate(&mut bytes, dice);
    Hash128::seal(&mut bytes);
    let _ = sum::decode(path, seeds.database, number(path), &Buffer::from_vec(bytes));
}

fn blob_tail(seeds: &Seeds, dice: &mut SmallRng) {
    let (path, bytes) = seeds.file(".blob", dice);
    let (header, rest) = bytes.split_at(blob::HEADER_LEN);
    let end = blob::data_len(&rest[rest.len() - blob::FOOTER_LEN..], bytes.len() as u64).unwrap();
    let mut tail = bytes[end as usize..].to_vec();
    unsealed(&mut tail);
    mutate(&mut tail, dice);
    let mut whole = [header, &tail[..]].concat();
    Hash128::seal(&mut whole);
    let tail = Buffer::from_slice_ref(&whole[header.len()..]);
    let _ = blob::decode_tail(path, header, &tail, end);
    let _ = blob::data_len(&tail[tail.len().saturating_sub(blob::FOOTER_LEN)..], tail.len() as u64);
}

fn sstable(seeds: &Seeds, dice: &mut SmallRng) {
    let (path, mut bytes) = seeds.file(".arrow", dice);
    let (data_len, before) = (bytes.len(), bytes.clone());
    mutate(&mut bytes, dice);
    // Files keep their length: the other target changes what the companion says of it.
    bytes.resize(data_len, 0);
    if bytes != before {
        read_all(&seals::with_data(&seeds.specimen, path, &bytes));
    }
}

fn manifest(seeds: &Seeds, dice: &mut SmallRng) {
    let disk = seeds.specimen.disk.kill_image();
    let changed = seals::reseal(&disk, |payload| {
        let mut payload = payload.to_vec();
        mutate(&mut payload, dice);
        Some(payload)
    });
    assert!(changed.is_some());
    read_all(&disk);
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
