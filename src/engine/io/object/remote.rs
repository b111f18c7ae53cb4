//! Calls to the store with patience: what may succeed later is tried again, for a bounded time, and what failed is told
//! in words of this engine.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::objects::{Objects, Opened, Trouble};
use crate::common::{Error, Result};

/// How often a call that may succeed later is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Attempts, at least one.
    pub attempts: u32,
    /// Pause before the second; doubled before each further one, up to five seconds.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 8, pause: Duration::from_millis(50) }
    }
}

const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How a put of a new object ended.
#[derive(Debug)]
pub(super) enum Put {
    /// It is there.
    Done,
    /// Another one is there; its bytes, unless it went again meanwhile.
    Taken(Option<Bytes>),
}

/// A store, called with patience.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub objects: Arc<dyn Objects>,
    pub patience: Patience,
}

impl Remote {
    /// Name of an object, for messages.
    pub fn show(&self, name: &str) -> String {
        format!("{}/{name}", self.objects.describe())
    }

    /// What went wrong, in words of this engine.
    pub fn error(&self, op: &'static str, name: &str, trouble: Trouble) -> Error {
        let (kind, text) = match trouble {
            Trouble::Missing => (io::ErrorKind::NotFound, "there is no such object".to_owned()),
            Trouble::Exists => (io::ErrorKind::AlreadyExists, "there is such an object already".to_owned()),
            Trouble::Passing(text) => (io::ErrorKind::TimedOut, format!("the store does not answer: {text}")),
            Trouble::Final(kind, text) => (kind, text),
        };
        Error::io(op, self.show(name), io::Error::new(kind, text))
    }

    fn patiently<T>(
        &self,
        op: &'static str,
        name: &str,
        mut call: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut pause = self.patience.pause;
        for _ in 1..self.patience.attempts {
            match call() {
                Err(Trouble::Passing(_)) => std::thread::sleep(pause),
                outcome => return outcome.map_err(|trouble| self.error(op, name, trouble)),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        call().map_err(|trouble| self.error(op, name, trouble))
    }

    /// Puts an object whose name is this writer's own, so that a second put of it changes nothing.
    pub fn put(&self, name: &str, bytes: &Bytes) -> Result<()> {
        self.patiently("put", name, || self.objects.put(name, bytes.clone()))
    }

    /// Puts an object where there is none. `bytes` are like no others, so what lies there tells whose it is.
    pub fn put_new(&self, name: &str, bytes: &Bytes) -> Result<Put> {
        self.patiently("put", name, || match self.objects.put_new(name, bytes.clone()) {
            Ok(()) => Ok(Put::Done),
            Err(Trouble::Exists) => match self.objects.get(name) {
                Ok(found) if found == *bytes => Ok(Put::Done),
                Ok(found) => Ok(Put::Taken(Some(found))),
                Err(Trouble::Missing) => Ok(Put::Taken(None)),
                Err(trouble) => Err(trouble),
            },
            Err(trouble) => Err(trouble),
        })
    }

    /// As [`Remote::put_new`], false when another one is there. What lies there is looked at only when an earlier attempt may
    /// have put it, so this takes one call where nothing fails.
    pub fn put_first(&self, name: &str, bytes: &Bytes) -> Result<bool> {
        let mut tried = false;
        self.patiently("put", name, || {
            let in_doubt = std::mem::replace(&mut tried, true);
            match self.objects.put_new(name, bytes.clone()) {
                Ok(()) => Ok(true),
                Err(Trouble::Exists) if !in_doubt => Ok(false),
                Err(Trouble::Exists) => match self.objects.get(name) {
                    Ok(found) => Ok(found == *bytes),
                    Err(Trouble::Missing) => Ok(false),
                    Err(trouble) => Err(trouble),
                },
                Err(trouble) => Err(trouble),
            }
        })
    }

    /// Puts one that comes in parts, which are made again when it must be begun again.
    pub fn put_parts(&self, name: &str, parts: &[Bytes]) -> Result<()> {
        self.patiently("put", name, || {
            let mut upload = self.objects.upload(name)?;
            parts.iter().try_for_each(|part| upload.part(part.clone()))?;
            upload.finish()
        })
    }

    /// A whole object.
    pub fn get(&self, name: &str) -> Result<Bytes> {
        self.patiently("read", name, || self.objects.get(name))
    }

    /// Whole objects; `None` for those that are gone.
    pub fn get_all(&self, names: &[String]) -> Result<Vec<Option<Bytes>>> {
        let found = self.objects.get_all(names).into_iter().zip(names);
        found
            .map(|(found, name)| match found {
                Ok(bytes) => Ok(Some(bytes)),
                Err(Trouble::Missing) => Ok(None),
                Err(Trouble::Passing(_)) => self.find(name),
                Err(trouble) => Err(self.error("read", name, trouble)),
            })
            .collect()
    }

    /// A whole object, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Bytes>> {
        match self.get(name) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// The first bytes of an object; `None` when it is in the state `unless`.
    pub fn open(&self, name: &str, len: u64, unless: Option<&str>) -> Result<Option<Opened>> {
        self.patiently("open", name, || self.objects.open(name, len, unless))
    }

    /// Parts of an object.
    pub fn ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.patiently("read", name, || self.objects.ranges(name, ranges))
    }

    /// Names in a folder.
    pub fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>> {
        self.patiently("list", folder, || self.objects.list(folder, after))
    }

    /// Removes an object.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.patiently("remove", name, || self.objects.delete(name))
    }
}
