//! Bytes of objects, kept in memory up to a budget; what was used longest ago goes first.

use std::collections::{BTreeMap, HashMap};

use arrow::buffer::Buffer;

use crate::common::sync::Mutex;
use crate::common::{Error, Result};
use crate::io::aligned::AlignedBytes;

type Key = (Box<str>, u64);

/// Pieces of objects, by name and number of the piece.
#[derive(Debug)]
pub(super) struct Cache {
    budget: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    pieces: HashMap<Key, (Buffer, u64)>,
    /// By the moment of their last use.
    order: BTreeMap<u64, Key>,
    bytes: usize,
    moment: u64,
}

impl Cache {
    /// Holds at most `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self { budget, held: Mutex::default() }
    }

    /// A piece, if it is here.
    pub fn get(&self, name: &str, piece: u64) -> Option<Buffer> {
        let mut held = self.held.lock();
        let key = (name.into(), piece);
        let (bytes, moment) = held.pieces.get(&key).map(|(bytes, moment)| (bytes.clone(), *moment))?;
        let now = held.tick();
        held.order.remove(&moment);
        held.order.insert(now, key.clone());
        held.pieces.insert(key, (bytes.clone(), now));
        Some(bytes)
    }

    /// Keeps a piece.
    pub fn put(&self, name: &str, piece: u64, bytes: Buffer) {
        if bytes.len() > self.budget / 4 {
            return;
        }
        let mut held = self.held.lock();
        let (key, now) = ((name.into(), piece), held.tick());
        held.drop_piece(&key);
        held.bytes += bytes.len();
        held.order.insert(now, (name.into(), piece));
        held.pieces.insert(key, (bytes, now));
        while held.bytes > self.budget {
            let Some((_, oldest)) = held.order.pop_first() else { break };
            held.drop_piece(&oldest);
        }
    }

    /// Lets all pieces of an object go.
    pub fn forget(&self, name: &str) {
        let mut held = self.held.lock();
        let gone: Vec<Key> = held.pieces.keys().filter(|(of, _)| **of == *name).cloned().collect();
        gone.iter().for_each(|key| held.drop_piece(key));
    }
}

impl Held {
    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn drop_piece(&mut self, key: &Key) {
        if let Some((bytes, moment)) = self.pieces.remove(key) {
            self.bytes -= bytes.len();
            self.order.remove(&moment);
        }
    }
}

/// A copy of `bytes` aligned to 64.
///
/// # Errors
/// When memory is short.
pub(super) fn aligned(name: &str, bytes: &[u8]) -> Result<Buffer> {
    let short = |_| Error::io("hold", name, std::io::ErrorKind::OutOfMemory.into());
    let mut out = AlignedBytes::zeroed(bytes.len()).map_err(short)?;
    out.as_mut_slice().copy_from_slice(bytes);
    Ok(out.into_buffer())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = Cache::new(400);
        let piece = |byte| Buffer::from(vec![byte; 100]);
        (0..4).for_each(|at| cache.put("a", at, piece(at as u8)));
        assert_eq!(cache.get("a", 0).unwrap()[0], 0);
        cache.put("b", 0, piece(9));
        assert!(cache.get("a", 1).is_none());
        assert!(cache.get("a", 0).is_some());
        cache.put("b", 1, Buffer::from(vec![0; 101]));
        assert!(cache.get("b", 1).is_none(), "a piece of more than a quarter is not kept");
        cache.forget("a");
        assert!(cache.get("a", 0).is_none() && cache.get("b", 0).is_some());
        assert_eq!(cache.held.lock().bytes, 100);
        assert_eq!(cache.held.lock().order.len(), 1);
    }
}
