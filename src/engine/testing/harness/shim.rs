//! The layer of `shim.c` (Linux with glibc), compiled once per run with the system's C compiler, and what it is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What fails in the process that is started.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// Kind of call, as `shim.c` names them.
    pub call: &'static str,
    /// The first one that fails, from 1.
    pub nth: u64,
    /// Whether all later ones do too.
    pub forever: bool,
    /// What they fail with; 0 for a call that says it was done, and was not.
    pub errno: i32,
}

/// The compiled layer.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        let mut compile = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let done = compile.status().unwrap();
        assert!(done.success(), "{compile:?} ended with {done}");
        (folder, library)
    });
    &built.1
}

/// Puts the layer under `command`, for files below `folder`.
pub fn count(command: &mut Command, folder: &Path) {
    command.env("LD_PRELOAD", library()).env("SHIM_FOLDER", folder);
}

/// As [`count`], with calls that fail.
pub fn strike(command: &mut Command, folder: &Path, strike: Strike) {
    count(command, folder);
    command
        .env("SHIM_CALL", strike.call)
        .env("SHIM_NTH", strike.nth.to_string())
        .env("SHIM_FOREVER", if strike.forever { "1" } else { "0" })
        .env("SHIM_ERRNO", strike.errno.to_string());
}

/// Sets the wall clock of `command` to `ahead` seconds from now; with `back` it goes back whenever it is read.
pub fn clock(command: &mut Command, ahead: i64, back: bool) {
    command.env("LD_PRELOAD", library()).env("SHIM_CLOCK", ahead.to_string());
    if back {
        command.env("SHIM_BACK", "1");
    }
}
