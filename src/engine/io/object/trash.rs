//! Objects that were removed: they stay for a while, for readers in other processes, and as long as a reader of this
//! process has them open.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::common::sync::Mutex;

/// Removed and opened objects.
#[derive(Debug)]
pub(super) struct Trash {
    stay: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each may go.
    removed: BTreeMap<String, Instant>,
    open: HashMap<String, Weak<()>>,
}

impl Trash {
    pub fn new(stay: Duration) -> Self {
        Self { stay, state: Mutex::default() }
    }

    /// True when nothing stays but what is open here.
    pub fn is_immediate(&self) -> bool {
        self.stay.is_zero()
    }

    /// A mark that an object is open, until it is dropped.
    pub fn open(&self, path: &str) -> Arc<()> {
        let mut state = self.state.lock();
        if state.open.len() > 1024 {
            state.open.retain(|_, mark| mark.strong_count() > 0);
        }
        let known = state.open.get(path).and_then(Weak::upgrade);
        let mark = known.unwrap_or_default();
        state.open.insert(path.to_owned(), Arc::downgrade(&mark));
        mark
    }

    /// Removes an object, later.
    pub fn put(&self, path: &str) {
        self.state.lock().removed.insert(path.to_owned(), Instant::now() + self.stay);
    }

    /// An object of this name is made again.
    pub fn take_back(&self, path: &str) {
        self.state.lock().removed.remove(path);
    }

    /// True for an object that was removed.
    pub fn holds(&self, path: &str) -> bool {
        self.state.lock().removed.contains_key(path)
    }

    /// Removed objects whose time has come and that nobody here has open; they are the caller's to delete.
    pub fn due(&self) -> Vec<String> {
        let mut state = self.state.lock();
        let State { removed, open } = &mut *state;
        let now = Instant::now();
        let is_open = |path: &String| open.get(path).is_some_and(|mark| mark.strong_count() > 0);
        let due: Vec<String> = removed
            .iter()
            .filter(|(path, due)| **due <= now && !is_open(path))
            .map(|(path, _)| path.clone())
            .collect();
        removed.retain(|path, _| !due.contains(path));
        due
    }
}
