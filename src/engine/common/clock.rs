//! The time by which rows expire and commits are dated: it never runs backwards, whatever the system's clock does.
//!
//! Beside that it only says which past versions may be forgotten.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::sync::AtomicI64;

/// A source of time.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since 1970 UTC.
    fn now_millis(&self) -> i64;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}

/// A clock that stands until it is set: for tests.
#[derive(Debug, Default)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// Sets it, also back.
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Release);
    }
}

impl Clock for SetClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A clock that stands still where its source runs backwards.
#[derive(Debug)]
pub struct MonotoneClock {
    source: Arc<dyn Clock>,
    latest: AtomicI64,
}

impl MonotoneClock {
    /// Shows `source`, but nothing before `latest`.
    #[must_use]
    pub fn new(source: Arc<dyn Clock>, latest: i64) -> Self {
        Self { source, latest: AtomicI64::new(latest) }
    }

    /// Shows nothing before `latest` from here on.
    pub fn raise(&self, latest: i64) {
        self.latest.fetch_max(latest, Ordering::AcqRel);
    }

    /// Milliseconds since 1970 UTC; never less than before.
    #[must_use]
    pub fn now(&self) -> i64 {
        let now = self.source.now_millis();
        self.latest.fetch_max(now, Ordering::AcqRel).max(now)
    }
}

impl Default for MonotoneClock {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_stands_still() {
        let source = Arc::new(SetClock::default());
        let clock = MonotoneClock::new(Arc::clone(&source) as Arc<dyn Clock>, 50);
        assert_eq!(clock.now(), 50);
        source.set(90);
        assert_eq!(clock.now(), 90);
        source.set(10);
        assert_eq!(clock.now(), 90);
        source.set(91);
        assert_eq!(clock.now(), 91);
    }
}
