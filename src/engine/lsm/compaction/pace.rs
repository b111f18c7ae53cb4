//! How fast compaction may use the disk: a bucket of bytes that fills at a steady rate.

use std::time::{Duration, Instant};

use crate::common::sync::Mutex;

/// A rate that several merges share.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: u64,
    /// When everything admitted so far is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// That many bytes a second; 0 is no limit.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(None) }
    }

    /// Admits `bytes` at `now` and returns how long to wait for it. Time not used before is not saved up.
    pub fn admit(&self, bytes: u64, now: Instant) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let mut paid = self.paid.lock();
        let start = paid.unwrap_or(now).max(now);
        let end = start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        *paid = Some(end);
        end - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cost_their_time_and_idle_time_is_not_saved() {
        let (pace, start) = (Pace::new(1000), Instant::now());
        assert_eq!(pace.admit(500, start), Duration::from_millis(500));
        assert_eq!(pace.admit(500, start), Duration::from_secs(1));
        assert_eq!(pace.admit(100, start + Duration::from_secs(9)), Duration::from_millis(100));
        assert_eq!(Pace::new(0).admit(u64::MAX, start), Duration::ZERO);
    }
}
