//! Options of one table: how its files are merged, and how long its rows live. Names and values as SQL's
//! `WITH (name = 'value')` gives them; every door parses them here.

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::table::{ColumnDef, TableName};
use crate::common::{ColumnId, Error, Result};

/// Options as text, by name.
pub type OptionTexts = BTreeMap<String, String>;

/// How a table's files are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompactionStyle {
    /// Tiers above one sorted run: few files for a read to look into. The default.
    #[default]
    Leveled,
    /// Tiers alone: the least writing.
    Tiered,
    /// In the order of the commits, so that rows expire file by file.
    Fifo,
}

impl CompactionStyle {
    /// The name accepted by [`CompactionStyle::from_str`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leveled => "leveled",
            Self::Tiered => "tiered",
            Self::Fifo => "fifo",
        }
    }
}

impl FromStr for CompactionStyle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Leveled, Self::Tiered, Self::Fifo]
            .into_iter()
            .find(|style| style.name() == text.to_ascii_lowercase())
            .ok_or_else(|| Error::invalid(format!("compaction {text:?}"), "use one of leveled, tiered, fifo"))
    }
}

/// When a table's rows expire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ttl {
    /// How long a row lives, in milliseconds.
    pub millis: u64,
    /// The column of timestamps or dates from which on it lives.
    pub column: ColumnId,
}

/// Options of one table.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TableOptions {
    /// How its files are merged.
    #[serde(default)]
    pub compaction: CompactionStyle,
    /// When its rows expire; never when `None`.
    #[serde(default)]
    pub ttl: Option<Ttl>,
}

impl TableOptions {
    /// The options that are not at their default, as text that [`TableOptions::changed`] takes.
    #[must_use]
    pub fn texts(&self, columns: &[ColumnDef]) -> OptionTexts {
        let mut texts = OptionTexts::new();
        if self.compaction != CompactionStyle::default() {
            texts.insert("compaction".into(), self.compaction.name().into());
        }
        let column = |ttl: &Ttl| columns.iter().find(|column| column.id == ttl.column);
        if let Some((ttl, column)) = self.ttl.and_then(|ttl| Some((ttl, column(&ttl)?))) {
            texts.insert("ttl".into(), format!("{} ms", ttl.millis));
            texts.insert("ttl_column".into(), column.field.name().clone());
        }
        texts
    }

    /// These options with the named ones changed; `ttl = 'none'` ends the expiry of rows.
    ///
    /// # Errors
    /// `Invalid` for an unknown name or a value that is none, `NotFound` for the column.
    pub fn changed(&self, table: &TableName, columns: &[ColumnDef], texts: &OptionTexts) -> Result<Self> {
        let mut options = self.clone();
        for (name, text) in texts {
            match name.as_str() {
                "compaction" => options.compaction = text.parse()?,
                "ttl" | "ttl_column" => {}
                other => {
                    return Err(Error::invalid(
                        format!("option {other:?} of table {table}"),
                        "a table has the options compaction, ttl and ttl_column",
                    ));
                }
            }
        }
        options.ttl = self.changed_ttl(table, columns, texts)?;
        Ok(options)
    }

    fn changed_ttl(
        &self,
        table: &TableName,
        columns: &[ColumnDef],
        texts: &OptionTexts,
    ) -> Result<Option<Ttl>> {
        let millis = match texts.get("ttl").map(String::as_str) {
            None => self.ttl.map(|ttl| ttl.millis),
            Some("none") => None,
            Some(text) => Some(parse_millis(text)?),
        };
        let column = match texts.get("ttl_column") {
            Some(name) => Some(time_column(table, columns, name)?),
            None => self.ttl.map(|ttl| ttl.column),
        };
        match (millis, column) {
            (None, _) if texts.contains_key("ttl_column") => Err(Error::invalid(
                format!("option ttl_column of table {table}"),
                "it says from when on rows live; say with ttl for how long, such as ttl = '7 days'",
            )),
            (None, _) => Ok(None),
            (Some(millis), Some(column)) => Ok(Some(Ttl { millis, column })),
            (Some(_), None) => Err(Error::invalid(
                format!("option ttl of table {table}"),
                "name the column it counts from with ttl_column = '...'; a column `TIMESTAMP DEFAULT now()` holds the \
                 time of the insert",
            )),
        }
    }
}

fn time_column(table: &TableName, columns: &[ColumnDef], name: &str) -> Result<ColumnId> {
    let column = columns.iter().find(|column| column.field.name() == name);
    let column = column
        .ok_or_else(|| Error::NotFound { entity: "column", name: format!("{name} of table {table}") })?;
    match column.field.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Ok(column.id),
        other => Err(Error::invalid(
            format!("option ttl_column of table {table}"),
            format!("column {name:?} is of type {other}; name one of timestamps or dates"),
        )),
    }
}

/// Milliseconds of one unit.
const UNITS: [(&[&str], f64); 6] = [
    (&["ms", "millisecond", "milliseconds"], 1.0),
    (&["s", "sec", "second", "seconds"], 1e3),
    (&["m", "min", "minute", "minutes"], 6e4),
    (&["h", "hour", "hours"], 3.6e6),
    (&["d", "day", "days"], 8.64e7),
    (&["w", "week", "weeks"], 6.048e8),
];

/// A length of time such as `7 days`, `90s` or `1.5 hours`, in milliseconds.
///
/// # Errors
/// `Invalid` for other text, and for less than a millisecond.
pub fn parse_millis(text: &str) -> Result<u64> {
    let text = text.trim();
    let refused = || {
        Error::invalid(
            format!("ttl {text:?}"),
            "write a number and a unit: ms, s, m, h, d or w, as in '7 days' or '90s'",
        )
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str())).ok_or_else(refused)?.1;
    let millis = number.parse::<f64>().map_err(|_| refused())? * factor;
    if (1.0..=9e15).contains(&millis) { Ok(millis as u64) } else { Err(refused()) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, millis) in [
            ("7 days", 604_800_000),
            ("90s", 90_000),
            ("1.5 hours", 5_400_000),
            ("250ms", 250),
            ("2 W", 1_209_600_000),
        ] {
            assert_eq!(parse_millis(text).unwrap(), millis, "{text}");
        }
        for text in ["", "7", "days", "-3 s", "1..2 s", "0 s", "1e3 s", "7 years", "99999999999 w"] {
            assert!(parse_millis(text).is_err(), "{text}");
        }
    }
}
