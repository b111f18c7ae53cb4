//! The command line: what is opened, what is run, and how results look.
//!
//! `trilith [PATH] [SQL]` and the subcommands: `check`, `import`, `export` here, the others in `operations`. A
//! database of such a name is opened as `./check`. Statements and files run in the order in which they are given.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use trilith_engine::io::object::address;

use super::key::KeyArgument;
use super::operations::Operation;
use super::output::Format;
use super::{Console, FAILED};

/// An embedded analytical database: documents, columns and vectors under one SQL.
#[derive(Debug, Parser)]
#[command(
    name = "trilith",
    version,
    after_help = "Subcommands:\n  trilith check PATH                 verify every byte of a database\n  \
                  trilith import PATH TABLE FILE     append a Parquet, CSV, JSON lines or Arrow file to a table\n  \
                  trilith export PATH TABLE FILE     write a table to such a file\n  \
                  trilith export PATH FILE           write the whole database into one file, which opens read-only\n  \
                  trilith inspect FILE               explain one file of a database\n  \
                  trilith backup PATH FOLDER         copy a database, also while it is written to\n  \
                  trilith restore FOLDER PATH        make a database of a backup\n  \
                  trilith repair PATH NEWPATH        save what a damaged database still proves, and list the rest\n  \
                  trilith vacuum PATH                give back the space of deleted rows now\n  \
                  trilith rotate-key PATH FILE       make the key in FILE the one that opens an encrypted database"
)]
struct Line {
    /// The database: a folder, a single file, or an address such as s3://bucket/name; in memory when absent
    #[arg(default_value = ":memory:")]
    path: PathBuf,
    /// Statements to run, separated by `;`
    sql: Option<String>,
    /// Run these statements and leave; may be given more than once
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    commands: Vec<String>,
    /// Run the statements of this file and leave; may be given more than once
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write results to this file instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Refuse every change, and take no lock; so it is for a database on an object store unless --write is given
    #[arg(long)]
    read_only: bool,
    /// Write to a database on an object store (s3://, gs://, az://): whoever writes to it now is taken over from
    #[arg(long, conflicts_with = "read_only")]
    write: bool,
    /// Show neither timing nor progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    key: KeyArgument,
}

/// Verify every byte of a database; the exit status is 1 when something is damaged.
#[derive(Debug, Parser)]
#[command(name = "trilith check")]
struct CheckLine {
    /// The database, a folder
    path: PathBuf,
    #[command(flatten)]
    key: KeyArgument,
}

/// Copy a file into a table; the file's extension names the format.
#[derive(Debug, Parser)]
#[command(name = "trilith import")]
struct CopyLine {
    /// The database, a folder
    path: PathBuf,
    /// The table
    table: String,
    /// The file: .parquet, .csv, .json or .arrow
    file: String,
    #[command(flatten)]
    key: KeyArgument,
}

/// Write a table into a file, whose extension names the format; or, without a table, the whole database into a single
/// file, which opens like a folder and is only read.
#[derive(Debug, Parser)]
#[command(name = "trilith export")]
struct ExportLine {
    /// The database, a folder
    path: PathBuf,
    /// The table, where one is meant, and the file: .parquet, .csv, .json or .arrow; such as .trilith for all
    #[arg(required = true, num_args = 1..=2, value_names = ["TABLE", "FILE"])]
    what: Vec<String>,
    /// Of a whole database: replace the file
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    key: KeyArgument,
}

/// Something to run.
#[derive(Debug, PartialEq)]
pub(super) enum Task {
    Statement(String),
    File(PathBuf),
}

/// How a database is opened and used.
#[derive(Debug)]
pub(super) struct Arguments {
    pub path: PathBuf,
    pub tasks: Vec<Task>,
    pub format: Format,
    pub output: Option<PathBuf>,
    pub read_only: bool,
    pub quiet: bool,
    pub key: KeyArgument,
}

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum Action {
    Open(Arguments),
    Check { path: PathBuf, key: KeyArgument },
    Operate(Operation),
}

/// A command line that is not carried out: help, version, or one that is not understood.
#[derive(Debug)]
pub(super) struct Refused(clap::Error);

impl Refused {
    /// Shows the text and gives the exit status.
    pub(super) fn show(&self, console: &mut Console<'_>) -> i32 {
        let target = if self.0.use_stderr() { &mut *console.err } else { &mut *console.out };
        write!(target, "{}", self.0).map_or(FAILED, |()| self.0.exit_code())
    }
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self(error)
    }
}

/// Reads a command line, the program's name first.
pub(super) fn parse<I, S>(arguments: I) -> Result<Action, Refused>
where
    I: IntoIterator<Item = S>,
    S: Into<OsString> + Clone,
{
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let subcommand = arguments.get(1).and_then(|word| word.to_str()).map(str::to_owned);
    let mut rest = || std::mem::take(&mut arguments).into_iter().skip(1);
    match subcommand.as_deref() {
        Some("check") => {
            let CheckLine { path, key } = CheckLine::try_parse_from(rest())?;
            Ok(Action::Check { path, key })
        }
        Some("import") => CopyLine::try_parse_from(rest()).map(|line| line.action("FROM")).map_err(Refused),
        Some("export") => Ok(ExportLine::try_parse_from(rest())?.action()),
        Some(name) => match Operation::parse(name, arguments.iter().skip(1).cloned()) {
            Some(operation) => operation.map(Action::Operate).map_err(Refused),
            None => line(arguments),
        },
        None => line(arguments),
    }
}

impl ExportLine {
    fn action(self) -> Action {
        let Self { path, mut what, replace, key } = self;
        let file = what.pop().unwrap_or_default();
        match what.pop() {
            Some(table) => CopyLine { path, table, file, key }.action("TO"),
            None => Action::Operate(Operation::export(path, file.into(), replace, key)),
        }
    }
}

impl CopyLine {
    fn action(self, direction: &str) -> Action {
        let file = self.file.replace('\'', "''");
        let tasks = vec![Task::Statement(format!("COPY {} {direction} '{file}'", self.table))];
        let format = Format::Table;
        Action::Open(Arguments {
            path: self.path,
            tasks,
            format,
            output: None,
            read_only: direction == "TO",
            quiet: false,
            key: self.key,
        })
    }
}

fn line(arguments: Vec<OsString>) -> Result<Action, Refused> {
    let matches = Line::command().try_get_matches_from(arguments)?;
    let line = Line::from_arg_matches(&matches)?;
    let places = |name: &str| matches.indices_of(name).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let commands = places("commands").into_iter().zip(line.commands.into_iter().map(Task::Statement));
    let files = places("files").into_iter().zip(line.files.into_iter().map(Task::File));
    let mut placed: Vec<(usize, Task)> = commands.chain(files).collect();
    placed.sort_by_key(|(place, _)| *place);
    let first = line.sql.map(Task::Statement);
    let tasks: Vec<Task> = first.into_iter().chain(placed.into_iter().map(|(_, task)| task)).collect();
    if line.format.is_binary() && line.output.is_none() {
        let message =
            format!("{} is not text: say where to write it with --output FILE\n", line.format.name());
        return Err(Refused(Line::command().error(clap::error::ErrorKind::MissingRequiredArgument, message)));
    }
    let Line { path, format, output, read_only, write, quiet, key, .. } = line;
    // There the newest writer wins, and a look must not end another's work.
    let read_only = read_only || (address(&path).is_some() && !write);
    Ok(Action::Open(Arguments { path, tasks, format, output, read_only, quiet, key }))
}
