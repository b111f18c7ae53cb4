//! What was read, verified and opened of files that are not mapped, kept in memory up to a number of bytes.
//!
//! Entries belong to a file and a place in it; what they are is their owner's business, as is that they are right: a
//! sealed file never changes, so nothing here ever has to be. Chosen for removal as the hand of a clock goes round: what
//! was asked for since its last round stays for one more, so a scan that passes once does not drive out what is read
//! again and again. Split into parts, each with a lock of its own.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::sync::Mutex;

/// Parts, each with its share of the bytes.
const PARTS: usize = 16;

type Place = (u64, u64);
type Value = Arc<dyn Any + Send + Sync>;

/// Values by file and place.
#[derive(Debug)]
pub struct Cache {
    parts: Vec<Mutex<Part>>,
    part_bytes: usize,
    files: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache holds, and what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheFigures {
    /// Asked for and there.
    pub hits: u64,
    /// Asked for and not there.
    pub misses: u64,
    /// Bytes held.
    pub bytes: u64,
}

impl Cache {
    /// An empty one for this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        let [files, hits, misses] = [const { AtomicU64::new(0) }; 3];
        Arc::new(Self { parts, part_bytes: bytes / PARTS, files, hits, misses })
    }

    /// What it was asked so far.
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        CacheFigures {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.parts.iter().map(|part| part.lock().bytes as u64).sum(),
        }
    }

    fn part(&self, (file, place): Place) -> &Mutex<Part> {
        let mixed = (file ^ place.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.parts[(mixed >> 60) as usize % PARTS]
    }
}

/// The places of one open file. They are given up with it.
#[derive(Debug)]
pub struct FileCache {
    cache: Arc<Cache>,
    file: u64,
}

impl FileCache {
    /// Places for a file that was opened now.
    #[must_use]
    pub fn new(cache: &Arc<Cache>) -> Self {
        Self { cache: Arc::clone(cache), file: cache.files.fetch_add(1, Ordering::Relaxed) }
    }

    /// What is kept of a place.
    pub fn get<T: Any + Send + Sync>(&self, place: u64) -> Option<Arc<T>> {
        let key = (self.file, place);
        let found = self.cache.part(key).lock().get(key);
        let asked = if found.is_some() { &self.cache.hits } else { &self.cache.misses };
        asked.fetch_add(1, Ordering::Relaxed);
        found?.downcast().ok()
    }

    /// Keeps `value`, which takes `bytes`, if it is not too large for a part.
    pub fn put<T: Any + Send + Sync>(&self, place: u64, value: Arc<T>, bytes: usize) {
        let key = (self.file, place);
        self.cache.part(key).lock().put(key, value, bytes, self.cache.part_bytes);
    }
}

impl Drop for FileCache {
    fn drop(&mut self) {
        self.cache.parts.iter().for_each(|part| part.lock().forget(self.file));
    }
}

#[derive(Debug)]
struct Entry {
    key: Place,
    value: Value,
    bytes: usize,
    /// Asked for since the hand was here.
    used: bool,
}

#[derive(Debug, Default)]
struct Part {
    at: HashMap<Place, usize>,
    ring: Vec<Entry>,
    hand: usize,
    bytes: usize,
}

impl Part {
    fn get(&mut self, key: Place) -> Option<Value> {
        let entry = &mut self.ring[*self.at.get(&key)?];
        entry.used = true;
        Some(Arc::clone(&entry.value))
    }

    fn put(&mut self, key: Place, value: Value, bytes: usize, limit: usize) {
        if bytes > limit || self.at.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > limit {
            self.turn();
        }
        self.at.insert(key, self.ring.len());
        self.ring.push(Entry { key, value, bytes, used: false });
        self.bytes += bytes;
    }

    /// Moves the hand over one entry, which goes unless it was used.
    fn turn(&mut self) {
        if self.hand >= self.ring.len() {
            self.hand = 0;
        }
        match self.ring.get_mut(self.hand) {
            Some(entry) if entry.used => {
                entry.used = false;
                self.hand += 1;
            }
            // The newest entry takes its place, and its turn comes last.
            Some(_) => {
                self.remove(self.hand);
                self.hand += 1;
            }
            // Nothing is held: it may begin anew.
            None => self.bytes = 0,
        }
    }

    fn remove(&mut self, at: usize) {
        let gone = self.ring.swap_remove(at);
        self.bytes -= gone.bytes;
        self.at.remove(&gone.key);
        if let Some(moved) = self.ring.get(at) {
            self.at.insert(moved.key, at);
        }
    }

    fn forget(&mut self, file: u64) {
        let mut at = 0;
        while at < self.ring.len() {
            if self.ring[at].key.0 == file { self.remove(at) } else { at += 1 }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_until_its_file_goes() {
        let cache = Cache::new(1 << 20);
        let (one, two) = (FileCache::new(&cache), FileCache::new(&cache));
        one.put(7, Arc::new("one"), 10);
        two.put(7, Arc::new("two"), 10);
        assert_eq!((*one.get::<&str>(7).unwrap(), *two.get::<&str>(7).unwrap()), ("one", "two"));
        assert!(one.get::<&str>(8).is_none() && one.get::<u8>(7).is_none());
        drop(one);
        assert_eq!(*two.get::<&str>(7).unwrap(), "two");
        assert_eq!(cache.figures(), CacheFigures { hits: 4, misses: 1, bytes: 10 });
    }

    #[test]
    fn bytes_stay_within_the_budget_and_what_is_used_stays() {
        let cache = Cache::new(PARTS * 1000);
        let file = FileCache::new(&cache);
        file.put(0, Arc::new(0u64), 100);
        for place in 1..10_000u64 {
            assert_eq!(*file.get::<u64>(0).unwrap(), 0, "{place}");
            file.put(place, Arc::new(place), 100);
        }
        let kept: Vec<u64> = (1..10_000)
            .filter(|place| file.get::<u64>(*place).is_some_and(|found| *found == *place))
            .collect();
        assert!(kept.len() > PARTS * 5 && kept.iter().all(|place| *place > 9000), "{kept:?}");
        let held = cache.figures().bytes;
        assert!(held <= PARTS as u64 * 1000 && held > PARTS as u64 * 500, "{held}");
        file.put(20_000, Arc::new(1u64), 1001);
        assert!(file.get::<u64>(20_000).is_none());
    }

    #[test]
    fn a_cache_without_bytes_keeps_nothing() {
        let cache = Cache::new(0);
        let file = FileCache::new(&cache);
        file.put(1, Arc::new(1u64), 1);
        assert!(file.get::<u64>(1).is_none());
    }
}
