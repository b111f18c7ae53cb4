//! The log of a disk: what was written to it, when it was flushed, and what was told to its user meanwhile; and the
//! images that a power cut may leave of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::volumes;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Bytes were written, and may be lost until the next flush.
    Write {
        /// From where on.
        at: u64,
        /// Which.
        bytes: Vec<u8>,
    },
    /// All writes before are on the medium.
    Flush,
    /// The process that works on the disk said this line.
    Told(String),
}

/// What becomes of writes that were not flushed.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// All are there.
    Kept,
    /// None is.
    Dropped,
    /// Each is there or not, and the sectors of one in four each for themselves.
    Drawn,
}

/// A log that is followed from its beginning, cut after cut.
#[derive(Debug)]
pub struct Replay<'a> {
    log: &'a [Event],
    /// What is on the medium for certain: all writes before `flushed`.
    medium: File,
    flushed: usize,
}

impl<'a> Replay<'a> {
    /// `medium` is the disk as it was before the log.
    pub fn new(log: &'a [Event], medium: File) -> Self {
        Self { log, medium, flushed: 0 }
    }

    /// An image that a cut before event `end` may leave. Each call asks for a later cut than the one before.
    pub fn cut(&mut self, end: usize, fate: Fate, sector: usize, dice: &mut SmallRng) -> io::Result<File> {
        let flush = self.log[..end].iter().rposition(|event| matches!(event, Event::Flush));
        let flushed = flush.unwrap_or(0).max(self.flushed);
        for event in &self.log[self.flushed..flushed] {
            if let Event::Write { at, bytes } = event {
                self.medium.write_all_at(bytes, *at)?;
            }
        }
        self.flushed = flushed;
        let image = volumes::copy(&self.medium)?;
        for event in &self.log[flushed..end] {
            let Event::Write { at, bytes } = event else { continue };
            match fate {
                Fate::Dropped => {}
                Fate::Kept => image.write_all_at(bytes, *at)?,
                Fate::Drawn => draw(&image, *at, bytes, sector, dice)?,
            }
        }
        Ok(image)
    }
}

fn draw(image: &File, at: u64, bytes: &[u8], sector: usize, dice: &mut SmallRng) -> io::Result<()> {
    let piece = if dice.random_ratio(1, 4) { sector } else { bytes.len().max(1) };
    for (piece, place) in bytes.chunks(piece).zip((at..).step_by(piece)) {
        if dice.random() {
            image.write_all_at(piece, place)?;
        }
    }
    Ok(())
}
