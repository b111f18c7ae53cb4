//! When the commits of late were made: what leads from a time to a version.
//!
//! Times are those of a [`super::MonotoneClock`], so they never fall as commits follow one another. Commits of one
//! millisecond share an entry.

use super::SeqNo;
use super::sync::Mutex;

/// Times of commits, oldest first.
#[derive(Debug, Default)]
pub struct CommitTimes(Mutex<Vec<Entry>>);

/// The last commit of a millisecond.
#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: SeqNo,
    millis: i64,
}

impl CommitTimes {
    /// Notes that `seq` was committed at `millis`, in milliseconds since 1970 UTC. One that is known stays as it is.
    pub fn note(&self, seq: SeqNo, millis: i64) {
        let mut entries = self.0.lock();
        match entries.last_mut() {
            Some(last) if seq <= last.seq => {}
            Some(last) if millis <= last.millis => last.seq = seq,
            _ => entries.push(Entry { seq, millis }),
        }
    }

    /// When `seq` was committed; `None` beyond the newest commit.
    #[must_use]
    pub fn of(&self, seq: SeqNo) -> Option<i64> {
        let entries = self.0.lock();
        entries.get(entries.partition_point(|entry| entry.seq < seq)).map(|entry| entry.millis)
    }

    /// The newest commit made at or before `millis`.
    #[must_use]
    pub fn newest_at(&self, millis: i64) -> Option<SeqNo> {
        let entries = self.0.lock();
        let after = entries.partition_point(|entry| entry.millis <= millis);
        after.checked_sub(1).map(|at| entries[at].seq)
    }

    /// The time of the newest commit.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.0.lock().last().map(|entry| entry.millis)
    }

    /// Forgets the commits before `seq`.
    pub fn forget_before(&self, seq: SeqNo) {
        let mut entries = self.0.lock();
        let gone = entries.partition_point(|entry| entry.seq < seq);
        entries.drain(..gone);
    }

    /// A copy that goes its own way.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_leads_to_the_last_commit_made_by_then() {
        let times = CommitTimes::default();
        for (seq, millis) in [(3, 10), (4, 10), (5, 12), (7, 12), (8, 11), (9, 20)] {
            times.note(SeqNo(seq), millis);
        }
        assert_eq!(times.newest_at(9), None);
        assert_eq!(times.newest_at(10), Some(SeqNo(4)));
        assert_eq!(times.newest_at(19), Some(SeqNo(8)), "a clock that runs back stands still");
        assert_eq!(times.newest_at(99), Some(SeqNo(9)));
        assert_eq!((times.of(SeqNo(4)), times.of(SeqNo(5)), times.of(SeqNo(10))), (Some(10), Some(12), None));
        times.note(SeqNo(4), 50);
        assert_eq!(times.of(SeqNo(4)), Some(10), "what is known stays");
        times.forget_before(SeqNo(5));
        assert_eq!((times.newest_at(10), times.newest_at(12)), (None, Some(SeqNo(8))));
    }
}
