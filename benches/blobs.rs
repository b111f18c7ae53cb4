//! Values of 100 KB, beside the rows and in them: written in random order, a quarter of them overwritten three times over,
//! compacted, read one by one and in part.
//!
//! `cargo bench -p trilith-engine --bench blobs [-- ROWS [FOLDER]]`. Both settings run in one process, one after the other, at
//! durability `buffered`; bytes written are those of log, flushes and compactions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use trilith_engine::{
    Durability, Engine, IfExists, Options, TableDef, TableName, TableSpec, TableView, WriteBatch,
};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const VALUE: usize = 100_000;
const BATCH: i64 = 50;
const OVERWRITES: u64 = 3;
/// A prime that divides no number of rows used here: visits each row once.
const STEP: i64 = 7_368_787;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let rows: i64 = arguments.next().map_or(Ok(2000), |rows| rows.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{rows} rows of {VALUE} bytes, then {OVERWRITES} quarters of them again");
    for (name, blob_bytes) in [("beside the rows", 4 << 10), ("in the rows", 0)] {
        let folder = tempfile::Builder::new().prefix("blobs-").tempdir_in(&parent)?;
        let options = Options { durability: Durability::Buffered, blob_bytes, ..Options::default() };
        let engine = Engine::open_path(folder.path(), options)?;
        run(&engine, name, rows)?;
        engine.close()?;
    }
    Ok(())
}

fn run(engine: &Engine, name: &str, rows: i64) -> Outcome {
    let table = create(engine)?;
    let start = Instant::now();
    let mut given = 0;
    for version in 0..=OVERWRITES {
        let written = if version == 0 { rows } else { rows / 4 };
        for first in (0..written).step_by(BATCH as usize) {
            // Each time others, spread over all keys.
            write(engine, &table, rows, first + version as i64 * 77, version)?;
        }
        given += written as u64 * VALUE as u64;
    }
    engine.flush()?;
    let written = start.elapsed();
    settle(engine)?;
    let settled = start.elapsed();
    let rate = given as f64 / 1e6 / written.as_secs_f64();
    let metric = |wanted: &str| {
        engine.metrics().into_iter().find(|metric| metric.name == wanted).map_or(0.0, |metric| metric.value)
    };
    println!("{name}: written in {written:.1?} ({rate:.0} MB/s), compacted after {settled:.1?}");
    println!(
        "{name}: {:.2} bytes written for each logged, {:.2} on disk for each live",
        metric("write_amplification"),
        metric("space_amplification")
    );
    let view = engine.snapshot()?.table(&TableName::public("t"))?;
    let ids = |i: i64| vec![Arc::new(Int64Array::from(vec![i * STEP % rows])) as ArrayRef];
    for round in ["first", "again"] {
        let get = each(rows, |i| Ok(view.get(&ids(i), None)?.is_some()))?;
        let part = each(rows, |i| Ok(view.get_range(&ids(i), 2, 50_000..54_096)?.is_some()))?;
        println!("{name}: a value {get:.1?}, 4 KiB of one {part:.1?}, each, {round}");
    }
    let start = Instant::now();
    let sum = sum(&view)?;
    println!("{name}: sum of another column over all rows {:.1?} ({sum})", start.elapsed());
    Ok(())
}

fn create(engine: &Engine) -> Outcome<Arc<TableDef>> {
    let fields = [("id", DataType::Int64), ("n", DataType::Int64), ("image", DataType::Binary)];
    let spec = TableSpec {
        name: TableName::public("t"),
        schema: Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, false)).to_vec())),
        primary_key: vec!["id".to_owned()],
        defaults: Default::default(),
        options: Default::default(),
        indexes: vec![],
    };
    Ok(engine.create_table(&spec, IfExists::Keep)?)
}

fn write(engine: &Engine, table: &Arc<TableDef>, rows: i64, first: i64, version: u64) -> Outcome {
    let ids: Vec<i64> = (first..first + BATCH).map(|i| i * STEP % rows).collect();
    let values = ids.iter().map(|id| vec![(*id as u8).wrapping_add(version as u8); VALUE]);
    let image: ArrayRef = Arc::new(BinaryArray::from_iter_values(values));
    let (n, id) = (Int64Array::from(vec![version as i64; ids.len()]), Int64Array::from(ids));
    let columns: Vec<ArrayRef> = vec![Arc::new(id), Arc::new(n), image];
    let mut batch = WriteBatch::new();
    batch.upsert(table, &RecordBatch::try_new(table.schema(), columns)?)?;
    engine.commit(batch)?;
    Ok(())
}

/// Waits until there is nothing left to merge.
fn settle(engine: &Engine) -> Outcome {
    let busy = || engine.compactions().iter().any(|job| job.state == "running");
    engine.maintain()?;
    while busy() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The time that each of so many calls takes, on average.
fn each(calls: i64, mut call: impl FnMut(i64) -> Outcome<bool>) -> Outcome<Duration> {
    let start = Instant::now();
    for i in 0..calls {
        assert!(call(i)?);
    }
    Ok(start.elapsed() / calls as u32)
}

fn sum(view: &TableView) -> Outcome<i64> {
    let mut sum = 0;
    for part in view.parts()? {
        for i in 0..part.num_batches() {
            sum +=
                part.read(i, &[1], false)?.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
    }
    Ok(sum)
}
