//! Bytes on disk for each live byte, after every row was written three more times in random order.
//!
//! `cargo bench -p trilith-engine --bench space [-- ROWS [FOLDER]]`. Live bytes are those of the keys and values alone,
//! so checksums, filters, zone maps, the log and the manifest count as overhead.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use trilith_engine::{Durability, Engine, IfExists, Options, TableDef, TableName, TableSpec, WriteBatch};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const BATCH: i64 = 1000;
const TEXT: usize = 100;
const OVERWRITES: u64 = 3;
/// Odd and no multiple of 5: visits each of 10^n rows once.
const STEP: i64 = 7_368_787;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let rows: i64 = arguments.next().map_or(Ok(1_000_000), |rows| rows.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("space-").tempdir_in(parent)?;
    let options = Options { durability: Durability::Buffered, ..Options::default() };
    let engine = Engine::open_path(folder.path(), options)?;
    let table = create(&engine)?;
    let live = rows as u64 * (8 + TEXT as u64);
    for version in 0..=OVERWRITES {
        let mut most = 0;
        for first in (0..rows).step_by(BATCH as usize) {
            write(&engine, &table, rows, first, version)?;
            if first % (100 * BATCH) == 0 {
                most = most.max(bytes(folder.path())?);
            }
        }
        print(&format!("version {version}: at most"), most, live);
        print(&format!("version {version}: just written"), bytes(folder.path())?, live);
    }
    rest(&engine)?;
    print("at rest, newest rows in log", bytes(folder.path())?, live);
    engine.flush()?;
    rest(&engine)?;
    print("at rest, flushed", bytes(folder.path())?, live);
    engine.vacuum()?;
    print("after a vacuum", bytes(folder.path())?, live);
    let written = engine.metrics().into_iter().find(|metric| metric.name == "write_amplification");
    println!("{:<28} {:>6.2}", "write amplification", written.map_or(0.0, |metric| metric.value));
    engine.close()?;
    Ok(())
}

fn create(engine: &Engine) -> Outcome<Arc<TableDef>> {
    let fields = [("id", DataType::Int64), ("text", DataType::Utf8)];
    let spec = TableSpec {
        name: TableName::public("t"),
        schema: Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, false)).to_vec())),
        primary_key: vec!["id".into()],
        defaults: Default::default(),
        options: Default::default(),
        indexes: vec![],
    };
    Ok(engine.create_table(&spec, IfExists::Fail)?)
}

fn write(engine: &Engine, table: &Arc<TableDef>, rows: i64, first: i64, version: u64) -> Outcome {
    let ids = (first..(first + BATCH).min(rows)).map(|i| i * STEP % rows);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let text = format!("{version:>TEXT$}");
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&text, ids.len())));
    let mut batch = WriteBatch::new();
    batch.upsert(table, &RecordBatch::try_new(table.schema(), vec![ids, texts])?)?;
    engine.commit(batch)?;
    Ok(())
}

/// Waits until nothing is left to merge.
fn rest(engine: &Engine) -> Outcome {
    while engine.maintain()? || engine.compactions().iter().any(|job| job.state == "running") {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn print(what: &str, bytes: u64, live: u64) {
    let ratio = bytes as f64 / live as f64;
    println!("{what:<28} {ratio:>6.2} bytes on disk for each of {:.1} MB", live as f64 / 1e6);
}

/// Blocks that the files below a folder take.
fn bytes(folder: &Path) -> Outcome<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        // A file may go while it is counted.
        let Ok(entry) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) else { continue };
        total += if entry.1.is_dir() { bytes(&entry.0)? } else { entry.1.blocks() * 512 };
    }
    Ok(total)
}
