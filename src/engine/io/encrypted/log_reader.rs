//! Reads a file that grows, as its writer saw it.
//!
//! Opening walks the headers of its frames. Where a frame is damaged, or was lost with the power, zeros stand in its
//! place and the frames behind it are found again: so whoever reads the log judges, as he does without encryption, by
//! what later records testify, whether a tail was torn or a byte has changed. Zeros are never a record.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::cipher::{FileCipher, HEADER_LEN};
use super::frame::{FRAME_HEADER, FRAME_MAX, FRAME_OVERHEAD, Frame};
use crate::common::{Error, Result};
use crate::io::aligned::AlignedBytes;
use crate::io::storage::check_range;
use crate::io::{FileReader, Stamp};

/// Bytes read at a time.
const WINDOW: u64 = 1 << 20;
/// Bytes on disk between two places that are remembered.
const MARK_STEP: u64 = 64 << 10;

/// A place on disk, and in the file as its writer sees it, after which frames follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    disk: u64,
    at: u64,
}

/// Reads a file of frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    inner: Arc<dyn FileReader>,
    path: String,
    cipher: FileCipher,
    marks: Vec<Mark>,
    /// After the last frame.
    end: Mark,
}

impl FrameReader {
    pub(super) fn new(inner: Arc<dyn FileReader>, path: &str, cipher: FileCipher) -> Result<Self> {
        let start = Mark { disk: HEADER_LEN, at: 0 };
        let mut reader = Self { inner, path: path.to_owned(), cipher, marks: vec![start], end: start };
        let mut walk = Walk { marks: vec![start], window: (0, Buffer::default()) };
        while let Some((disk, frame)) = walk.next(&reader, reader.end)? {
            if disk - walk.marks[walk.marks.len() - 1].disk >= MARK_STEP {
                walk.marks.push(Mark { disk, at: frame.at });
            }
            reader.end = Mark { disk: disk + frame.stride(), at: frame.end() };
        }
        reader.marks = walk.marks;
        Ok(reader)
    }

    /// The header at `disk` of a frame that lies there whole and may follow `from`: what was lost between them took at
    /// least as much of the disk.
    fn frame(&self, bytes: &[u8], disk: u64, from: Mark) -> Option<Frame> {
        let frame = Frame::decode(bytes, self.cipher.seed)?;
        let is_here = disk + frame.stride() <= self.inner.len();
        let follows = frame.at.checked_sub(from.at).is_some_and(|gap| gap <= disk - from.disk);
        (is_here && follows).then_some(frame)
    }
}

/// Goes from frame to frame.
struct Walk {
    marks: Vec<Mark>,
    window: (u64, Buffer),
}

impl Walk {
    /// The first frame at or after `from`, and where it lies.
    fn next(&mut self, reader: &FrameReader, from: Mark) -> Result<Option<(u64, Frame)>> {
        let mut disk = from.disk;
        while disk + FRAME_OVERHEAD < reader.inner.len() {
            let bytes = self.bytes(&*reader.inner, disk)?;
            if let Some(frame) = reader.frame(&bytes, disk, from) {
                return Ok(Some((disk, frame)));
            }
            // Not at its very place: it is sought for, byte by byte.
            disk += match Frame::find(&bytes, 1) {
                Some(at) => at as u64,
                None => (bytes.len() as u64).saturating_sub(FRAME_HEADER as u64).max(1),
            };
        }
        Ok(None)
    }

    /// What lies from `disk` on: at least a header, if the file goes on that far.
    fn bytes(&mut self, inner: &dyn FileReader, disk: u64) -> Result<Buffer> {
        let (start, held) = &self.window;
        let wanted = (disk + FRAME_HEADER as u64).min(inner.len());
        if disk < *start || wanted > start + held.len() as u64 {
            self.window = (disk, inner.load(disk..inner.len().min(disk + WINDOW))?);
        }
        Ok(self.window.1.slice((disk - self.window.0) as usize))
    }
}

impl FrameReader {
    /// The part of the disk whose frames hold `range`.
    fn disk_of(&self, range: &Range<u64>) -> (Mark, u64) {
        let first = self.marks.partition_point(|mark| mark.at <= range.start).saturating_sub(1);
        let last = self.marks.partition_point(|mark| mark.at < range.end);
        (self.marks[first], self.marks.get(last).map_or(self.end.disk, |mark| mark.disk))
    }

    /// Puts what frames hold of `range` into `out`.
    fn fill(&self, range: &Range<u64>, out: &mut [u8]) -> Result<()> {
        let (mut from, end) = self.disk_of(range);
        let base = from.disk;
        let held = self.inner.load(base..end)?;
        let mut walk = Walk { marks: Vec::new(), window: (base, held.clone()) };
        let mut piece = Vec::with_capacity(FRAME_MAX + FRAME_OVERHEAD as usize);
        while from.at < range.end
            && let Some((disk, frame)) = walk.next(self, from)?
            && frame.at < range.end
            && disk + frame.stride() <= end
        {
            from = Mark { disk: disk + frame.stride(), at: frame.end() };
            if frame.end() <= range.start {
                continue;
            }
            piece.clear();
            piece.extend_from_slice(&held[(disk - base) as usize..(from.disk - base) as usize]);
            if frame.open(&self.cipher, &mut piece) {
                let (start, stop) = (frame.at.max(range.start), frame.end().min(range.end));
                let part =
                    FRAME_HEADER + (start - frame.at) as usize..FRAME_HEADER + (stop - frame.at) as usize;
                out[(start - range.start) as usize..(stop - range.start) as usize]
                    .copy_from_slice(&piece[part]);
            }
        }
        Ok(())
    }
}

impl FileReader for FrameReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.end.at
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (_, len) = check_range(&self.path, self.len(), &range)?;
        let mut out = AlignedBytes::zeroed(len)
            .map_err(|_| Error::io("read", &self.path, std::io::ErrorKind::OutOfMemory.into()))?;
        if len > 0 {
            self.fill(&range, out.as_mut_slice())?;
        }
        Ok(out.into_buffer())
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn check_len(&self) -> Result<()> {
        self.inner.check_len()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.inner.stamp()
    }

    fn peek(&self, at: u64, bytes: &mut [u8]) -> Result<Option<usize>> {
        if at < self.len() {
            let held = self.read(at..self.len().min(at + bytes.len() as u64))?;
            bytes[..held.len()].copy_from_slice(&held);
            return Ok(Some(held.len()));
        }
        let mut header = [0; FRAME_HEADER];
        let there = self.inner.peek(self.end.disk, &mut header)?;
        // Something is there: whoever wants to know what opens the file again. Less than a header is on its way.
        Ok(there.filter(|there| *there < FRAME_HEADER || header == [0; FRAME_HEADER]).map(|_| 0))
    }
}
