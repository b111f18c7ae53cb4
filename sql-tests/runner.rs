//! Runs every `.slt` file under this folder, each in a fresh database: once in memory, and once on
//! disk with everything flushed to files after each change.
//!
//! `cargo test --test sql -- dml` runs the files whose path holds `dml`; `--complete` rewrites the
//! expected results of those files from what the database in memory answers. `REOPEN` is a
//! statement of this runner: it closes the database on disk and opens it again. `connection NAME` before a
//! record runs it on a connection of its own of the same database.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer};
use trilith::{Database, Error, Options, Result};

/// Partitions of every query, so that plans look alike on every machine.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--nocapture").collect();
    let complete = arguments.iter().any(|argument| argument == "--complete");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    // Of the clone that runs, which need not be the one that compiled.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("sql-tests");
    let mut files = vec![];
    collect(&root, &mut files);
    files
        .retain(|file| wanted.is_empty() || wanted.iter().any(|part| file.to_string_lossy().contains(*part)));
    files.sort();
    let mut failed = 0;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).display().to_string();
        if complete {
            rewrite(file);
            println!("rewrote {name}");
            continue;
        }
        for home in [Home::Memory, Home::Disk] {
            match run(file, home) {
                Ok(()) => println!("ok     {name} ({})", home.name()),
                Err(message) => {
                    failed += 1;
                    println!("FAILED {name} ({})\n{message}", home.name());
                }
            }
        }
    }
    println!("sql: {} files, {failed} failures", files.len());
    if failed == 0 && !files.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

fn run(file: &Path, home: Home) -> std::result::Result<(), String> {
    let shared = Shared::default();
    let mut runner = Runner::new(|| async { Session::open(home, &shared) });
    runner.add_label(home.name());
    runner.run_file(file).map_err(|error| error.display(false).to_string())
}

fn rewrite(file: &Path) {
    let shared = Shared::default();
    let mut runner = Runner::new(|| async { Session::open(Home::Memory, &shared) });
    runner.add_label(Home::Memory.name());
    let validator = sqllogictest::default_validator;
    let updated = futures::executor::block_on(runner.update_test_file(
        file,
        " ",
        validator,
        default_normalizer,
        default_column_validator,
    ));
    if let Err(error) = updated {
        println!("{}: {error}", file.display());
    }
}

/// Where the database of a run lives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Memory,
    Disk,
}

impl Home {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

/// The database that all connections of a file share.
type Shared = OnceCell<(Database, Option<Arc<tempfile::TempDir>>)>;

/// One connection.
struct Session {
    database: Database,
    /// The database's folder, removed with the last connection; `None` in memory.
    folder: Option<Arc<tempfile::TempDir>>,
}

impl Session {
    fn open(home: Home, shared: &Shared) -> Result<Self> {
        if let Some((database, folder)) = shared.get() {
            return Ok(Self { database: database.connect(), folder: folder.clone() });
        }
        let folder = match home {
            Home::Memory => None,
            Home::Disk => {
                let made =
                    tempfile::tempdir().map_err(|error| Error::invalid("folder", error.to_string()))?;
                Some(Arc::new(made))
            }
        };
        let database = open(folder.as_deref())?;
        let (database, folder) = shared.get_or_init(|| (database, folder));
        Ok(Self { database: database.clone(), folder: folder.clone() })
    }

    fn reopen(&mut self) -> Result<()> {
        if self.folder.is_some() {
            self.database.close()?;
            self.database = open(self.folder.as_deref())?;
        }
        Ok(())
    }

    fn changed(&self, sql: &str, batches: &[RecordBatch]) -> Result<Option<u64>> {
        let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let writes = matches!(
            word.as_str(),
            "insert" | "update" | "delete" | "copy" | "truncate" | "create" | "replace"
        );
        if writes && self.folder.is_some() {
            self.database.engine().flush()?;
        }
        Ok(writes.then(|| count(batches)))
    }
}

fn open(folder: Option<&tempfile::TempDir>) -> Result<Database> {
    let options = Options { threads: Some(THREADS), ..Options::default() };
    let memory = Path::new(":memory:");
    Database::open_blocking(folder.map_or(memory, tempfile::TempDir::path), options)
}

impl DB for Session {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        if sql.trim().eq_ignore_ascii_case("reopen") {
            self.reopen()?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let batches = self.database.sql_blocking(sql)?;
        if let Some(count) = self.changed(sql, &batches)? {
            return Ok(DBOutput::StatementComplete(count));
        }
        let Some(first) = batches.first().filter(|batch| batch.num_columns() > 0) else {
            return Ok(DBOutput::StatementComplete(0));
        };
        let types = first.schema().fields().iter().map(|field| column_type(field.data_type())).collect();
        let rows = batches.iter().map(rows).collect::<Result<Vec<_>>>()?.concat();
        Ok(DBOutput::Rows { types, rows })
    }

    fn engine_name(&self) -> &str {
        "trilith"
    }

    fn error_sql_state(error: &Error) -> Option<String> {
        Some(error.sqlstate().to_owned())
    }
}

/// The number in a `count` column.
fn count(batches: &[RecordBatch]) -> u64 {
    let counts = batches.iter().filter(|batch| batch.num_columns() == 1 && batch.num_rows() == 1);
    counts.filter_map(|batch| rows(batch).ok()?.first()?.first()?.parse::<u64>().ok()).sum()
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        _ if data_type.is_integer() => DefaultColumnType::Integer,
        _ if data_type.is_floating() => DefaultColumnType::FloatingPoint,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DefaultColumnType::Text,
        _ => DefaultColumnType::Any,
    }
}

/// Values as text; a value of several lines, such as a plan, becomes several rows.
fn rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL").with_display_error(true);
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let mut rows = vec![];
    for row in 0..batch.num_rows() {
        let cells: Vec<String> = columns.iter().map(|column| cell(&column.value(row).to_string())).collect();
        match cells.split_last() {
            Some((last, others)) if last.trim_end().contains('\n') => {
                rows.extend(last.trim_end().lines().enumerate().map(|(at, line)| {
                    let first = if at == 0 { others.to_vec() } else { vec![] };
                    [first, vec![line.to_owned()]].concat()
                }));
            }
            _ => rows.push(cells),
        }
    }
    Ok(rows)
}

fn cell(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { text.to_owned() }
}
