//! File systems that the harnesses mount, and how they are sure to go away again: each is unmounted when dropped, and
//! where a thread has mounts of its own, the kernel unmounts what a killed program left.

use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Attempts to unmount: a child that is between its fork and its exec holds what its parent has open.
const ATTEMPTS: u32 = 200;

/// A mounted file system.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts `source`, a device or any name, as `kind` on `target`, with options as in `mount -o`.
    pub fn new(source: &Path, target: &Path, kind: &str, options: &str) -> io::Result<Self> {
        mount(source, target, kind, 0, options)?;
        Ok(Self(target.to_owned()))
    }

    /// Changes the options.
    pub fn remount(&self, kind: &str, options: &str) -> io::Result<()> {
        mount(Path::new(kind), &self.0, kind, libc::MS_REMOUNT, options)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let Ok(path) = text(self.0.as_os_str()) else { return };
        // SAFETY: the path is a string that ends in a zero and lives for the call.
        let unmount = |flags| unsafe { libc::umount2(path.as_ptr(), flags) } == 0;
        for _ in 0..ATTEMPTS {
            if unmount(0) || io::Error::last_os_error().raw_os_error() != Some(libc::EBUSY) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        unmount(libc::MNT_DETACH);
    }
}

fn text(part: &OsStr) -> io::Result<CString> {
    Ok(CString::new(part.as_encoded_bytes())?)
}

fn mount(source: &Path, target: &Path, kind: &str, flags: libc::c_ulong, options: &str) -> io::Result<()> {
    let (source, target) = (text(source.as_os_str())?, text(target.as_os_str())?);
    let (kind, data) = (CString::new(kind)?, CString::new(options)?);
    // SAFETY: every pointer is to a string that ends in a zero and lives for the call.
    let done =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives this thread, and the processes and threads that it starts, mounts of their own. They end with the last of those.
pub fn of_this_thread() -> io::Result<()> {
    thread_local! { static DONE: Cell<bool> = const { Cell::new(false) }; }
    if DONE.get() {
        return Ok(());
    }
    // SAFETY: the call takes no pointer; it changes what paths mean to this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(Path::new("none"), Path::new("/"), "none", libc::MS_REC | libc::MS_PRIVATE, "")?;
    DONE.set(true);
    Ok(())
}
