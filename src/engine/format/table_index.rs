//! An index that a statement named: which codes a column of vectors gets, and what its searches may miss.
//!
//! Kinds, classes and options as SQL's `USING kind (column class) WITH (name = value)` gives them; every door parses them
//! here. What is made of a definition is derived: no row depends on it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::table_options::OptionTexts;
use crate::common::{ColumnId, Error, Result};

/// The share of the nearest rows that a search through an index finds unless something else is said.
const RECALL_DEFAULT: f64 = 0.98;
/// Lists that one file may have.
const LISTS_MAX: u32 = 65_536;
/// Neighbours of a row in a graph: the default, and what may be asked for.
const DEGREE_DEFAULT: u32 = 32;
const DEGREES: std::ops::RangeInclusive<u32> = 8..=128;
/// Rows that a row's neighbours are chosen from.
const CANDIDATES_DEFAULT: u32 = 96;
const CANDIDATES: std::ops::RangeInclusive<u32> = 16..=1024;

/// What is kept beside the vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// Nothing: each search compares all vectors that its conditions leave.
    Flat,
    /// Codes of one bit and of eight, read whole (RaBitQ).
    Rabitq,
    /// The codes in lists around centroids (an inverted file). What columns have without a statement.
    Ivf,
    /// Lists, and a graph of near rows over the codes.
    Graph,
    /// As [`IndexKind::Graph`], with the names that options have in HNSW.
    Hnsw,
}

const KINDS: [(&str, IndexKind); 6] = [
    ("flat", IndexKind::Flat),
    ("rabitq", IndexKind::Rabitq),
    ("ivf", IndexKind::Ivf),
    ("ivfflat", IndexKind::Ivf),
    ("graph", IndexKind::Graph),
    ("hnsw", IndexKind::Hnsw),
];

impl IndexKind {
    /// Its name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for IndexKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let what = "vectors have flat, rabitq, ivf, graph and hnsw; words, sparse vectors and keys need no \
                        statement, as searches make what they need by themselves";
            Error::invalid(format!("index method {text:?}"), what)
        })
    }
}

/// The distance that an index is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexMetric {
    /// Cosine distance.
    Cosine,
    /// Euclidean distance.
    L2,
    /// Negative inner product.
    InnerProduct,
}

const CLASSES: [(&str, IndexMetric); 6] = [
    ("vector_cosine_ops", IndexMetric::Cosine),
    ("vector_l2_ops", IndexMetric::L2),
    ("vector_ip_ops", IndexMetric::InnerProduct),
    ("cosine", IndexMetric::Cosine),
    ("l2", IndexMetric::L2),
    ("inner_product", IndexMetric::InnerProduct),
];

impl IndexMetric {
    /// The class that stands for it in SQL.
    #[must_use]
    pub fn class(self) -> &'static str {
        CLASSES.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for IndexMetric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = CLASSES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, metric)| *metric).ok_or_else(|| {
            let what =
                "use vector_cosine_ops, vector_l2_ops or vector_ip_ops; other distances are compared exactly";
            Error::invalid(format!("operator class {text:?}"), what)
        })
    }
}

/// A named index of one column of a table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IndexDef {
    /// Its name, one of its kind in the table's schema.
    pub name: String,
    /// The column.
    pub column: ColumnId,
    /// What is kept.
    pub kind: IndexKind,
    /// The distance whose searches it serves; all that codes can serve when `None`.
    pub metric: Option<IndexMetric>,
    /// The share of the nearest rows that a search finds which does not say; 1 is all.
    pub recall: f64,
    /// Lists of each file; a number that suits the file when `None`.
    pub lists: Option<u32>,
    /// Neighbours of each row in the graph.
    pub degree: u32,
    /// Rows that the neighbours of one are chosen from.
    pub candidates: u32,
}

impl IndexDef {
    /// An index by its kind, the class of its column and its options.
    ///
    /// # Errors
    /// `Invalid` for an option that there is not, or a value that it does not take.
    pub fn new(
        name: String,
        column: ColumnId,
        kind: IndexKind,
        metric: Option<IndexMetric>,
        options: &OptionTexts,
    ) -> Result<Self> {
        let recall = if kind == IndexKind::Flat { 1.0 } else { RECALL_DEFAULT };
        let (degree, candidates) = (DEGREE_DEFAULT, CANDIDATES_DEFAULT);
        let mut index = Self { name, column, kind, metric, recall, lists: None, degree, candidates };
        for (option, text) in options {
            index.set(option, text)?;
        }
        Ok(index)
    }

