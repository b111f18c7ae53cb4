//! Which manifests are kept, and which of them serves a version.
//!
//! The version of a database is the sequence number of its newest commit. A manifest serves the versions from its own
//! `as_of` to its successor's: by its files, and by the log from its start up to the version. So a compaction, which
//! changes no rows, keeps nothing. No decision of correctness is made by the clock: it only says what may be forgotten.

use super::core::Live;
use super::history::{Retained, Tag};
use super::manifest::Manifest;
use crate::common::{CommitTimes, Error, FileId, Result, Retention, SeqNo};

impl Live {
    /// The live manifest as one that is kept; its successor says until when it served.
    pub fn retained(&self) -> Option<Retained> {
        let Manifest { number, as_of, as_of_ms, flushed_seq: flushed, wal_start, .. } = self.manifest;
        let (until, until_ms) = (as_of, as_of_ms);
        Some(Retained {
            number,
            hash: self.hash?,
            as_of,
            as_of_ms,
            until,
            until_ms,
            flushed,
            wal_start,
            logged: true,
        })
    }
}

impl Retained {
    /// True when it serves `version`, as long as the log is kept.
    pub fn spans(&self, version: SeqNo) -> bool {
        (self.as_of..self.until).contains(&version)
    }
}

impl Manifest {
    /// States that the files hold everything up to `version`, and that older ones are for its predecessors to serve.
    pub(super) fn serve_from(&mut self, version: SeqNo, times: &CommitTimes) {
        if version > self.as_of {
            self.as_of = version;
            self.as_of_ms = times.of(version).unwrap_or(self.as_of_ms).max(self.as_of_ms);
        }
    }

    /// Lists `before`, which this manifest supersedes, among those that are kept, and strikes out what nobody wants
    /// any more. Returns the numbers of those.
    pub(super) fn remember(&mut self, before: Retained) -> Vec<u64> {
        let mut listed = std::mem::take(&mut self.history);
        listed.push(Retained { until: self.as_of, until_ms: self.as_of_ms, ..before });
        let (kept, forgotten): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|entry| self.wants(entry, self.clock));
        let seen = |entry: Retained| Retained { logged: self.has_log(&entry), ..entry };
        self.history = kept.into_iter().map(seen).collect();
        forgotten.into_iter().map(|entry| entry.number).collect()
    }

    /// True when a kept manifest is no longer wanted at `clock`.
    pub(super) fn is_stale(&self, clock: i64) -> bool {
        self.history.iter().any(|entry| !self.wants(entry, clock))
    }

    /// True when `entry` serves a version that a tag names or the retention covers.
    fn wants(&self, entry: &Retained, clock: i64) -> bool {
        let serves = |tag: &Tag| entry.spans(tag.version);
        entry.as_of < entry.until && (self.tags.iter().any(serves) || self.in_horizon(entry, clock))
    }

    /// True when the log of `entry` is kept.
    pub(super) fn has_log(&self, entry: &Retained) -> bool {
        entry.logged && self.in_horizon(entry, self.clock)
    }

    /// True when `entry` serves a version that the retention covers.
    fn in_horizon(&self, entry: &Retained, clock: i64) -> bool {
        let Retention { versions, millis } = self.retention;
        let since = clock.saturating_sub_unsigned(millis);
        let is_near = entry.until.0.saturating_add(versions) > self.as_of.0;
        (versions > 0 && is_near) || (millis > 0 && entry.until_ms >= since)
    }

    /// The oldest log file that the live or a kept manifest needs.
    pub(super) fn oldest_log(&self) -> FileId {
        let kept = self.history.iter().filter(|entry| self.has_log(entry)).map(|entry| entry.wal_start);
        kept.chain([self.wal_start]).map(Option::unwrap_or_default).min().unwrap_or_default()
    }

    /// The kept manifest that serves `version`; `None` for this one, which serves what comes after them.
    ///
    /// # Errors
    /// `NotFound` when the version is not kept.
    pub(super) fn serving(&self, version: SeqNo) -> Result<Option<&Retained>> {
        if version >= self.as_of {
            return Ok(None);
        }
        let entry = self.history.iter().find(|entry| entry.spans(version));
        let entry = entry.filter(|entry| version < self.end_of(entry));
        entry.map(Some).ok_or_else(|| self.not_kept(version.to_string()))
    }

    /// One past the newest version that `entry` serves: without its log, only that of its files.
    pub(super) fn end_of(&self, entry: &Retained) -> SeqNo {
        if self.has_log(entry) {
            entry.until
        } else if entry.flushed >= entry.as_of {
            entry.as_of.next()
        } else {
            entry.as_of
        }
    }

    /// Ranges of versions that can be read, oldest first; the last one goes on with every commit.
    pub(super) fn kept_versions(&self) -> Vec<std::ops::Range<SeqNo>> {
        let past = self.history.iter().map(|entry| entry.as_of..self.end_of(entry));
        let mut ranges: Vec<std::ops::Range<SeqNo>> = Vec::new();
        for range in past.chain([self.as_of..SeqNo(u64::MAX)]).filter(|range| range.start < range.end) {
            match ranges.last_mut() {
                Some(last) if last.end >= range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }

    /// What `AT` says of a version, or a moment, that is gone.
    pub(super) fn not_kept(&self, what: String) -> Error {
        let range = |range: &std::ops::Range<SeqNo>| match range.end.0 {
            u64::MAX => format!("from {} on", range.start),
            end if end == range.start.0 + 1 => range.start.to_string(),
            end => format!("{} to {}", range.start, end - 1),
        };
        let kept: Vec<String> = self.kept_versions().iter().map(range).collect();
        let name = format!(
            "{what} (it is no longer kept; kept are the versions {}; a tag keeps a version, and ALTER DATABASE SET \
             (retention = '7 days') keeps all of that time)",
            kept.join(", ")
        );
        Error::NotFound { entity: "version", name }
    }
}
