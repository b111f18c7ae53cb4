//! The writer lock of a database on disk: `flock` on its file `LOCK`.
//!
//! The kernel drops it when the process ends, however it ends, so there is never a stale lock to clear.
//! The text in the file is for messages only. A forked child that drops its copy of the guard closes
//! one descriptor and frees nothing while the parent holds the other.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::LockGuard;
use super::local_file::stamp_of;
use crate::common::{Error, Result};

/// Name of the lock file.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// Longest text read from a lock file for a message.
const HOLDER_MAX: u64 = 256;

/// Held while the database is open for writing.
#[derive(Debug)]
struct FileLock {
    file: File,
    path: PathBuf,
}

impl LockGuard for FileLock {
    /// Whoever opens next locks the file that has the name then; a lock on another one means nothing to them.
    fn is_held(&self) -> bool {
        let same = |mine: Metadata, named: Metadata| stamp_of(&mine).file == stamp_of(&named).file;
        match (self.file.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(mine), Ok(named)) => same(mine, named),
            // The folder cannot be looked at now, as when the process is out of descriptors or rights: nobody else
            // was let in by that.
            (_, Err(error)) => error.kind() != std::io::ErrorKind::NotFound,
            (Err(_), _) => true,
        }
    }
}

/// Takes the lock of the database in `dir`, without waiting.
///
/// # Errors
/// `Busy`, naming the holder, when another handle of this or any process has it.
pub(crate) fn acquire(dir: &Path) -> Result<Box<dyn LockGuard>> {
    let path = dir.join(LOCK_FILE);
    let failed = |op, source| Error::io(op, path.display().to_string(), source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(&path)
        .map_err(|source| failed("open the lock file", source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy(dir, &mut file)),
        Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
    }
    // The lock itself is what counts: on a full disk the text may be missing and all still works.
    let _ = file.set_len(0).and_then(|()| file.write_all(describe_self().as_bytes()));
    Ok(Box::new(FileLock { file, path }))
}

fn busy(dir: &Path, file: &mut File) -> Error {
    let mut text = Vec::new();
    let known = file.take(HOLDER_MAX).read_to_end(&mut text).is_ok() && !text.is_empty();
    let clean = |text: Vec<u8>| String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).collect();
    let holder = if known { clean(text) } else { "another process".to_owned() };
    Error::Busy { path: dir.display().to_string(), holder }
}

/// Who holds the lock: process, host and time, as others are shown it.
pub(crate) fn describe_self() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let host = host.unwrap_or_default();
    let host = if host.trim().is_empty() { "this host" } else { host.trim() };
    format!("process {} on {host} (since {})\n", std::process::id(), utc_now())
}

fn utc_now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let clock = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", clock / 3600, clock / 60 % 60, clock % 60)
}

/// The Gregorian date `days` after 1970-01-01, counted in years that begin in March.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn second_lock_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let guard = acquire(dir.path()).unwrap();
        let message = acquire(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        assert!(message.contains("read_only"), "{message}");
        drop(guard);
        acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_whose_file_was_replaced_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let first = acquire(dir.path()).unwrap();
        assert!(first.is_held());
        std::fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
        assert!(!first.is_held());
        let second = acquire(dir.path()).unwrap();
        assert!(second.is_held());
        assert!(!first.is_held());
    }

    #[test]
    fn lock_file_is_never_followed_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "keep me").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(LOCK_FILE)).unwrap();
        assert!(matches!(acquire(dir.path()), Err(Error::Io { .. })));
        assert_eq!(std::fs::read(&victim).unwrap(), b"keep me");
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(20_778), (2026, 11, 21));
    }
}
