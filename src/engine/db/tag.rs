//! What keeps past versions: tags, which name one each, and the retention, which covers the latest.

use std::sync::Arc;

use super::core::Core;
use super::history::Tag;
use crate::common::{Error, Result, Retention, SeqNo};
use crate::format::table::{OptionTexts, validate_name};
use crate::format::table_options::parse_millis;

impl Core {
    /// Names the newest commit, which from then on can be read until the name is dropped.
    pub fn create_tag(&self, name: &str) -> Result<SeqNo> {
        self.check_writable()?;
        validate_name("tag", name)?;
        let mut live = self.maintenance.lock();
        if live.manifest.tags.iter().any(|tag| tag.name == name) {
            return Err(Error::AlreadyExists { entity: "tag".into(), name: format!("{name:?}") });
        }
        // Most of it while commits go on; what comes meanwhile while they wait.
        self.freeze(&mut self.writer.lock())?;
        self.flush_frozen_in(&mut live)?;
        let mut writer = self.writer.lock();
        // A version that lies in files alone needs no log to be kept.
        self.flush_all(&mut live, &mut writer)?;
        let (version, state) = (writer.seq, Arc::clone(&self.published.load().state));
        self.edit_manifest(&mut live, |manifest| {
            manifest.serve_from(version, &state.times);
            manifest.flushed_seq = manifest.flushed_seq.max(version);
            manifest.tags.push(Tag { name: name.to_owned(), version, created_ms: state.clock.now() });
            Ok(())
        })?;
        Ok(version)
    }

    /// Takes a name away; what it alone kept leaves the disk.
    pub fn drop_tag(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        if live.manifest.tags.iter().all(|tag| tag.name != name) {
            return Err(Error::NotFound { entity: "tag", name: name.to_owned() });
        }
        self.edit_manifest(&mut live, |manifest| {
            manifest.tags.retain(|tag| tag.name != name);
            Ok(())
        })
    }

    /// The tags, oldest version first.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        self.check_open()?;
        self.refresh()?;
        let mut tags = self.maintenance.lock().manifest.tags.clone();
        tags.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
        Ok(tags)
    }

    /// Changes which versions are kept beside the tagged ones.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        self.check_writable()?;
        self.edit_manifest(&mut self.maintenance.lock(), |manifest| {
            manifest.retention = retention;
            Ok(())
        })
    }

    /// Changes options of the database, given as text; those not named stay.
    pub fn set_options(&self, texts: &OptionTexts) -> Result<()> {
        let mut retention = self.maintenance.lock().manifest.retention;
        for (name, text) in texts {
            match name.as_str() {
                "retention" => retention.millis = millis(text)?,
                "retention_versions" => retention.versions = count(text)?,
                other => {
                    return Err(Error::invalid(
                        format!("option {other:?} of the database"),
                        "it has the options retention and retention_versions",
                    ));
                }
            }
        }
        self.set_retention(retention)
    }

    /// Lets the versions go that the retention no longer covers. True when there were any.
    pub fn forget_versions(&self) -> Result<bool> {
        let mut live = self.maintenance.lock();
        if !live.manifest.is_stale(self.now()) {
            return Ok(false);
        }
        self.edit_manifest(&mut live, |_| Ok(())).map(|()| true)
    }
}

fn millis(text: &str) -> Result<u64> {
    if text == "none" {
        return Ok(0);
    }
    parse_millis(text).map_err(|error| match error {
        Error::Invalid { why, .. } => Error::invalid(format!("retention {text:?}"), why),
        other => other,
    })
}

fn count(text: &str) -> Result<u64> {
    let why = "write how many versions before the present one are kept, such as 1000, or none";
    match text {
        "none" => Ok(0),
        number => number.parse().map_err(|_| Error::invalid(format!("retention_versions {text:?}"), why)),
    }
}
