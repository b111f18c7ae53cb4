//! Subcommands that look after a database: `inspect`, `backup`, `restore`, `repair`, `vacuum`, `rotate-key`, and
//! `export` of all of it.
//!
//! Each is a command line of its own and a call into the engine; what they do is decided there.

use std::ffi::OsString;
use std::path::PathBuf;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, ValueEnum};
use trilith_engine::io::object::address;
use trilith_engine::{
    BackupProgress, BackupReport, CopyMode, Engine, ErrorKind, Options, inspect_path, repair_path,
    restore_path,
};

use super::key::{KeyArgument, read_file};
use super::session::output_error;
use super::{Console, FAILED};
use crate::error::{EngineError, Result};
use crate::runtime;

/// Explain a file of a database: what it is, what its header says, where it is damaged.
#[derive(Debug, Parser)]
#[command(name = "trilith inspect")]
pub(super) struct Inspect {
    /// The file: a log, an SSTable or its companion, deletion bitmaps, a manifest, CURRENT, a database in a single file
    file: PathBuf,
    /// List its records, batches, sections or files too
    #[arg(long)]
    records: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    key: KeyArgument,
}

/// Copy a database, as of now, into a folder that is then a database itself. Its writer may go on. A second backup
/// into the same folder brings only what is new.
#[derive(Debug, Parser)]
#[command(name = "trilith backup")]
pub(super) struct Backup {
    /// The database, a folder
    path: PathBuf,
    /// The folder of the backup: new, empty, or with an earlier backup of this database
    target: PathBuf,
    /// Copy and verify every byte, instead of linking files where the file system can
    #[arg(long)]
    copy: bool,
    #[command(flatten)]
    key: KeyArgument,
}

/// Make a database of a backup, which is only read.
#[derive(Debug, Parser)]
#[command(name = "trilith restore")]
pub(super) struct Restore {
    /// The backup, a folder or a single file
    backup: PathBuf,
    /// The folder of the new database
    path: PathBuf,
    /// Link files where the file system can, instead of copying and verifying every byte
    #[arg(long)]
    link: bool,
    #[command(flatten)]
    key: KeyArgument,
}

/// Make a new database of everything in a damaged one that still proves itself, and list what is lost. The exit
/// status is 1 when something is.
#[derive(Debug, Parser)]
#[command(name = "trilith repair")]
pub(super) struct Repair {
    /// The damaged database, a folder or a single file; it is only read
    path: PathBuf,
    /// The folder of the new database
    target: PathBuf,
    #[command(flatten)]
    key: KeyArgument,
}

/// Rewrite every file that holds deleted rows, now, and tell how many bytes the disk has back.
#[derive(Debug, Parser)]
#[command(name = "trilith vacuum")]
pub(super) struct Vacuum {
    /// The database, a folder
    path: PathBuf,
    #[command(flatten)]
    key: KeyArgument,
}

/// Make another key the one that opens an encrypted database, at once. Older files keep their data keys until they are
/// rewritten, as `trilith vacuum` does with all of them.
#[derive(Debug, Parser)]
#[command(name = "trilith rotate-key")]
pub(super) struct RotateKey {
    /// The database, a folder
    path: PathBuf,
    /// File with the new key: 32 bytes, or 64 hexadecimal digits
    new_key_file: PathBuf,
    #[command(flatten)]
    key: KeyArgument,
}

/// A database that goes into a single file.
#[derive(Debug)]
pub(super) struct Export {
    path: PathBuf,
    file: PathBuf,
    replace: bool,
    key: KeyArgument,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// A subcommand that works on files.
#[derive(Debug)]
pub(super) enum Operation {
    Inspect(Inspect),
    Backup(Backup),
    Restore(Restore),
    Repair(Repair),
    Vacuum(Vacuum),
    RotateKey(RotateKey),
    Export(Export),
}

impl Operation {
    /// The subcommand of this name, from its own arguments; `None` when there is none.
    pub(super) fn parse(
        name: &str,
        arguments: impl Iterator<Item = OsString>,
    ) -> Option<std::result::Result<Self, clap::Error>> {
        match name {
            "inspect" => Some(Inspect::try_parse_from(arguments).map(Self::Inspect)),
            "backup" => Some(Backup::try_parse_from(arguments).map(Self::Backup)),
            "restore" => Some(Restore::try_parse_from(arguments).map(Self::Restore)),
            "repair" => Some(Repair::try_parse_from(arguments).map(Self::Repair)),
            "vacuum" => Some(Vacuum::try_parse_from(arguments).map(Self::Vacuum)),
            "rotate-key" => Some(RotateKey::try_parse_from(arguments).map(Self::RotateKey)),
            _ => None,
        }
    }

    /// The whole of a database into a file.
    pub(super) fn export(path: PathBuf, file: PathBuf, replace: bool, key: KeyArgument) -> Self {
        Self::Export(Export { path, file, replace, key })
    }

    /// Carries it out and returns the exit status.
    pub(super) fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        match self {
            Self::Inspect(line) => line.run(console),
            Self::Backup(line) => line.run(console),
            Self::Restore(line) => line.run(console),
            Self::Repair(line) => line.run(console),
            Self::Vacuum(line) => line.run(console),
            Self::RotateKey(line) => line.run(console),
            Self::Export(line) => line.run(console),
        }
    }
}

