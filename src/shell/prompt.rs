//! The prompt: lines from a terminal, with editing and a history that outlives the shell.

use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use trilith_engine::Error as EngineError;

use super::Console;
use super::commands::Next;
use super::session::{Session, output_error};
use super::statements;
use crate::error::Result;

/// Before lines that go on with a statement.
const NEXT: &str = "    ...> ";

/// Reads and runs lines until the end of input or `\q`.
pub(super) fn run(session: &mut Session, console: &mut Console<'_>) -> Result<i32> {
    let mut editor = DefaultEditor::new().map_err(terminal)?;
    let history = history();
    if let Some(file) = &history {
        // A history that cannot be read is as good as none.
        let _none = editor.load_history(file);
    }
    writeln!(console.out, "trilith {}; \\? for help", env!("CARGO_PKG_VERSION")).map_err(output_error)?;
    let outcome = lines(&mut editor, session, console);
    if let Some(file) = history {
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        // Nor is one that cannot be written worth an error.
        let _lost = folder.map(|()| editor.save_history(&file));
    }
    outcome.map(|()| 0)
}

fn lines(editor: &mut DefaultEditor, session: &mut Session, console: &mut Console<'_>) -> Result<()> {
    let mut pending = String::new();
    loop {
        let prompt = if statements::is_blank(&pending) { session.prompt() } else { NEXT };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(terminal(error)),
        };
        if !line.trim().is_empty() {
            let _duplicate = editor.add_history_entry(&line);
        }
        match session.feed(&line, &mut pending, console) {
            Ok(Next::Go) => {}
            Ok(Next::Quit) => return Ok(()),
            Err(error) => {
                pending.clear();
                writeln!(console.err, "Error: {error}").map_err(output_error)?;
            }
        }
    }
}

/// Where the history is kept, as the XDG convention has it.
fn history() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("trilith").join("history"))
}

fn terminal(error: ReadlineError) -> crate::error::Error {
    EngineError::io("read lines from", "the terminal", std::io::Error::other(error)).into()
}
