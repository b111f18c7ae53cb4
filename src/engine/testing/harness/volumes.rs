//! File systems in images, on loop devices: what H4 and H5 cut the power of.
//!
//! An image is a file without a name, and a loop device ends with its mount, so neither outlives the program.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;

use crate::chance::pick;
use crate::h7_open::scratch;
use crate::mounts::{self, Mount};

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
/// The device ends when nobody has it open any more.
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Bytes of the system's `struct loop_config`, and where its flags are.
const LOOP_CONFIG_LEN: usize = 304;
const LOOP_CONFIG_FLAGS: usize = 60;
/// Zeros of this length are not copied.
const PIECE: usize = 16 << 10;

/// A kind of file system.
#[derive(Debug)]
pub struct Kind {
    /// As `mount` and `mkfs` know it.
    pub name: &'static str,
    /// Length of its image.
    bytes: u64,
    /// What else `mkfs` is told.
    make: &'static [&'static str],
    /// Options of which one set is drawn for each file system that is written to. Where it commits by itself but rarely,
    /// the disk gets only what is synced.
    options: &'static [&'static str],
    /// Options of one that is looked at after the power was cut.
    pub after: &'static str,
    /// What it takes to be written whole or not at all.
    pub sector: usize,
}

/// All of them. XFS must be told to mount a copy beside the original.
pub const KINDS: [Kind; 3] = [
    Kind {
        name: "ext4",
        bytes: 64 << 20,
        make: &["-F", "-m0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
        options: &[
            "commit=300",
            "commit=300,data=writeback",
            "commit=300,data=journal",
            "commit=300,nodelalloc",
            "commit=1",
        ],
        after: "",
        sector: 512,
    },
    Kind { name: "xfs", bytes: 300 << 20, make: &["-f"], options: &["nouuid"], after: "nouuid", sector: 512 },
    Kind {
        name: "btrfs",
        bytes: 256 << 20,
        make: &["-f"],
        options: &[
            "commit=300,nodiscard",
            "commit=300,nodiscard,notreelog",
            "commit=300,nodiscard,flushoncommit",
        ],
        after: "nodiscard",
        sector: 4096,
    },
];

impl Kind {
    /// Options for one that is written to.
    pub fn draw(&self, dice: &mut SmallRng) -> &'static str {
        pick::<&str>(dice, self.options)
    }
}

/// An empty file system, to be copied.
#[derive(Debug)]
pub struct Template {
    /// What it is.
    pub kind: &'static Kind,
    image: File,
}

impl Template {
    /// Makes one and mounts it once, or says why this machine cannot.
    fn new(kind: &'static Kind) -> io::Result<Self> {
        let folder = scratch();
        let path = folder.path().join("image");
        OpenOptions::new().write(true).create_new(true).open(&path)?.set_len(kind.bytes)?;
        let mut make = Command::new(format!("mkfs.{}", kind.name));
        make.arg("-q").args(kind.make).arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        if !make.status()?.success() {
            return Err(io::Error::other("it could not be made"));
        }
        let template = Self { kind, image: File::open(&path)? };
        mounts::of_this_thread()?;
        let device = Device::new(&template.copy()?)?;
        device.mount(kind, folder.path(), kind.options[0])?;
        Ok(template)
    }

    /// A copy of its image.
    pub fn copy(&self) -> io::Result<File> {
        copy(&self.image)
    }
}

/// What this machine can make and mount, and what not, with the reason.
pub fn templates() -> (Vec<Template>, Vec<String>) {
    // In a thread of its own, which takes its mounts with it.
    let make = || {
        let made = KINDS.iter().map(|kind| (kind.name, Template::new(kind)));
        let (mut templates, mut missing) = (Vec::new(), Vec::new());
        for (name, made) in made {
            match made {
                Ok(template) => templates.push(template),
                Err(error) => missing.push(format!("{name}: {error}")),
            }
        }
        (templates, missing)
    };
    std::thread::scope(|scope| scope.spawn(make).join().unwrap_or_default())
}

/// A file without a name, in memory where that is possible.
pub fn nameless() -> io::Result<File> {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempfile_in(shared) } else { tempfile::tempfile() }
}

/// A copy of `image` without its holes and zeros.
pub fn copy(image: &File) -> io::Result<File> {
    let to = nameless()?;
    to.set_len(image.metadata()?.len())?;
    each_piece(image, |at, piece| to.write_all_at(piece, at))?;
    Ok(to)
}

/// Calls `each` with every stretch of `image` that is not all zeros, and where it is.
pub fn each_piece(image: &File, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let (len, mut at, mut buffer) = (image.metadata()?.len(), 0, vec![0; 1 << 20]);
    while let Some(start) = seek(image, at, libc::SEEK_DATA)? {
        at = start;
        let end = seek(image, at, libc::SEEK_HOLE)?.unwrap_or(len);
        while at < end {
            let want = buffer.len().min((end - at) as usize);
            image.read_exact_at(&mut buffer[..want], at)?;
            for (piece, place) in buffer[..want].chunks(PIECE).zip((at..).step_by(PIECE)) {
                if piece.iter().any(|byte| *byte != 0) {
                    each(place, piece)?;
                }
            }
            at += want as u64;
        }
    }
    Ok(())
}

/// Where data or a hole comes next; none at the end.
fn seek(file: &File, at: u64, whence: i32) -> io::Result<Option<u64>> {
    // SAFETY: the call takes no pointer, and the descriptor is open.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at as libc::off_t, whence) };
    match u64::try_from(found) {
        Ok(found) => Ok(Some(found)),
        Err(_) if io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// A loop device over an image. It ends when it is dropped and nothing is mounted from it any more.
#[derive(Debug)]
pub struct Device {
    /// Keeps it until something is mounted from it.
    _open: File,
    number: i32,
}

impl Device {
    /// Takes a free one.
    pub fn new(image: &File) -> io::Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        loop {
            // SAFETY: the call takes no pointer, and the descriptor is open.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            if number < 0 {
                return Err(io::Error::last_os_error());
            }
            let file = OpenOptions::new().read(true).write(true).open(path(number))?;
            match configure(&file, image) {
                // Somebody else took it in the meantime.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                outcome => return outcome.map(|()| Self { _open: file, number }),
            }
        }
    }

    /// Mounts what is on it.
    pub fn mount(&self, kind: &Kind, target: &Path, options: &str) -> io::Result<Mount> {
        Mount::new(&path(self.number), target, kind.name, options)
    }

    /// Writes and flushes that ended so far; none while some are under way.
    pub fn written(&self) -> io::Result<Option<[u64; 3]>> {
        let text = std::fs::read_to_string(format!("/sys/block/loop{}/stat", self.number))?;
        let figures: Vec<u64> = text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        let at = |place: usize| figures.get(place).copied().unwrap_or_default();
        Ok((at(8) == 0).then(|| [at(4), at(11), at(15)]))
    }
}

fn path(number: i32) -> PathBuf {
    format!("/dev/loop{number}").into()
}

fn configure(device: &File, image: &File) -> io::Result<()> {
    let mut config = [0_u8; LOOP_CONFIG_LEN];
    config[..4].copy_from_slice(&image.as_raw_fd().to_le_bytes());
    config[LOOP_CONFIG_FLAGS..][..4].copy_from_slice(&LO_FLAGS_AUTOCLEAR.to_le_bytes());
    // SAFETY: the buffer has the length that the system reads, and lives for the call; both descriptors are open.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, config.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
