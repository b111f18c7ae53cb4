//! A process that works on a database, one call after another, until it is done or a call fails: what H14 and H15 put
//! under pressure. It takes the parts of two of H3's writers, at the levels `group` and `strict`.
//!
//! Down its pipe go `A writer n` for each commit that was acknowledged, `E text` for the error it ends with, `W text`
//! for rows that should not be, and `D` when all is done and closed.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use trilith_engine::{Engine, Error, Options, Result};

use crate::h3_child::{self, Progress};
use crate::report::Verdict;
use crate::specimen::options;

/// The writers whose parts it takes.
const WRITERS: [usize; 2] = [2, 3];

/// What a process is told by its first argument; the database is its working folder.
pub const ARGUMENT: &str = "--worker";

/// Works `rounds` rounds. With `led`, it waits for a line on its standard input before each, and tells `R` when it does.
pub fn main(rounds: i64, led: bool) {
    match work(rounds, led) {
        Ok(()) => h3_child::say("D"),
        Err(error) => h3_child::say(&format!("E {error}")),
    }
}

fn work(rounds: i64, led: bool) -> Result<()> {
    let engine = h3_child::open(Path::new("."), &options())?;
    h3_child::create_tables(&engine)?;
    let mut last = read(&engine)?;
    for round in 0..rounds {
        if led {
            h3_child::say("R");
            let _ = std::io::stdin().lock().read_line(&mut String::new());
        }
        for writer in WRITERS {
            h3_child::commit(&engine, writer as i64, last[writer] + 1)?;
            last[writer] += 1;
            h3_child::say(&format!("A {writer} {}", last[writer]));
        }
        match round % 4 {
            1 => engine.flush()?,
            3 => engine.compact()?,
            _ => {}
        }
    }
    read(&engine)?;
    engine.close()
}

/// Everything, which must be what the writers wrote.
fn read(engine: &Engine) -> Result<Progress> {
    let found = h3_child::progress(&engine.snapshot()?);
    found.map_err(|text| {
        if text.starts_with("with commits") {
            h3_child::say(&format!("W {text}"));
        }
        Error::Internal(text)
    })
}

/// The program that works on the database in `folder`, its pipes open.
pub fn command(folder: &Path, rounds: i64, led: bool) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([ARGUMENT, &rounds.to_string(), if led { "led" } else { "alone" }]).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a worker told, and how it ended.
#[derive(Debug, Default)]
pub struct Told {
    /// Last acknowledged commit of each writer.
    pub acked: Progress,
    /// It ended with this error.
    pub error: Option<String>,
    /// It finished.
    pub done: bool,
    /// What it said on standard error.
    pub aside: String,
    /// It found wrong rows, panicked or died.
    pub failure: Option<Verdict>,
}

/// Runs a worker to its end. `before` is what the database held.
pub fn run(command: &mut Command, before: Progress) -> Told {
    hear(&command.output().unwrap(), before)
}

/// Makes sense of what a worker said.
pub fn hear(output: &Output, before: Progress) -> Told {
    let aside = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut told = Told { acked: before, aside, ..Told::default() };
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        match line.split_at_checked(2) {
            Some(("A ", commit)) => {
                let numbers: Vec<i64> = commit.split(' ').filter_map(|part| part.parse().ok()).collect();
                if let [writer, n] = numbers[..] {
                    told.acked[writer as usize] = n;
                }
            }
            Some(("E ", error)) => told.error = Some(error.to_owned()),
            Some(("W ", wrong)) => told.failure = Some(Verdict::Wrong(wrong.to_owned())),
            _ => told.done |= line == "D",
        }
    }
    if !output.status.success() && told.failure.is_none() {
        told.failure = Some(Verdict::Crash(format!("{}: {:.300}", output.status, told.aside)));
    }
    told
}

/// Compares the database in `folder` with what was told of it: every acknowledged commit is there, at most one more of
/// each writer, and nothing else.
pub fn judge(folder: &Path, told: &Told) -> Verdict {
    if let Some(failure) = &told.failure {
        return failure.clone();
    }
    let encryption_key = crate::encrypted::key();
    let options = Options { background: false, encryption_key, ..Options::default() };
    let found = match h3_child::open(folder, &options) {
        Ok(engine) => {
            engine.snapshot().map_err(|error| error.to_string()).and_then(|s| h3_child::progress(&s))
        }
        Err(error) => Err(format!("open: {error}")),
    };
    let found = match found {
        Ok(found) => found,
        Err(text) => return Verdict::Wrong(text),
    };
    for (writer, (&at, &acked)) in found.iter().zip(&told.acked).enumerate() {
        if at < acked {
            return Verdict::Lost(format!("writer {writer} is at {at}, commit {acked} was acknowledged"));
        }
        if at > acked + i64::from(!told.done) {
            return Verdict::Wrong(format!("writer {writer} is at {at}, {acked} was acknowledged"));
        }
    }
    Verdict::Survived
}

/// A closed database with rows, files and a log, and what it holds: its writers are about to pass their next bulk write.
pub fn template(folder: &Path) -> Progress {
    let engine = h3_child::open(folder, &options()).unwrap();
    h3_child::create_tables(&engine).unwrap();
    for n in 1..=16 {
        for writer in 0..4 {
            h3_child::commit(&engine, writer, n).unwrap();
        }
        if n % 6 == 0 {
            engine.flush().unwrap();
        }
    }
    engine.close().unwrap();
    [16; 4]
}

/// A copy of a folder of files and folders of files.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
