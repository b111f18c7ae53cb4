//! An object store in memory whose answers get lost, by seed: for tests of databases on object stores.
//!
//! Clients share the objects; each can be cut off, as when its process ends. The same calls and the same seed give the
//! same answers. What it may do to a caller: a busy server; an effect whose answer is lost; a put that arrives after its
//! caller was told that it timed out; a listing that lags behind; a removal that arrives twice; a part of an upload that
//! is lost. Not a model of time.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::io::object::{Objects, Opened, Trouble, Upload};

/// Changes that a listing may lag behind by.
const LAG_MAX: usize = 40;
/// Calls after which a late put, or a repeated removal, arrives at the latest.
const LATE_MAX: u64 = 30;

/// One in so many calls goes wrong in each way; 0 for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketFaults {
    /// The server is busy: nothing happens.
    pub busy: u32,
    /// It happens, and the caller is told that it timed out.
    pub lost: u32,
    /// The caller is told that it timed out, and it happens later.
    pub late: u32,
    /// A listing lags behind.
    pub stale: u32,
    /// A removal is carried out once more, later.
    pub twice: u32,
}

/// What a planted bucket does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BucketBug {
    /// An object that is only to be put where there is none replaces the one there is.
    PutNewReplaces,
    /// A put is said to be done and is not.
    LosesPuts,
}

/// Objects, and how calls for them go wrong.
#[derive(Clone, Debug)]
pub struct Bucket {
    state: Arc<Mutex<State>>,
}

/// One program's access to a bucket.
#[derive(Clone, Debug)]
pub struct BucketClient {
    bucket: Bucket,
    name: &'static str,
    off: Arc<AtomicBool>,
}

type Names = BTreeMap<String, Bytes>;

#[derive(Debug)]
struct State {
    objects: Names,
    /// The names after each of the last changes.
    before: Vec<Vec<String>>,
    late: Vec<(u64, Late)>,
    dice: SmallRng,
    faults: BucketFaults,
    bug: Option<BucketBug>,
    calls: u64,
    injected: u64,
    history: Vec<String>,
}

#[derive(Clone, Debug)]
enum Late {
    Put(String, Bytes),
    PutNew(String, Bytes),
    Delete(String),
}

/// What befalls a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    Busy,
    Lost,
    Late,
}

impl Bucket {
    /// An empty one whose troubles come from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: BucketFaults, bug: Option<BucketBug>) -> Self {
        let state = State {
            objects: Names::new(),
            before: Vec::new(),
            late: Vec::new(),
            dice: SmallRng::seed_from_u64(seed),
            faults,
            bug,
            calls: 0,
            injected: 0,
            history: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Access for one program.
    #[must_use]
    pub fn client(&self, name: &'static str) -> BucketClient {
        BucketClient { bucket: self.clone(), name, off: Arc::default() }
    }

    /// No more troubles from here on; what is under way arrives now.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.faults = BucketFaults::default();
        state.arrive(u64::MAX);
    }

    /// Troubles so far.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.state.lock().injected
    }

    /// Each call and its answer, so far.
    #[must_use]
    pub fn history(&self) -> Vec<String> {
        self.state.lock().history.clone()
    }

    /// Names of all objects, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().objects.keys().cloned().collect()
    }

    /// The bytes of an object, without a call.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Bytes> {
        self.state.lock().objects.get(name).cloned()
    }

    /// Puts an object, or removes it, behind everybody's back.
    pub fn plant(&self, name: &str, bytes: Option<&[u8]>) {
        let mut state = self.state.lock();
        match bytes {
            Some(bytes) => state.objects.insert(name.to_owned(), Bytes::copy_from_slice(bytes)),
            None => state.objects.remove(name),
        };
    }
}

impl BucketClient {
    /// Cuts it off: every call from here on fails.
    pub fn stop(&self) {
        self.off.store(true, Ordering::Release);
    }

    fn call<T>(
        &self,
        what: &str,
        name: &str,
        late: Option<Late>,
        effect: impl FnOnce(&mut State) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        if self.off.load(Ordering::Acquire) {
            return Err(Trouble::Final(ErrorKind::NotConnected, "the program has ended".into()));
        }
        let mut state = self.bucket.state.lock();
        state.calls += 1;
        let now = state.calls;
        state.arrive(now);
        let (answer, told) = match state.fate(late.is_some()) {
            Fate::Fine => (effect(&mut state), ""),
            Fate::Busy => (Err(Trouble::Passing("503".into())), "busy"),
            Fate::Lost => {
                let _ = effect(&mut state);
                (Err(Trouble::Passing("timed out".into())), "lost")
            }
            Fate::Late => {
                let due = now + state.dice.random_range(1..LATE_MAX);
                state.late.extend(late.map(|late| (due, late)));
                (Err(Trouble::Passing("timed out".into())), "late")
            }
        };
        let told = match &answer {
            Ok(_) => "ok",
            Err(Trouble::Missing) => "missing",
            Err(Trouble::Exists) => "exists",
            Err(_) => told,
        };
        let line = format!("{} {what} {name}: {told}", self.name);
        state.history.push(line);
        answer
    }
}

