//! Cells of H15 about one writer at a time: other openers, a writer that was stopped while its lock was taken away, and
//! handles across fork and exec.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout};

use trilith_engine::{ClosedReason, Engine, Error, Options};

use crate::h3_child;
use crate::h15_processes::{Cell, Ground, Outcome, cell, outcome, require};
use crate::report::Verdict;
use crate::specimen::options;
use crate::worker::{self, Told};

/// What a process that forks or execs is told by its first argument.
pub const ARGUMENT: &str = "--h15";

pub fn cells() -> Vec<Cell> {
    let mut cells = vec![
        cell("second opener", |ground| opener_is_refused(ground, false)),
        cell("reader beside a writer", beside),
        cell("fork", |ground| in_child(ground, "fork")),
        cell("exec", |ground| in_child(ground, "exec")),
        cell("stopped writer keeps its lock", |ground| stopped(ground, false, 1)),
    ];
    for commits in 0..4 {
        cells.push(cell(format!("zombie after {commits} rounds"), move |ground| {
            stopped(ground, true, commits)
        }));
    }
    cells
}

/// A worker that works only when it is told to.
struct Led {
    child: Child,
    lines: BufReader<ChildStdout>,
    heard: String,
}

impl Led {
    fn start(folder: &Path) -> Self {
        let mut child = worker::command(folder, 8, true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut led = Self { child, lines, heard: String::new() };
        led.listen();
        led
    }

    /// Until it waits, or ends.
    fn listen(&mut self) {
        let mut line = String::new();
        while self.lines.read_line(&mut line).is_ok_and(|len| len > 0) && line != "R\n" {
            self.heard.push_str(&line);
            line.clear();
        }
    }

    fn go(&mut self) {
        let told = self.child.stdin.as_mut().map(|pipe| pipe.write_all(b"go\n"));
        // A worker that ended cannot be told anything.
        drop(told);
        self.listen();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the call touches no memory; the process is a child that nobody has waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Lets it go on to its end, with nobody to wait for.
    fn finish(mut self, ground: &Ground<'_>) -> Told {
        drop(self.child.stdin.take());
        let _ = self.lines.read_to_string(&mut self.heard);
        let status = self.child.wait().unwrap();
        let output = std::process::Output { status, stdout: self.heard.into_bytes(), stderr: Vec::new() };
        worker::hear(&output, ground.before)
    }
}

/// While a process writes, another one is told who it is. With `let_in`, somebody has removed its lock.
pub fn opener_is_refused(ground: &Ground<'_>, let_in: bool) -> Outcome {
    let mut writer = Led::start(ground.folder);
    writer.go();
    if let_in {
        std::fs::remove_file(ground.folder.join("LOCK")).unwrap();
    }
    let refused = match Engine::open_path(ground.folder, options()) {
        Err(Error::Busy { holder, .. }) => require(holder.contains(&writer.child.id().to_string()), holder),
        other => Err(Verdict::Wrong(format!("opened beside a writer: {other:?}"))),
    };
    let told = writer.finish(ground);
    refused?;
    outcome(worker::judge(ground.folder, &told))
}

/// A reader sees each round of a writer as soon as it was acknowledged.
fn beside(ground: &Ground<'_>) -> Outcome {
    let mut writer = Led::start(ground.folder);
    let failed = |error: Error| Verdict::Wrong(format!("a reader: {error}"));
    let reader =
        Engine::open_path(ground.folder, Options { read_only: true, ..options() }).map_err(failed)?;
    for round in 1..=4 {
        writer.go();
        let seen = h3_child::progress(&reader.snapshot().map_err(failed)?).map_err(Verdict::Wrong)?;
        require(seen[2] == ground.before[2] + round && seen[3] == ground.before[3] + round, (round, seen))?;
    }
    let told = writer.finish(ground);
    outcome(worker::judge(ground.folder, &told))
}

/// A writer is stopped for a while. Its lock stays its own; if somebody removes it and another writes meanwhile, the
/// first acknowledges nothing when it comes back.
fn stopped(ground: &Ground<'_>, replaced: bool, rounds: usize) -> Outcome {
    let mut zombie = Led::start(ground.folder);
    (0..rounds).for_each(|_| zombie.go());
    zombie.signal(libc::SIGSTOP);
    let result = while_stopped(ground, &zombie, replaced);
    zombie.signal(libc::SIGCONT);
    let acked_before = zombie.heard.matches("A ").count();
    zombie.go();
    let acked = zombie.heard.matches("A ").count() - acked_before;
    let mut told = zombie.finish(ground);
    let other = result?;
    if replaced {
        require(acked == 0, format!("{acked} commits acknowledged without the lock"))?;
        require(told.error.as_ref().is_some_and(|error| error.contains("LOCK")), &told.error)?;
        // What the other writer was told counts, too.
        told.acked.iter_mut().zip(other.acked).for_each(|(mine, theirs)| *mine = theirs.max(*mine));
    }
    outcome(worker::judge(ground.folder, &told))
}

fn while_stopped(ground: &Ground<'_>, zombie: &Led, replaced: bool) -> Result<Told, Verdict> {
    if replaced {
        std::fs::remove_file(ground.folder.join("LOCK")).unwrap();
        let told = worker::run(&mut worker::command(ground.folder, 3, false), ground.before);
        return match (&told.failure, &told.error) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Some(error)) => Err(Verdict::Wrong(format!("the next writer: {error}"))),
            (None, None) => Ok(told),
        };
    }
    match Engine::open_path(ground.folder, options()) {
        Err(Error::Busy { holder, .. }) => {
            require(holder.contains(&zombie.child.id().to_string()), holder).map(|()| Told::default())
        }
        other => Err(Verdict::Wrong(format!("opened beside a stopped writer: {other:?}"))),
    }
}