impl Inspect {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let report = inspect_path(&self.file, self.key.read()?.as_ref(), self.records)?;
        match self.format {
            Form::Text => write!(console.out, "{report}"),
            Form::Json => writeln!(console.out, "{}", report.to_json()),
        }
        .map_err(output_error)?;
        Ok(if report.damage.is_empty() { 0 } else { FAILED })
    }
}

impl Backup {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let mode = if self.copy { CopyMode::Copy } else { CopyMode::Link };
        let engine = open_even_beside_a_writer(&self.path, &self.key)?;
        let stopped = Stopped::by_ctrl_c()?;
        let report = engine.backup(&self.target, mode, &mut |progress| stopped.check(progress, console))?;
        engine.close()?;
        tell(&report, console)
    }
}

impl Restore {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let mode = if self.link { CopyMode::Link } else { CopyMode::Copy };
        let stopped = Stopped::by_ctrl_c()?;
        let key = self.key.read()?;
        let mut progress = |progress| stopped.check(progress, console);
        let report = restore_path(&self.backup, &self.path, key.as_ref(), mode, &mut progress)?;
        tell(&report, console)
    }
}

impl Repair {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let stopped = Stopped::by_ctrl_c()?;
        let key = self.key.read()?;
        let report = repair_path(&self.path, &self.target, key.as_ref(), &mut |file| {
            // Progress is a courtesy: a closed error stream must not stop the repair.
            let _shown = writeln!(console.err, "reading {file}");
            stopped.refuse()
        })?;
        writeln!(console.out, "{report}").map_err(output_error)?;
        Ok(if report.losses.is_empty() { 0 } else { FAILED })
    }
}

impl Vacuum {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let engine = open_to_write(&self.path, &self.key)?;
        let report = engine.vacuum()?;
        engine.close()?;
        let (rewritten, orphans) = (report.rewritten, report.orphans);
        let (freed, left) = (report.freed(), report.bytes_after);
        writeln!(
            console.out,
            "{rewritten} files rewritten, {orphans} orphans removed, {freed} bytes freed, {left} bytes on disk"
        )
        .map_err(output_error)?;
        Ok(0)
    }
}

impl RotateKey {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let key = read_file(&self.new_key_file)?;
        let engine = open_to_write(&self.path, &self.key)?;
        engine.rotate_key(&key)?;
        engine.close()?;
        writeln!(console.out, "the key in {} opens it now", self.new_key_file.display())
            .map_err(output_error)?;
        Ok(0)
    }
}

impl Export {
    fn run(&self, console: &mut Console<'_>) -> Result<i32> {
        let engine = open_even_beside_a_writer(&self.path, &self.key)?;
        let stopped = Stopped::by_ctrl_c()?;
        let mut progress = |progress| stopped.check(progress, console);
        let report = engine.export(&self.file, self.replace, None, &mut progress)?;
        engine.close()?;
        let (seq, bytes, file) = (report.seq, report.bytes, self.file.display());
        writeln!(console.out, "{file}: commits up to {seq}, {bytes} bytes").map_err(output_error)?;
        Ok(0)
    }
}

/// The database for writing, or for reading while another process writes to it. On an object store nobody is told that
/// another one writes, but taken over from.
fn open_even_beside_a_writer(path: &Path, key: &KeyArgument) -> Result<Arc<Engine>> {
    let (read_only, encryption_key) = (address(path).is_some(), key.read()?);
    let options =
        Options { create: false, background: false, read_only, encryption_key, ..Options::default() };
    match Engine::open_path(path, options.clone()) {
        Err(busy) if busy.kind() == ErrorKind::Busy => {
            Ok(Engine::open_path(path, Options { read_only: true, ..options })?)
        }
        opened => Ok(opened?),
    }
}

fn open_to_write(path: &Path, key: &KeyArgument) -> Result<Arc<Engine>> {
    let encryption_key = key.read()?;
    Ok(Engine::open_path(path, Options { create: false, encryption_key, ..Options::default() })?)
}

fn tell(report: &BackupReport, console: &mut Console<'_>) -> Result<i32> {
    let BackupReport { version, seq, files, bytes, linked, copied, reused } = report;
    let line = format!(
        "version {version} with commits up to {seq}: {files} files, {bytes} bytes ({linked} linked, {copied} copied, \
         {reused} there already)"
    );
    writeln!(console.out, "{line}").map_err(output_error)?;
    Ok(0)
}

/// Hears a Ctrl-C while files are copied.
struct Stopped(Arc<AtomicBool>);

impl Stopped {
    fn by_ctrl_c() -> Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&pressed);
        runtime::handle()?.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                heard.store(true, Ordering::Relaxed);
            }
        });
        Ok(Self(pressed))
    }

    fn refuse(&self) -> trilith_engine::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(EngineError::invalid("the work", "it was stopped by Ctrl-C; nothing of it was kept"));
        }
        Ok(())
    }

    fn check(&self, progress: BackupProgress, console: &mut Console<'_>) -> trilith_engine::Result<()> {
        if console.interactive {
            let BackupProgress { done, total } = progress;
            let _shown =
                write!(console.err, "\r{done} of {total} bytes{}", if done == total { "\n" } else { "" });
        }
        self.refuse()
    }
}
