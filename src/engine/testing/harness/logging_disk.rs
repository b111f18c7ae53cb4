//! A disk that remembers every write and flush: a file in memory, served over FUSE, for a loop device to lie on.
//!
//! Its thread speaks the kernel's protocol itself: one file is all there is, so a dozen messages do. It must touch no file
//! system that depends on it, and has a table of descriptors of its own: whatever kills the program closes the connection,
//! which fails all calls that wait for an answer, so nothing hangs.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::Mutex;

use crate::block_log::Event;
use crate::mounts::Mount;
use crate::volumes;

/// Longest write, and what precedes it.
const WRITE_MAX: usize = 256 << 10;
const HEADER_LEN: usize = 40;
const WRITE_HEADER_LEN: usize = 40;

// Messages of the protocol, as the kernel numbers them; its numbers are little-endian wherever the engine runs.
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;

/// Version of the protocol that is spoken, and what of it is asked for: reads side by side, writes of more than a page.
const VERSION: [u32; 2] = [7, 31];
const BIG_WRITES: u32 = 1 << 5;
const MAX_PAGES: u32 = 1 << 22;
/// Attributes never change.
const FOREVER: u64 = 1 << 30;

/// The log of a disk, which grows while the disk is in use.
pub type Log = Arc<Mutex<Vec<Event>>>;

/// A disk in use. When it is dropped, nothing may be mounted from it any more.
#[derive(Debug)]
pub struct LoggingDisk {
    /// What happened so far.
    pub log: Log,
    mount: Option<Mount>,
    server: Option<std::thread::JoinHandle<()>>,
}

impl LoggingDisk {
    /// A disk that holds `image` in the beginning, as the file `place`, which exists. Mounted for this thread and its kin.
    pub fn new(image: &File, place: &Path) -> io::Result<Self> {
        let mut bytes = vec![0; image.metadata()?.len() as usize];
        volumes::each_piece(image, |at, piece| {
            bytes[at as usize..][..piece.len()].copy_from_slice(piece);
            Ok(())
        })?;
        let (log, target) = (Log::default(), place.to_owned());
        let (said, mounted) = mpsc::channel();
        let mut server = Server { bytes, log: Arc::clone(&log) };
        let thread = std::thread::spawn(move || match connect(&target) {
            Ok((kernel, mount)) => {
                let _ = said.send(Ok(mount));
                server.serve(kernel);
            }
            Err(error) => drop(said.send(Err(error))),
        });
        let mount = mounted.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { log, mount: Some(mount), server: Some(thread) })
    }
}

impl Drop for LoggingDisk {
    fn drop(&mut self) {
        drop(self.mount.take());
        self.server.take().map(std::thread::JoinHandle::join);
    }
}

/// Mounts a file system of one file, and gives the connection to whoever is to serve it. From here on this thread has
/// descriptors of its own: the standard ones and the connection.
fn connect(target: &Path) -> io::Result<(File, Mount)> {
    // SAFETY: neither call takes a pointer. The table is this thread's alone when all but three of it are closed, so
    // nobody's open file is; and this thread owns none.
    let apart = unsafe {
        libc::unshare(libc::CLONE_FILES) == 0
            && libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) == 0
    };
    if !apart {
        return Err(io::Error::last_os_error());
    }
    let kernel = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    let options = format!("fd={},rootmode=100600,user_id=0,group_id=0", kernel.as_raw_fd());
    let mount = Mount::new(Path::new("disk"), target, "fuse", &options)?;
    Ok((kernel, mount))
}

struct Server {
    bytes: Vec<u8>,
    log: Log,
}

/// What is answered: bytes, an error, or nothing at all.
type Answer = Option<Result<Vec<u8>, i32>>;

impl Server {
    /// Answers until the file system is unmounted.
    fn serve(&mut self, mut kernel: File) {
        let mut request = vec![0; WRITE_MAX + HEADER_LEN + WRITE_HEADER_LEN + (64 << 10)];
        loop {
            let len = match kernel.read(&mut request) {
                Ok(len) => len,
                // The request was taken back.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR | libc::EAGAIN)) =>
                {
                    continue;
                }
                Err(_) => return,
            };
            let (header, body) = request[..len].split_at(HEADER_LEN);
            let Some(answer) = self.answer(u32_at(header, 4), body) else { continue };
            let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
            let len = (16 + body.len()) as u32;
            let reply = [&len.to_le_bytes()[..], &error.to_le_bytes(), &header[8..16], &body].concat();
            let _ = kernel.write(&reply);
        }
    }

    fn answer(&mut self, what: u32, body: &[u8]) -> Answer {
        Some(match what {
            FORGET | BATCH_FORGET | INTERRUPT => return None,
            INIT => Ok(init(body)),
            GETATTR | SETATTR => Ok(self.attributes()),
            OPEN => Ok(vec![0; 16]),
            READ => Ok(self.read(u64_at(body, 8), u32_at(body, 16))),
            WRITE => self.write(u64_at(body, 8), &body[WRITE_HEADER_LEN..]),
            FSYNC => {
                self.log.lock().push(Event::Flush);
                Ok(Vec::new())
            }
            FLUSH | RELEASE | DESTROY => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        })
    }

    fn attributes(&self) -> Vec<u8> {
        let mut out = vec![0; 104];
        let mut put = |at: usize, value: u64| out[at..][..8].copy_from_slice(&value.to_le_bytes());
        put(0, FOREVER);
        put(16, 1);
        put(24, self.bytes.len() as u64);
        put(32, self.bytes.len() as u64 / 512);
        let mut put = |at: usize, value: u32| out[at..][..4].copy_from_slice(&value.to_le_bytes());
        put(76, libc::S_IFREG | 0o600);
        put(80, 1);
        out
    }

    fn read(&self, at: u64, len: u32) -> Vec<u8> {
        let at = self.bytes.len().min(at as usize);
        self.bytes[at..self.bytes.len().min(at + len as usize)].to_vec()
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<Vec<u8>, i32> {
        let place = self.bytes.get_mut(at as usize..at as usize + bytes.len()).ok_or(libc::ENOSPC)?;
        place.copy_from_slice(bytes);
        self.log.lock().push(Event::Write { at, bytes: bytes.to_vec() });
        Ok((bytes.len() as u64).to_le_bytes().to_vec())
    }
}

fn init(body: &[u8]) -> Vec<u8> {
    let flags = u32_at(body, 12) & (BIG_WRITES | MAX_PAGES);
    let mut out = vec![0; 64];
    let mut put = |at: usize, value: u32| out[at..][..4].copy_from_slice(&value.to_le_bytes());
    put(0, VERSION[0]);
    put(4, VERSION[1]);
    put(8, u32_at(body, 8));
    put(12, flags);
    put(16, 16 | 12 << 16);
    put(20, WRITE_MAX as u32);
    put(24, 1);
    put(28, WRITE_MAX as u32 / 4096);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
