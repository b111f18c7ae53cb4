//! Commands that begin with a backslash, named as in datafusion-cli and psql.

use clap::ValueEnum;

use super::Console;
use super::output::Format;
use super::session::{Session, output_error};
use crate::error::{Error, Result};

/// What comes after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Quit,
}

const HELP: &str = "\
\\?                  this text
\\q                  leave
\\d                  tables
\\d TABLE            columns of a table
\\h [NAME]           functions, or those whose name holds NAME
\\timing [on|off]    show how long statements take
\\pset format NAME   table, csv, tsv, json, ndjson or markdown
Everything else is SQL and ends with a semicolon.
";

/// Runs one command.
pub(super) fn run(session: &mut Session, line: &str, console: &mut Console<'_>) -> Result<Next> {
    let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
    match words.as_slice() {
        ["\\q"] => return Ok(Next::Quit),
        ["\\?"] => write!(console.out, "{HELP}").map_err(output_error)?,
        ["\\d"] => session.statement(TABLES, console)?,
        ["\\d", table] => session.statement(&columns(table), console)?,
        ["\\h"] => session.statement(&functions(""), console)?,
        ["\\h", name] => session.statement(&functions(name), console)?,
        ["\\timing"] => session.timing = !session.timing,
        ["\\timing", switch @ ("on" | "off")] => session.timing = *switch == "on",
        ["\\pset", "format", name] => session.format = format(name)?,
        _ => {
            return Err(Error::invalid(
                format!("command {line}"),
                "it is not known; \\? lists those there are",
            ));
        }
    }
    Ok(Next::Go)
}

const TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables \
                      WHERE table_schema <> 'information_schema' ORDER BY table_schema, table_name";

fn columns(table: &str) -> String {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    format!(
        "SELECT column_name, data_type, nullable, is_key, column_default FROM trilith.columns \
         WHERE schema_name = {} AND table_name = {} ORDER BY position",
        quoted(schema),
        quoted(name)
    )
}

fn functions(name: &str) -> String {
    format!(
        "SELECT DISTINCT routine_name, function_type FROM information_schema.routines \
         WHERE routine_name LIKE {} ORDER BY routine_name",
        quoted(&format!("%{name}%"))
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.trim_matches('"').replace('\'', "''"))
}

fn format(name: &str) -> Result<Format> {
    let known = Format::from_str(name, true).ok().filter(|format| !format.is_binary());
    known.ok_or_else(|| {
        Error::invalid(format!("format {name:?}"), "use table, csv, tsv, json, ndjson or markdown")
    })
}
