//! H13: a real file system that is full. A tmpfs of a few hundred KiB to some MiB is filled by commits, flushes,
//! compactions and bulk appends until one of them finds no space; then space is made and the same engine goes on.
//!
//! Demands: every refusal is one for want of space, reads go on and see exactly what was acknowledged, writes succeed
//! again on the same engine, and so does what another opening finds. Where mounting is not permitted, nothing is tried.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::{
    Durability, Engine, Error, IfExists, Options, TableDef, TableName, TableSpec, WriteBatch, WriteMode,
};

use crate::h7_open::scratch;
use crate::lanes;
use crate::mounts::Mount;
use crate::report::{Budget, Report, Verdict};

const TMPFS: &str = "tmpfs";
/// Times that one file system is filled.
const FILLS: u64 = 4;
/// How many of the longest texts fill a file system of the first size.
const TEXTS: usize = 400;
/// Writes that a fill takes at most; a file system not full by then counts as no fill.
const WRITES_MAX: usize = 20_000;
/// Attempts at the first write after there is space again: a flush may have to come first.
const ATTEMPTS: u32 = 100;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let folder = scratch();
    if let Err(error) = tmpfs(folder.path(), 1 << 20) {
        return Report::skipped(format!("a tmpfs cannot be mounted here: {error}"));
    }
    lanes::run(budget, |seed, report| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let folder = scratch();
        let size = (256 << 10) << rng.random_range(0..6);
        let mut dice = Dice { rng, text_max: size / TEXTS };
        let outcome = match tmpfs(folder.path(), size) {
            Ok(mount) => trial(&mount, size, &mut dice, report),
            Err(error) => Err(Verdict::Wrong(format!("mount: {error}"))),
        };
        if let Err(verdict) = outcome {
            report.count(verdict.at(&format!("seed {seed}, {size} bytes")));
        }
        lanes::tick();
    })
}

/// A tmpfs of so many bytes.
fn tmpfs(folder: &Path, bytes: usize) -> std::io::Result<Mount> {
    Mount::new(Path::new(TMPFS), folder, TMPFS, &size_of_one(bytes))
}

fn size_of_one(bytes: usize) -> String {
    format!("size={bytes}")
}

/// What was acknowledged.
type Truth = BTreeMap<i64, String>;

/// Chance, and how long texts are at most: so that some hundred writes fill any of the file systems.
struct Dice {
    rng: SmallRng,
    text_max: usize,
}

fn trial(mount: &Mount, size: usize, dice: &mut Dice, report: &mut Report) -> Result<(), Verdict> {
    let options = options(size, dice);
    let wrong = |what: &str, error: Error| Verdict::Wrong(format!("{what}: {error}"));
    let mut engine = open(mount, &options)?;
    let table = create(&engine).map_err(|error| wrong("create", error))?;
    let (mut truth, mut bytes) = (Truth::new(), size);
    for fill in 0..FILLS {
        let Some(refusal) = fill_up(&engine, &table, &mut truth, dice) else { return Ok(()) };
        if !refusal.is_out_of_space() {
            return Err(wrong("refused", refusal));
        }
        check(&engine, &truth)?;
        bytes += size;
        mount
            .remount(TMPFS, &size_of_one(bytes))
            .map_err(|error| Verdict::Wrong(format!("remount: {error}")))?;
        resume(&engine, &table, &mut truth, dice)?;
        check(&engine, &truth)?;
        if fill % 2 == 1 {
            engine.close().map_err(|error| wrong("close", error))?;
            drop(engine);
            engine = open(mount, &options)?;
            check(&engine, &truth)?;
        }
        report.count(Verdict::Survived);
    }
    Ok(())
}

fn options(size: usize, dice: &mut Dice) -> Options {
    let levels = [Durability::Group, Durability::Buffered, Durability::Strict];
    Options {
        durability: levels[dice.rng.random_range(0..levels.len())],
        mmap: dice.rng.random(),
        memtable_bytes: size >> dice.rng.random_range(3..6),
        file_bytes: size >> dice.rng.random_range(3..6),
        direct_append_bytes: size >> dice.rng.random_range(4..7),
        batch_rows: 64,
        blob_bytes: 1,
        background: dice.rng.random(),
        reserve_bytes: 32 << 10,
        encryption_key: crate::encrypted::key(),
        ..Options::default()
    }
}

fn open(mount: &Mount, options: &Options) -> Result<Arc<Engine>, Verdict> {
    let storage = trilith_engine::LocalStorage::open(
        mount.path(),
        trilith_engine::io::LocalOptions { mmap: options.mmap, ..Default::default() },
    );
    let storage = storage.map_err(|error| Verdict::Wrong(format!("storage: {error}")))?;
    Engine::open(Arc::new(storage), options.clone()).map_err(|error| Verdict::Wrong(format!("open: {error}")))
}