    fn set(&mut self, option: &str, text: &str) -> Result<()> {
        use IndexKind::{Flat, Graph, Hnsw, Ivf};
        match (option, self.kind) {
            ("recall", kind) if kind != Flat => self.recall = share(text)?,
            ("lists", Ivf | Graph | Hnsw) => self.lists = Some(whole(option, text, &(1..=LISTS_MAX))?),
            ("degree", Graph | Hnsw) => self.degree = whole(option, text, &DEGREES)?,
            // The lowest layer of HNSW keeps twice as many neighbours as the others, and is the one that there is here.
            ("m", Graph | Hnsw) => {
                self.degree = 2 * whole(option, text, &(DEGREES.start() / 2..=DEGREES.end() / 2))?
            }
            ("ef_construction", Graph | Hnsw) => self.candidates = whole(option, text, &CANDIDATES)?,
            _ => return Err(self.no_option(option)),
        }
        Ok(())
    }

    fn no_option(&self, option: &str) -> Error {
        let there_are = match self.kind {
            IndexKind::Flat => "flat has no options: it compares all vectors",
            IndexKind::Rabitq => "rabitq has the option recall",
            IndexKind::Ivf => "ivf has the options recall and lists",
            IndexKind::Graph | IndexKind::Hnsw => {
                "graph and hnsw have the options recall, lists, m (or degree) and ef_construction"
            }
        };
        Error::invalid(format!("option {option:?} of index {:?}", self.name), there_are)
    }

    /// What its `WITH` would say, of what is not left to the default.
    #[must_use]
    pub fn texts(&self) -> OptionTexts {
        let mut texts = OptionTexts::new();
        if self.kind != IndexKind::Flat {
            texts.insert("recall".into(), self.recall.to_string());
        }
        if let Some(lists) = self.lists {
            texts.insert("lists".into(), lists.to_string());
        }
        if matches!(self.kind, IndexKind::Graph | IndexKind::Hnsw) {
            texts.insert("degree".into(), self.degree.to_string());
            texts.insert("ef_construction".into(), self.candidates.to_string());
        }
        texts
    }

    /// True when it has a graph.
    #[must_use]
    pub fn has_graph(&self) -> bool {
        matches!(self.kind, IndexKind::Graph | IndexKind::Hnsw)
    }
}

fn share(text: &str) -> Result<f64> {
    let given = text.parse::<f64>().ok().filter(|share| (0.5..=1.0).contains(share));
    given.ok_or_else(|| {
        Error::invalid(format!("recall {text:?}"), "give a number from 0.5 to 1 (all of the nearest rows)")
    })
}

fn whole(option: &str, text: &str, allowed: &std::ops::RangeInclusive<u32>) -> Result<u32> {
    let given = text.parse::<u32>().ok().filter(|number| allowed.contains(number));
    given.ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        Error::invalid(format!("{option} {text:?}"), format!("give a whole number from {least} to {most}"))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn index(kind: &str, options: &[(&str, &str)]) -> Result<IndexDef> {
        let options = options.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        IndexDef::new("i".into(), ColumnId(0), kind.parse()?, None, &options)
    }

    #[test]
    fn options_are_those_of_the_kind() {
        assert!((index("rabitq", &[]).unwrap().recall - 0.98).abs() < 1e-9);
        assert!((index("FLAT", &[]).unwrap().recall - 1.0).abs() < 1e-9);
        assert_eq!(index("ivf", &[("lists", "100")]).unwrap().lists, Some(100));
        assert_eq!(index("hnsw", &[("m", "24"), ("ef_construction", "64")]).unwrap().degree, 48);
        for (kind, option, text) in [
            ("flat", "recall", "0.9"),
            ("rabitq", "lists", "10"),
            ("ivf", "m", "16"),
            ("ivf", "lists", "0"),
            ("ivf", "recall", "1.5"),
            ("hnsw", "m", "many"),
            ("hnsw", "ef", "10"),
        ] {
            assert!(index(kind, &[(option, text)]).is_err(), "{kind} {option} {text}");
        }
        assert!(index("btree", &[]).is_err());
    }

    #[test]
    fn texts_make_the_same_index() {
        for (kind, options) in
            [("flat", vec![]), ("ivf", vec![("lists", "7"), ("recall", "1")]), ("hnsw", vec![("m", "12")])]
        {
            let made = index(kind, &options).unwrap();
            let again = IndexDef::new("i".into(), ColumnId(0), made.kind, None, &made.texts()).unwrap();
            assert_eq!(made, again);
        }
    }
}
