//! An open database and how results are shown: runs statements, one after the other.
//!
//! A result is computed on the query runtime and written as it comes. Ctrl-C stops the statement that
//! runs, not the shell.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use trilith_engine::Error as EngineError;

use super::Console;
use super::arguments::Arguments;
use super::commands::{self, Next};
use super::output::{Format, Sink};
use super::statements;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::options::{EngineOptions, Options};

/// Batches that are computed ahead of writing.
const AHEAD: usize = 2;
/// Rows of a table that a person is shown.
const SHOWN_ROWS: usize = 40;

/// A database under the shell.
pub(super) struct Session {
    database: Database,
    pub(super) format: Format,
    pub(super) timing: bool,
    output: Option<PathBuf>,
    /// Whether `output` holds a result already.
    written: bool,
}

/// What a statement's task sends.
enum Part {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

impl Session {
    pub(super) fn open(arguments: &Arguments) -> Result<Self> {
        let read_only = arguments.read_only;
        let in_memory = arguments.path.to_str() == Some(":memory:");
        let engine = EngineOptions {
            read_only: read_only && !in_memory,
            create: !read_only,
            // What is in memory alone has nothing to encrypt.
            encryption_key: if in_memory { None } else { arguments.key.read()? },
            ..EngineOptions::default()
        };
        let database = Database::open_blocking(&arguments.path, Options::from(engine))?;
        let (format, output) = (arguments.format, arguments.output.clone());
        Ok(Self { database, format, timing: !arguments.quiet, output, written: false })
    }

    pub(super) fn close(self) -> Result<()> {
        self.database.close()
    }

    /// What stands before a statement; as in psql, `*` means an open transaction and `!` a failed one.
    pub(super) fn prompt(&self) -> &'static str {
        match self.database.open_transaction() {
            None => "trilith> ",
            Some(transaction) if transaction.has_failed() => "trilith!> ",
            Some(_) => "trilith*> ",
        }
    }

    /// Runs the statements of a file.
    pub(super) fn file(&mut self, path: &Path, console: &mut Console<'_>) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| io_error("read", &path.to_string_lossy(), error))?;
        self.script(&text, console)
    }

    /// Runs statements and backslash commands; stops at the first error.
    pub(super) fn script(&mut self, text: &str, console: &mut Console<'_>) -> Result<()> {
        let mut pending = String::new();
        for line in text.lines() {
            if let Next::Quit = self.feed(line, &mut pending, console)? {
                return Ok(());
            }
        }
        match statements::is_blank(&pending) {
            true => Ok(()),
            false => self.statement(&pending, console),
        }
    }

    /// Takes a line of input: runs the command or the statements that it completes; what is left of it
    /// stays in `pending`.
    pub(super) fn feed(
        &mut self,
        line: &str,
        pending: &mut String,
        console: &mut Console<'_>,
    ) -> Result<Next> {
        if statements::is_blank(pending) && line.trim_start().starts_with('\\') {
            pending.clear();
            return commands::run(self, line.trim(), console);
        }
        pending.push_str(line);
        pending.push('\n');
        let text = std::mem::take(pending);
        let (complete, rest) = statements::split(&text);
        pending.push_str(rest.trim_start());
        for statement in complete {
            self.statement(statement, console)?;
        }
        Ok(Next::Go)
    }

    /// Runs one statement and writes its result.
    pub(super) fn statement(&mut self, sql: &str, console: &mut Console<'_>) -> Result<()> {
        let started = Instant::now();
        let runtime = self.database.runtime()?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let query = self.database.query(sql);
        let task = runtime.spawn(async move { stream(query.run().await?, &sender).await });
        let waiter = waiter()?;
        let rows = waiter.block_on(async {
            tokio::select! {
                rows = self.write(receiver, console) => Some(rows),
                _ = tokio::signal::ctrl_c() => None,
            }
        });
        let Some(rows) = rows else {
            // Not waited for: it ends where it next looks up, which may be a while from now.
            task.abort();
            return Err(Error::invalid("statement", "it was stopped by Ctrl-C"));
        };
        // An error of the query ends its stream, so it is the one to report.
        let ended = waiter.block_on(task);
        ended.map_err(|_| EngineError::Internal("the statement panicked".into()))??;
        let rows = rows?;
        if self.timing {
            let unit = if rows == 1 { "row" } else { "rows" };
            let seconds = started.elapsed().as_secs_f64();
            writeln!(console.err, "{rows} {unit} in {seconds:.3} s").map_err(output_error)?;
        }
        Ok(())
    }

    async fn write(&mut self, mut parts: mpsc::Receiver<Part>, console: &mut Console<'_>) -> Result<u64> {
        let mut rows = 0;
        let Some(Part::Schema(schema)) = parts.recv().await else { return Ok(rows) };
        if schema.fields().is_empty() {
            return Ok(rows);
        }
        let shown = (console.interactive && self.output.is_none()).then_some(SHOWN_ROWS);
        let mut sink = self.sink(&schema, shown, console)?;
        while let Some(Part::Batch(batch)) = parts.recv().await {
            rows += batch.num_rows() as u64;
            sink.write(&batch)?;
        }
        sink.finish()?;
        Ok(rows)
    }

    fn sink<'a>(
        &mut self,
        schema: &SchemaRef,
        shown: Option<usize>,
        console: &'a mut Console<'_>,
    ) -> Result<Sink<'a>> {
        let Some(path) = &self.output else { return Sink::text(self.format, schema, shown, console.out) };
        if self.written && self.format.is_binary() {
            let what = format!("output {:?}", path.to_string_lossy());
            let why =
                format!("a file of format {} holds one result; run one query at a time", self.format.name());
            return Err(Error::invalid(what, why));
        }
        let opened = match self.written {
            true => std::fs::OpenOptions::new().append(true).open(path),
            false => std::fs::File::create(path),
        };
        let file = opened.map_err(|error| io_error("write", &path.to_string_lossy(), error))?;
        self.written = true;
        Sink::file(self.format, schema, file)
    }
}

/// A runtime of this thread alone: the query's own threads may all be too busy to hear of Ctrl-C.
fn waiter() -> Result<Runtime> {
    let waiter = Builder::new_current_thread().enable_all().build();
    waiter.map_err(|error| io_error("wait for", "the statement", error))
}

/// Computes a result and sends it on.
async fn stream(frame: DataFrame, sender: &mpsc::Sender<Part>) -> Result<()> {
    let mut batches = frame.execute_stream().await?;
    let mut open = sender.send(Part::Schema(batches.schema())).await.is_ok();
    while open && let Some(batch) = batches.next().await {
        open = sender.send(Part::Batch(batch?)).await.is_ok();
    }
    Ok(())
}

pub(super) fn io_error(op: &'static str, path: &str, error: io::Error) -> Error {
    EngineError::io(op, path, error).into()
}

pub(super) fn output_error(error: io::Error) -> Error {
    io_error("write to", "the output", error)
}
