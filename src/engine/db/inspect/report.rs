//! What `inspect` found, for people and for programs.

use std::borrow::Cow;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::common::Error;

/// A file, explained.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FileReport {
    /// The file as it was named.
    pub path: String,
    /// What it is: "manifest", "SSTable" ...
    pub kind: &'static str,
    /// Its length.
    pub bytes: u64,
    /// What its header says, and what follows from its content.
    pub fields: Fields,
    /// Its records, batches, sections or files, where they were asked for.
    pub records: Vec<Fields>,
    /// What is wrong with it; empty when every byte proves itself.
    pub damage: Vec<Damage>,
}

/// Bytes that are not what was written.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Damage {
    /// First byte known to be wrong.
    pub offset: u64,
    /// What was found.
    pub what: String,
}

/// Named values, in the order of FORMAT.md.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    /// Adds a value.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl FileReport {
    pub(super) fn new(path: &str, bytes: u64) -> Self {
        let (fields, records, damage) = (Fields::default(), Vec::new(), Vec::new());
        Self { path: path.to_owned(), kind: "unknown file", bytes, fields, records, damage }
    }

    pub(super) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.fields.set(name, value);
    }

    pub(super) fn damaged(&mut self, offset: u64, what: impl Into<String>) {
        self.damage.push(Damage { offset, what: what.into() });
    }

    /// Takes an error of a reader for what it says of the file.
    pub(super) fn failed(&mut self, error: &Error) {
        match error {
            Error::Corrupt { offset, what, .. } => self.damaged(*offset, what.clone()),
            other => self.damaged(0, other.to_string()),
        }
    }

    /// The report as JSON, on several lines.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// For people: one line per field, record and damage.
impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}, {} bytes", self.path, self.kind, self.bytes)?;
        let width = self.fields.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.fields.0 {
            writeln!(f, "  {name:width$}  {}", Plain(value))?;
        }
        for record in &self.records {
            let pairs: Vec<String> =
                record.0.iter().map(|(name, value)| format!("{name}={}", Plain(value))).collect();
            writeln!(f, "  - {}", pairs.join("  "))?;
        }
        for Damage { offset, what } in &self.damage {
            writeln!(f, "  damaged at byte {offset}: {what}")?;
        }
        Ok(())
    }
}

/// A value without the quotes of JSON.
struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            Value::Null => f.write_str("none"),
            other => write!(f, "{other}"),
        }
    }
}

/// Bytes as hexadecimal digits; long ones are cut.
pub(super) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let mut text: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}

/// What the trailing hash of a file says.
pub(super) fn seal(bytes: &[u8], report: &mut FileReport) -> bool {
    let sealed = crate::format::Hash128::check_sealed(&report.path, bytes);
    match &sealed {
        Ok(hash) => report.set("xxh3-128", format!("{hash}, as the bytes")),
        Err(error) => report.failed(error),
    }
    sealed.is_ok()
}