fn schema() -> Arc<Schema> {
    let fields = vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)];
    Arc::new(Schema::new(fields))
}

fn create(engine: &Engine) -> Result<Arc<TableDef>, Error> {
    let spec = TableSpec {
        name: TableName::public("t"),
        schema: schema(),
        primary_key: vec!["id".into()],
        defaults: HashMap::new(),
        options: Default::default(),
        indexes: vec![],
    };
    engine.create_table(&spec, IfExists::Keep)
}

fn rows(pairs: &BTreeMap<i64, String>) -> Result<RecordBatch, Error> {
    let ids = Int64Array::from_iter_values(pairs.keys().copied());
    let texts = StringArray::from_iter_values(pairs.values());
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(texts)])?)
}

fn draw(dice: &mut Dice) -> Truth {
    let text = |dice: &mut Dice| {
        let len = dice.rng.random_range(1..dice.text_max);
        (0..len).map(|_| dice.rng.random_range('a'..='z')).collect::<String>()
    };
    let count = dice.rng.random_range(1..30);
    (0..count).map(|_| (dice.rng.random_range(0..100_000), text(dice))).collect()
}

/// Writes until something is refused.
fn fill_up(engine: &Engine, table: &Arc<TableDef>, truth: &mut Truth, dice: &mut Dice) -> Option<Error> {
    for _ in 0..WRITES_MAX {
        let refused = match dice.rng.random_range(0..40) {
            0 => bulk(engine, truth, dice),
            1 if !truth.is_empty() => delete(engine, table, truth),
            2 => engine.flush(),
            3 => engine.maintain().map(drop),
            4 => engine.compact(),
            _ => put(engine, table, truth, dice),
        };
        if let Err(error) = refused {
            return Some(error);
        }
    }
    None
}

fn put(engine: &Engine, table: &Arc<TableDef>, truth: &mut Truth, dice: &mut Dice) -> Result<(), Error> {
    let pairs = draw(dice);
    let mut batch = WriteBatch::new();
    batch.upsert(table, &rows(&pairs)?)?;
    engine.commit(batch)?;
    truth.extend(pairs);
    Ok(())
}

fn bulk(engine: &Engine, truth: &mut Truth, dice: &mut Dice) -> Result<(), Error> {
    let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert)?;
    let mut all = Truth::new();
    for _ in 0..dice.rng.random_range(1..6) {
        let pairs = draw(dice);
        appender.write(&rows(&pairs)?)?;
        all.extend(pairs);
    }
    appender.finish()?;
    truth.extend(all);
    Ok(())
}

fn delete(engine: &Engine, table: &Arc<TableDef>, truth: &mut Truth) -> Result<(), Error> {
    let ids: Vec<i64> = truth.keys().copied().step_by(20).collect();
    let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(ids.clone()));
    let mut batch = WriteBatch::new();
    batch.delete_keys(table, &RecordBatch::try_from_iter([("id", column)])?)?;
    engine.commit(batch)?;
    ids.iter().for_each(|id| drop(truth.remove(id)));
    Ok(())
}

/// There is space: the same engine takes writes again.
fn resume(engine: &Engine, table: &Arc<TableDef>, truth: &mut Truth, dice: &mut Dice) -> Result<(), Verdict> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match put(engine, table, truth, dice) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_out_of_space() => last = Some(error),
            Err(error) => return Err(Verdict::Wrong(format!("with space again: {error}"))),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Verdict::Wrong(format!("writes did not resume: {last:?}")))
}

fn check(engine: &Engine, truth: &Truth) -> Result<(), Verdict> {
    let found = read(engine).map_err(|error| Verdict::Wrong(format!("read: {error}")))?;
    if let Some(id) = truth.iter().find(|(id, text)| found.get(id) != Some(text)).map(|(id, _)| id) {
        return Err(Verdict::Lost(format!("row {id}, {:.20?} is there", found.get(id))));
    }
    match found.keys().find(|id| !truth.contains_key(id)) {
        Some(id) => Err(Verdict::Wrong(format!("row {id} was never acknowledged"))),
        None => Ok(()),
    }
}

fn read(engine: &Engine) -> Result<Truth, Error> {
    let mut found = Truth::new();
    for part in engine.snapshot()?.table(&TableName::public("t"))?.parts()? {
        for i in 0..part.num_batches() {
            let batch = part.read(i, &[0, 1], false)?;
            let (ids, texts) =
                (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
            found.extend((0..batch.num_rows()).map(|row| (ids.value(row), texts.value(row).to_owned())));
        }
    }
    Ok(found)
}
