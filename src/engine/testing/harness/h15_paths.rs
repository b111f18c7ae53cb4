//! Cells of H15 about where a database lies: links, two paths to one folder, names that are no text, folders that cannot
//! be written to, and the time on the wall.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trilith_engine::{Engine, Error, Options};

use crate::h3_child;
use crate::h15_processes::{Cell, Ground, Outcome, cell, outcome, require};
use crate::report::Verdict;
use crate::shim;
use crate::specimen::options;
use crate::worker::{self, Told};

const TEN_YEARS: i64 = 10 * 365 * 86_400;
/// User and group "nobody".
const NOBODY: u32 = 65_534;

pub fn cells() -> Vec<Cell> {
    let mut cells = vec![
        cell("folder behind a link", linked),
        cell("two paths to one folder", two_paths),
        cell("one folder mounted twice", bound),
        cell("a name that is no text", no_text),
        cell("a file behind a link", planted_link),
        cell("a folder that is read-only", unwritable),
        cell("a mount that is read-only", mounted_read_only),
    ];
    for ahead in [-TEN_YEARS, -1, 0, TEN_YEARS] {
        for back in [false, true] {
            let name = format!("wall clock {ahead} s ahead{}", if back { ", going back" } else { "" });
            cells.push(cell(name, move |ground| clocked(ground, ahead, back)));
        }
    }
    cells
}

fn as_before(ground: &Ground<'_>) -> Told {
    Told { acked: ground.before, done: true, ..Told::default() }
}

/// A path beside the database that is removed at the end.
struct Beside {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn beside(name: impl AsRef<Path>) -> Beside {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    Beside { path, _folder: folder }
}

fn same_engine(a: &Path, b: &Path) -> Result<(), Verdict> {
    let open =
        |path: &Path| h3_child::open(path, &options()).map_err(|error| Verdict::Wrong(error.to_string()));
    let (first, second) = (open(a)?, open(b)?);
    require(Arc::ptr_eq(&first, &second), "two engines of one process write to one folder")
}

/// A process that goes through a link and one that does not exclude each other, and read the same.
fn linked(ground: &Ground<'_>) -> Outcome {
    let link = beside("link");
    symlink(ground.folder, &link.path).unwrap();
    same_engine(&link.path, ground.folder)?;
    let told = worker::run(&mut worker::command(&link.path, 3, false), ground.before);
    require(told.done, &told)?;
    outcome(worker::judge(&link.path, &told))
}

fn two_paths(ground: &Ground<'_>) -> Outcome {
    let other = ground.folder.join("sst").join("..").join(".");
    same_engine(&other, ground.folder)?;
    outcome(worker::judge(&other, &as_before(ground)))
}

/// Another mount of the folder has another path, but the same lock.
fn bound(ground: &Ground<'_>) -> Outcome {
    let place = beside("mounted");
    std::fs::create_dir(&place.path).unwrap();
    let mounts = format!("mount --bind '{}' '{}'", ground.folder.display(), place.path.display());
    let held =
        h3_child::open(ground.folder, &options()).map_err(|error| Verdict::Wrong(error.to_string()))?;
    let Some(told) = apart(ground, &mounts, &place.path) else { return Ok(false) };
    require(told.error.as_ref().is_some_and(|error| error.contains("open for writing")), &told)?;
    drop(held);
    outcome(worker::judge(ground.folder, &as_before(ground)))
}

/// Runs a worker in `folder` after `mounts`, which nobody else sees; `None` where that is not allowed.
fn apart(ground: &Ground<'_>, mounts: &str, folder: &Path) -> Option<Told> {
    let script =
        format!("set -e; {mounts}; cd '{}'; exec \"$0\" {} 1 alone", folder.display(), worker::ARGUMENT);
    let mut shell = std::process::Command::new("unshare");
    let output =
        shell.args(["--mount", "sh", "-c", &script]).arg(std::env::current_exe().unwrap()).output().ok()?;
    let told = worker::hear(&output, ground.before);
    (told.error.is_some() || told.done).then_some(told)
}

fn no_text(ground: &Ground<'_>) -> Outcome {
    let place = beside(OsString::from_vec(b"not \xff\xfe text".to_vec()));
    worker::copy(ground.folder, &place.path);
    let told = worker::run(&mut worker::command(&place.path, 3, false), ground.before);
    require(told.done, &told)?;
    let busy = h3_child::open(&place.path, &options());
    same_engine(&place.path, &place.path)?;
    drop(busy);
    outcome(worker::judge(&place.path, &told))
}

/// Nothing is read through a link that somebody put into the folder.
fn planted_link(ground: &Ground<'_>) -> Outcome {
    let (current, away) = (ground.folder.join("CURRENT"), beside("CURRENT"));
    std::fs::copy(&current, &away.path).unwrap();
    std::fs::remove_file(&current).unwrap();
    symlink(&away.path, &current).unwrap();
    let told = worker::run(&mut worker::command(ground.folder, 1, false), ground.before);
    require(told.error.is_some() && told.acked == ground.before, &told)?;
    std::fs::remove_file(&current).unwrap();
    std::fs::copy(&away.path, &current).unwrap();
    outcome(worker::judge(ground.folder, &as_before(ground)))
}

/// Somebody who may not write to the folder is told so.
fn unwritable(ground: &Ground<'_>) -> Outcome {
    use std::os::unix::process::CommandExt;
    // SAFETY: the call has no arguments and cannot fail.
    if unsafe { libc::geteuid() } != 0 || !others_may_run(&std::env::current_exe().unwrap()) {
        return Ok(false);
    }
    open_to_all(ground.folder);
    let mut command = worker::command(ground.folder, 1, false);
    let told = worker::run(command.uid(NOBODY).gid(NOBODY), ground.before);
    require(told.error.as_ref().is_some_and(|error| error.contains("ermission")), &told)?;
    outcome(worker::judge(ground.folder, &as_before(ground)))
}

/// Whether a program may be run by everybody: it may have been built in somebody's private folder.
fn others_may_run(program: &Path) -> bool {
    program.ancestors().all(|path| path.metadata().is_ok_and(|found| found.permissions().mode() & 1 != 0))
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
}

fn mounted_read_only(ground: &Ground<'_>) -> Outcome {
    let folder = ground.folder.display();
    let mounts = format!("mount --bind '{folder}' '{folder}'; mount -o remount,bind,ro '{folder}'");
    let Some(told) = apart(ground, &mounts, ground.folder) else { return Ok(false) };
    require(told.error.as_ref().is_some_and(|error| error.contains("ead-only")), &told)?;
    let reader = Engine::open_path(ground.folder, Options { read_only: true, ..options() });
    let snapshot = reader.and_then(|reader| reader.snapshot());
    let seen = snapshot.map_err(|error: Error| Verdict::Wrong(error.to_string()))?;
    require(h3_child::progress(&seen).is_ok_and(|seen| seen == ground.before), "a reader sees other rows")?;
    outcome(worker::judge(ground.folder, &as_before(ground)))
}

/// No answer depends on the time on the wall.
fn clocked(ground: &Ground<'_>, ahead: i64, back: bool) -> Outcome {
    for (ahead, back) in [(ahead, back), (0, false), (ahead, back)] {
        let folder = ground.folder;
        let mut command = worker::command(folder, 2, false);
        shim::clock(&mut command, ahead, back);
        let told = worker::run(&mut command, ground.before);
        require(told.done, &told)?;
        outcome(worker::judge(folder, &told))?;
    }
    Ok(true)
}
