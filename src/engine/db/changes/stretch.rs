//! Versions that one manifest and the log after it serve.

use crate::common::{Result, SeqNo};
use crate::db::core::Core;
use crate::db::past::Source;
use crate::lsm::Published;

/// Tables whose memtables hold the commits from a version up to `until`.
pub(super) struct Stretch {
    pub(super) published: Published,
    pub(super) until: SeqNo,
}

impl Core {
    /// The commits after version `at`, as far as one manifest with its log has them, and at most up to `until`. None
    /// when the next version is a manifest of its own, or is gone; the tables are those of version `at` then.
    pub(super) fn stretch(&self, at: SeqNo, until: SeqNo) -> Result<Stretch> {
        let source = self.source_of(at)?;
        let last = match &source {
            Source::Live(_) => until,
            // The commit that its successor starts with is often the last one in its own log.
            Source::Kept { entry, end, .. } if *end == entry.until => entry.until.min(until),
            Source::Kept { .. } => at,
        };
        let (published, logged) = self.open_source(source, last)?;
        let until = logged.min(last).max(at);
        Ok(Stretch { published: Published::new(published.state, until), until })
    }

    /// The version after `at` that can be read next.
    pub(super) fn next_kept(&self, at: SeqNo) -> Result<SeqNo> {
        let live = self.maintenance.lock();
        let ranges = live.manifest.kept_versions();
        let range = ranges.iter().find(|range| range.end > at.next());
        range
            .map(|range| range.start.max(at.next()))
            .ok_or_else(|| live.manifest.not_kept(at.next().to_string()))
    }
}