/// Runs `role` in a process of its own, which says what went wrong.
fn in_child(ground: &Ground<'_>, role: &str) -> Outcome {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args([ARGUMENT, role]).current_dir(ground.folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    require(output.status.success() && text.ends_with("fine\n"), (&output.status, &text))?;
    let told = Told { acked: ground.before, ..Told::default() };
    outcome(worker::judge(ground.folder, &told))
}

/// The process of the cells "fork" and "exec".
pub fn main(role: &str) {
    let engine = Engine::open_path(Path::new("."), options()).unwrap();
    match role {
        "fork" => fork(engine),
        "exec" => exec(&engine),
        // What "exec" becomes: the lock must not have come along.
        _ => {
            println!("{}", if h3_child::open(Path::new("."), &options()).is_ok() { "fine" } else { "locked" })
        }
    }
}

/// In the child every call is refused and nothing is touched; the parent goes on.
fn fork(engine: std::sync::Arc<Engine>) {
    let snapshot = engine.snapshot().unwrap();
    // SAFETY: the child calls nothing but this engine, which must refuse, and leaves by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            let forked = |error: Error| matches!(error, Error::Closed(ClosedReason::Forked));
            let refused = engine.snapshot().is_err_and(forked)
                && h3_child::commit(&engine, 2, 17).is_err_and(forked)
                && snapshot.table(&trilith_engine::TableName::public("log")).is_err_and(forked)
                && engine.close().is_ok();
            drop((snapshot, engine));
            // SAFETY: ends the process at once, which is all it does.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` outlives the call, and the child is this process's own.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            let goes_on = h3_child::commit(&engine, 2, 17).is_ok() && engine.close().is_ok();
            println!("{}", if status == 0 && goes_on { "fine" } else { "not refused" });
        }
    }
}

fn exec(engine: &Engine) {
    use std::os::unix::process::CommandExt;
    h3_child::commit(engine, 2, 17).unwrap();
    let error = std::process::Command::new(std::env::current_exe().unwrap()).args([ARGUMENT, "after"]).exec();
    println!("{error}");
}
