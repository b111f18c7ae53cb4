//! The engine alone, without SQL or Python: what the store itself costs, beside the bare disk and memory.
//!
//! `cargo bench -p trilith-engine --bench engine [-- FOLDER]`. Each line: work, figure, and the limit beside it. With
//! `--pread` files are not mapped; with `--encrypted` they are encrypted; with `--commits` only durable commits are measured.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use trilith_engine::{
    Durability, EncryptionKey, Engine, Error, IfExists, Options, TableDef, TableName, TableSpec, Value,
    WriteBatch, WriteMode,
};

const APPEND_ROWS: i64 = 10_000_000;
const APPEND_BATCH: i64 = 100_000;

fn schema() -> SchemaRef {
    let field = |name, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("n", DataType::Int64),
        field("x", DataType::Float64),
    ]))
}

fn rows(start: i64, count: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(start..start + count));
    let ns: ArrayRef = Arc::new(Int64Array::from_iter_values((start..start + count).map(|i| i % 1000)));
    let xs: ArrayRef =
        Arc::new(Float64Array::from_iter_values((start..start + count).map(|i| i as f64 * 0.5)));
    RecordBatch::try_new(schema(), vec![ids, ns, xs]).unwrap_or_else(|e| fail(&e.into()))
}

fn given(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

fn options() -> Options {
    let encryption_key = given("--encrypted").then(|| EncryptionKey::from_bytes(&[7; 32]).ok()).flatten();
    Options { mmap: !given("--pread"), encryption_key, ..Options::default() }
}

fn fail(error: &Error) -> ! {
    eprintln!("{error}");
    std::process::exit(1)
}

fn table(engine: &Engine, name: &str, key: &[&str]) -> Result<Arc<TableDef>, Error> {
    let primary_key = key.iter().map(|name| (*name).to_owned()).collect();
    let spec = TableSpec {
        name: TableName::public(name),
        schema: schema(),
        primary_key,
        defaults: Default::default(),
        options: Default::default(),
        indexes: vec![],
    };
    engine.create_table(&spec, IfExists::Keep)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<(T, Duration), Error> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

fn append(engine: &Engine, name: &str, key: &[&str]) -> Result<(), Error> {
    let def = table(engine, name, key)?;
    let batches: Vec<RecordBatch> =
        (0..APPEND_ROWS / APPEND_BATCH).map(|i| rows(i * APPEND_BATCH, APPEND_BATCH)).collect();
    let (_, took) = timed(|| {
        let mut appender = engine.appender(&def.name, WriteMode::Insert)?;
        for batch in &batches {
            appender.write(batch)?;
        }
        appender.finish()
    })?;
    let rate = APPEND_ROWS as f64 / took.as_secs_f64() / 1e6;
    println!("append {name:<8} 10 M rows, one durable commit   {took:>9.1?}  {rate:.1} M rows/s");
    Ok(())
}

fn scan(engine: &Engine, name: &str, what: &str) -> Result<(), Error> {
    let mut times = Vec::new();
    for round in 0..6 {
        let (sum, took) = timed(|| {
            let mut sum = 0.0;
            for part in engine.snapshot()?.table(&TableName::public(name))?.parts()? {
                for i in 0..part.num_batches() {
                    sum += part
                        .read(i, &[2], false)?
                        .column(0)
                        .as_primitive::<Float64Type>()
                        .values()
                        .iter()
                        .sum::<f64>();
                }
            }
            Ok(sum)
        })?;
        assert!(sum > 0.0);
        if round == 0 {
            println!("scan {name:<8} sum of 10 M f64, first, {what:<10} {took:>9.1?}");
        } else {
            times.push(took);
        }
    }
    let took = median(times);
    println!(
        "scan {name:<8} sum of 10 M f64, warm, 1 thread   {took:>9.1?}  {:.1} GB/s",
        0.08 / took.as_secs_f64()
    );
    Ok(())
}

fn point_gets(engine: &Engine, name: &str) -> Result<(), Error> {
    let view = engine.snapshot()?.table(&TableName::public(name))?;
    let mut x: u64 = 7;
    let gets = 200_000;
    for _ in 0..2 {
        let (found, took) = timed(|| {
            let mut found = 0;
            for _ in 0..gets {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let key: ArrayRef = Arc::new(Int64Array::from(vec![((x >> 33) as i64) % APPEND_ROWS]));
                found += view.get(&[key], None)?.map_or(0, |row| row.num_rows());
            }
            Ok(found)
        })?;
        assert_eq!(found, gets);
        println!("get  {name:<8} random of 10 M rows                {:>9.0?}", took / gets as u32);
    }
    Ok(())
}

fn batches_of_1000(engine: &Engine, durability: Durability) -> Result<(), Error> {
    let def = table(engine, &format!("batches_{}", durability.name()), &["id"])?;
    let input: Vec<RecordBatch> = (0..1000).map(|i| rows((i * 7919) % 1000 * 1000, 1000)).collect();
    let (_, took) = timed(|| {
        for batch in &input {
            let mut write = WriteBatch::new();
            write.upsert(&def, batch)?;
            write.durability(durability);
            engine.commit(write)?;
        }
        Ok(())
    })?;
    println!(
        "commit 1,000 x 1,000 rows, keyed, {:<9}        {took:>9.1?}  {:.2} M rows/s",
        durability.name(),
        1.0 / took.as_secs_f64()
    );
    Ok(())
}

/// One-row durable commits, turn by turn with the bare append + fdatasync of the same bytes.
fn one_row_commits(engine: &Engine, folder: &Path) -> Result<(), Error> {
    let def = table(engine, "single", &["id"])?;
    let bare_path = folder.join("bare.log");
    let mut bare =
        File::create(&bare_path).map_err(|e| Error::io("create", bare_path.display().to_string(), e))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for i in 0..2000 {
        let mut write = WriteBatch::new();
        let (_, took) = timed(|| {
            write.upsert(&def, &rows(i, 1))?;
            engine.commit(write)
        })?;
        ours.push(took);
        let (_, took) = timed(|| {
            let done = bare.write_all(&[7; 512]).and_then(|()| bare.sync_data());
            done.map_err(|e| Error::io("append to", "bare.log", e))
        })?;
        theirs.push(took);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "commit 1 row, group (fsynced)   {ours:.1?}; bare append + fdatasync {theirs:.1?}; ratio {:.2}",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
    Ok(())
}

/// Durable one-row commits of many clients at once: how many fit into the time of one bare append + fdatasync, and how they
/// compare with as many threads that append to files of their own and sync them.
fn commits_of_many(engine: &Engine, folder: &Path, clients: i64) -> Result<(), Error> {
    const EACH: i64 = 300;
    let def = table(engine, &format!("clients_{clients}"), &["id"])?;
    let mut ratios = Vec::new();
    for round in 0..7 {
        let bare = bare_commits(folder, 300)?;
        let bare_rate = bare_of_many(folder, clients)?;
        let before = processor_time();
        let (outcomes, took) = timed(|| {
            Ok(std::thread::scope(|scope| {
                let client = |client: i64| {
                    let def = &def;
                    scope.spawn(move || {
                        (0..EACH).try_for_each(|i| {
                            let mut write = WriteBatch::new();
                            let id = (round * clients + client) * EACH + i;
                            let values = [
                                Value::Int(id.into()),
                                Value::Int((id % 1000).into()),
                                Value::Float(id as f64 * 0.5),
                            ];
                            write.upsert_row(def, &values)?;
                            engine.commit(write).map(|_| ())
                        })
                    })
                };
                let running: Vec<_> = (0..clients).map(client).collect();
                running.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
            }))
        })?;
        for outcome in outcomes {
            outcome.unwrap_or_else(|_| Err(Error::Internal("a client panicked".into())))?;
        }
        let rate = (clients * EACH) as f64 / took.as_secs_f64();
        let each = (processor_time() - before).as_secs_f64() * 1e6 / (clients * EACH) as f64;
        ratios.push((rate * bare.as_secs_f64() / clients as f64, rate, rate / bare_rate, each));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, rate, of_many, each) = ratios[ratios.len() / 2];
    println!(
        "commit 1 row, group, {clients:>2} clients  {rate:>9.0}/s, {each:.0} us of processor time each; {ratio:.2} of \
         {clients} x a lone bare append + fdatasync ({:.2} to {:.2}); {of_many:.2} of {clients} such threads at once",
        ratios[0].0,
        ratios[ratios.len() - 1].0
    );
    Ok(())
}

/// Commits a second of as many threads, each of which appends 512 bytes to a file of its own and calls `fdatasync`.
fn bare_of_many(folder: &Path, clients: i64) -> Result<f64, Error> {
    const EACH: i64 = 60;
    let client = |client: i64| {
        let mut file = File::create(folder.join(format!("bare.{client}.log")))?;
        (0..EACH).try_for_each(|_| file.write_all(&[7; 512]).and_then(|()| file.sync_data()))
    };
    let client = &client;
    let (outcomes, took) = timed(|| {
        Ok(std::thread::scope(|scope| {
            let running: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
            running.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        }))
    })?;
    for outcome in outcomes {
        let outcome = outcome.unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")));
        outcome.map_err(|e| Error::io("append to", "bare.log", e))?;
    }
    Ok((clients * EACH) as f64 / took.as_secs_f64())
}

/// Processor time of this process so far, in user and system mode.
fn processor_time() -> Duration {
    // Hundredths of a second, the 14th and 15th value after the name in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|value| value.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Median time of an append of 512 bytes and `fdatasync`.
fn bare_commits(folder: &Path, count: usize) -> Result<Duration, Error> {
    let path = folder.join("bare.log");
    let failed = |e| Error::io("append to", "bare.log", e);
    let mut bare = File::create(&path).map_err(failed)?;
    let once = || {
        let start = Instant::now();
        bare.write_all(&[7; 512]).and_then(|()| bare.sync_data()).map_err(failed)?;
        Ok(start.elapsed())
    };
    Ok(median(std::iter::repeat_with(once).take(count).collect::<Result<_, Error>>()?))
}

fn reopen(folder: &Path, engine: Arc<Engine>) -> Result<(), Error> {
    let bytes: u64 = engine.files().iter().map(|file| file.bytes).sum();
    let (_, close) = timed(|| engine.close())?;
    drop(engine);
    let (engine, open) = timed(|| Engine::open_path(&folder.join("db"), options()))?;
    println!("close {close:.1?}; open {open:.1?} of {} MB in {} files", bytes >> 20, engine.files().len());
    scan(&engine, "keyless", "reopened")
}

fn run(folder: &Path) -> Result<(), Error> {
    let engine = Engine::open_path(&folder.join("db"), options())?;
    if given("--commits") {
        return commits(&engine, folder);
    }
    append(&engine, "keyless", &[])?;
    append(&engine, "keyed", &["id"])?;
    scan(&engine, "keyless", "just made")?;
    scan(&engine, "keyed", "just made")?;
    point_gets(&engine, "keyed")?;
    batches_of_1000(&engine, Durability::Buffered)?;
    batches_of_1000(&engine, Durability::Group)?;
    commits(&engine, folder)?;
    reopen(folder, engine)
}

fn commits(engine: &Engine, folder: &Path) -> Result<(), Error> {
    one_row_commits(engine, folder)?;
    [1, 8, 32].into_iter().try_for_each(|clients| commits_of_many(engine, folder, clients))
}

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = given
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("trilith-bench-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&folder)
        .map_err(|e| Error::io("create", folder.display().to_string(), e))
        .and_then(|()| run(&folder))
    {
        fail(&error);
    }
    let _ = std::fs::remove_dir_all(&folder);
}