impl State {
    fn one_in(&mut self, odds: u32) -> bool {
        let hit = odds > 0 && self.dice.random_ratio(1, odds);
        self.injected += u64::from(hit);
        hit
    }

    fn fate(&mut self, may_be_late: bool) -> Fate {
        let BucketFaults { busy, lost, late, .. } = self.faults;
        if self.one_in(busy) {
            Fate::Busy
        } else if self.one_in(lost) {
            Fate::Lost
        } else if may_be_late && self.one_in(late) {
            Fate::Late
        } else {
            Fate::Fine
        }
    }

    /// What is due takes effect.
    fn arrive(&mut self, now: u64) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(u64, Late)> = due;
        for (_, late) in due {
            match late {
                Late::Put(name, bytes) => drop(self.put(&name, bytes)),
                Late::PutNew(name, bytes) => drop(self.put_new(&name, bytes)),
                Late::Delete(name) => self.delete(&name),
            }
        }
    }

    fn remember(&mut self) {
        if self.faults.stale > 0 {
            if self.before.len() == LAG_MAX {
                self.before.remove(0);
            }
            self.before.push(self.objects.keys().cloned().collect());
        }
    }

    fn put(&mut self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        if self.bug == Some(BucketBug::LosesPuts) && self.dice.random_ratio(1, 20) {
            return Ok(());
        }
        self.remember();
        self.objects.insert(name.to_owned(), bytes);
        Ok(())
    }

    fn put_new(&mut self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        if self.objects.contains_key(name) && self.bug != Some(BucketBug::PutNewReplaces) {
            return Err(Trouble::Exists);
        }
        self.put(name, bytes)
    }

    fn delete(&mut self, name: &str) {
        self.remember();
        self.objects.remove(name);
    }

    fn get(&self, name: &str) -> Result<Bytes, Trouble> {
        self.objects.get(name).cloned().ok_or(Trouble::Missing)
    }

    fn names(&mut self) -> Vec<String> {
        let stale = self.faults.stale;
        if !self.before.is_empty() && self.one_in(stale) {
            let at = self.dice.random_range(0..self.before.len());
            return self.before[at].clone();
        }
        self.objects.keys().cloned().collect()
    }
}

impl Objects for BucketClient {
    fn describe(&self) -> String {
        "bucket".to_owned()
    }

    fn put(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        let late = Late::Put(name.to_owned(), bytes.clone());
        self.call("put", name, Some(late), |state| state.put(name, bytes))
    }

    fn put_new(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        let late = Late::PutNew(name.to_owned(), bytes.clone());
        self.call("put new", name, Some(late), |state| state.put_new(name, bytes))
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>, Trouble> {
        let client = self.clone();
        self.call("upload", name, None, |_| Ok(()))?;
        Ok(Box::new(BucketUpload { client, name: name.to_owned(), bytes: Vec::new() }))
    }

    fn open(&self, name: &str, len: u64, _unless: Option<&str>) -> Result<Option<Opened>, Trouble> {
        self.call("open", name, None, |state| {
            let bytes = state.get(name)?;
            let len = bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            Ok(Some(Opened { first: bytes.slice(..len), len: bytes.len() as u64, tag: None }))
        })
    }

    fn get(&self, name: &str) -> Result<Bytes, Trouble> {
        self.call("get", name, None, |state| state.get(name))
    }

    fn ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Trouble> {
        self.call("ranges", name, None, |state| {
            let bytes = state.get(name)?;
            Ok(ranges.iter().map(|range| bytes.slice(range.start as usize..range.end as usize)).collect())
        })
    }

    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Trouble> {
        self.call("list", folder, None, |state| {
            let below = |name: &String| match folder {
                "" => Some(name.clone()),
                folder => Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned()),
            };
            let here =
                state.names().iter().filter_map(below).filter(|name| !name.contains('/')).collect::<Vec<_>>();
            Ok(here.into_iter().filter(|name| after.is_none_or(|after| name.as_str() > after)).collect())
        })
    }

    fn delete(&self, name: &str) -> Result<(), Trouble> {
        self.call("delete", name, Some(Late::Delete(name.to_owned())), |state| {
            state.delete(name);
            let twice = state.faults.twice;
            if state.one_in(twice) {
                let due = state.calls + state.dice.random_range(1..LATE_MAX);
                state.late.push((due, Late::Delete(name.to_owned())));
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct BucketUpload {
    client: BucketClient,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for BucketUpload {
    fn part(&mut self, bytes: Bytes) -> Result<(), Trouble> {
        self.client.call("part", &self.name, None, |_| Ok(()))?;
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        self.client.call("finish", &self.name, None, |state| state.put(&self.name, bytes))
    }
}
