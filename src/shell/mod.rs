//! The `trilith` command: a prompt, scripts and one-off statements over a database.
//!
//! Results go to the standard output, everything else (errors, timing, progress) to the standard error.
//! `arguments` says what is asked, `session` runs it, `statements` cuts text into statements, `commands`
//! are those with a backslash, `output` writes results, `prompt` reads lines from a terminal, `check`
//! verifies files, `operations` look after them, `key` reads keys. The Python package's console script calls [`run`] too.

mod arguments;
mod check;
mod commands;
mod key;
mod operations;
mod output;
mod prompt;
mod session;
mod statements;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use crate::error::Result;
use arguments::{Action, Arguments, Task};
use session::Session;

/// Exit status when something asked for failed.
const FAILED: i32 = 1;

/// Where the command writes.
struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// A person is at the keyboard.
    interactive: bool,
}

/// Runs the command line `arguments`, the program's name first, on the process's own streams and
/// returns the exit status: 0, 1 after an error, 2 when the command line is not understood.
pub fn run<I, S>(arguments: I) -> i32
where
    I: IntoIterator<Item = S>,
    S: Into<OsString> + Clone,
{
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut console = Console { out: &mut out, err: &mut err, interactive };
    run_on(arguments, &mut io::stdin().lock(), &mut console)
}

/// [`run`] on given streams.
fn run_on<I, S>(arguments: I, input: &mut dyn io::BufRead, console: &mut Console<'_>) -> i32
where
    I: IntoIterator<Item = S>,
    S: Into<OsString> + Clone,
{
    let action = match arguments::parse(arguments) {
        Ok(action) => action,
        Err(refused) => return refused.show(console),
    };
    let outcome = match action {
        Action::Check { path, key } => check::run(&path, &key, console),
        Action::Operate(operation) => operation.run(console),
        Action::Open(arguments) => open(&arguments, input, console),
    };
    let flushed = console.out.flush();
    match outcome {
        Ok(status) => flushed.map_or(FAILED, |()| status),
        Err(error) => {
            let _shown = writeln!(console.err, "Error: {error}");
            FAILED
        }
    }
}

fn open(arguments: &Arguments, input: &mut dyn io::BufRead, console: &mut Console<'_>) -> Result<i32> {
    let mut session = Session::open(arguments)?;
    let outcome = work(&mut session, arguments, input, console);
    let closed = session.close();
    outcome.and_then(|status| closed.map(|()| status))
}

fn work(
    session: &mut Session,
    arguments: &Arguments,
    input: &mut dyn io::BufRead,
    console: &mut Console<'_>,
) -> Result<i32> {
    for task in &arguments.tasks {
        match task {
            Task::Statement(sql) => session.script(sql, console)?,
            Task::File(path) => session.file(path, console)?,
        }
    }
    match (arguments.tasks.is_empty(), console.interactive) {
        (false, _) => Ok(0),
        (true, true) => prompt::run(session, console),
        (true, false) => {
            let mut text = String::new();
            input
                .read_to_string(&mut text)
                .map_err(|error| session::io_error("read", "the standard input", error))?;
            session.script(&text, console).map(|()| 0)
        }
    }
}
