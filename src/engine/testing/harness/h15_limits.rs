//! Cells of H15 about limits: descriptors, the size of a file.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::h15_processes::{Cell, Ground, Outcome, cell, outcome, require};
use crate::report::Verdict;
use crate::worker;

/// Rounds of a worker under a limit.
const ROUNDS: i64 = 5;

/// What a process may have.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// Open at once.
    Descriptors(u64),
    /// In one file.
    FileBytes(u64),
}

pub fn cells() -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for descriptors in 8..=64 {
        let name = format!("{descriptors} descriptors");
        cells.push(cell(name, move |ground| limited(ground, Limit::Descriptors(descriptors), true)));
    }
    for kilobytes in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        for ignored in [true, false] {
            let name =
                format!("files of {kilobytes} KiB, signal {}", if ignored { "ignored" } else { "fatal" });
            cells.push(cell(name, move |ground| limited(ground, Limit::FileBytes(kilobytes << 10), ignored)));
        }
    }
    cells
}

/// A worker that may not pass a limit: done, or an error, or (when the signal is not ignored) ended by the system as
/// any process is. Without the limit, the next one finds everything that was acknowledged.
fn limited(ground: &Ground<'_>, limit: Limit, ignored: bool) -> Outcome {
    let mut command = worker::command(ground.folder, ROUNDS, false);
    limit_in_child(&mut command, limit, ignored);
    let mut told = worker::run(&mut command, ground.before);
    if !ignored && matches!(&told.failure, Some(Verdict::Crash(text)) if text.contains("SIGXFSZ")) {
        told.failure = None;
    } else if told.failure.is_none() {
        require(told.done || told.error.is_some(), &told)?;
    }
    outcome(worker::judge(ground.folder, &told))?;
    let after = worker::run(&mut worker::command(ground.folder, 2, false), ground.before);
    require(after.done, &after)?;
    outcome(worker::judge(ground.folder, &after))
}

fn limit_in_child(command: &mut Command, limit: Limit, ignored: bool) {
    let set = move || {
        let (Limit::Descriptors(most) | Limit::FileBytes(most)) = limit;
        let limits = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the calls are safe after fork; `limits` outlives them, and the first sets no handler.
        let done = unsafe {
            if ignored {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            }
            match limit {
                Limit::Descriptors(_) => libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits),
                Limit::FileBytes(_) => libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limits),
            }
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure allocates nothing, takes no lock, and makes async-signal-safe calls only.
    unsafe { command.pre_exec(set) };
}
