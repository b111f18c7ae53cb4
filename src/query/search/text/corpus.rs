//! The words of a table as one snapshot sees it: an index for each file, and for what the memtables hold.
//!
//! Words are weighed by how often they are in all of them, so a row's score does not depend on the file that it is in. Rows
//! count as long as they are stored: deleted and overwritten ones until a merge leaves them out.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::buffer::Buffer;
use datafusion::error::Result;
use parking_lot::Mutex;
use tantivy::Term;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use trilith_engine::{Derivation, Error as EngineError, FreshRows, Result as EngineResult};

use super::analyzer::Analyzer;
use super::texts::Texts;
use super::words::{Words, WordsBuilder};
use crate::error::external;
use crate::query::scan::ScanPlan;

/// What is indexed, and how.
#[derive(Clone, Debug)]
pub(super) struct TextSource {
    pub analyzer: Analyzer,
    pub texts: Texts,
}

impl TextSource {
    fn build(&self, runs: &mut dyn Iterator<Item = EngineResult<Run>>) -> EngineResult<Vec<u8>> {
        let mut builder = WordsBuilder::new(self.analyzer).map_err(unindexed)?;
        for run in runs {
            match run? {
                Run::Nothing(rows) => (0..rows).try_for_each(|_| builder.add(None)).map_err(unindexed)?,
                Run::Values(values) => {
                    let texts =
                        self.texts.of(&values).map_err(|error| EngineError::Internal(error.to_string()))?;
                    texts.iter().try_for_each(|text| builder.add(text)).map_err(unindexed)?;
                }
            }
        }
        builder.finish().map_err(unindexed)
    }

    fn read(&self, bytes: Buffer) -> EngineResult<Words> {
        Words::open(bytes, self.analyzer).map_err(unindexed)
    }
}

/// Rows in order.
enum Run {
    Values(ArrayRef),
    /// So many that have no value.
    Nothing(u32),
}

fn unindexed(error: tantivy::TantivyError) -> EngineError {
    EngineError::Internal(format!("index of words: {error}"))
}

impl Derivation for TextSource {
    type Opened = Words;

    fn kind(&self) -> &'static str {
        "text"
    }

    fn description(&self) -> String {
        let version = tantivy::INDEX_FORMAT_VERSION;
        format!("words of {} in {}, tantivy index {version}", self.texts, self.analyzer.name())
    }

    fn make(&self, rows: &mut dyn Iterator<Item = EngineResult<ArrayRef>>) -> EngineResult<Vec<u8>> {
        self.build(&mut rows.map(|values| values.map(Run::Values)))
    }

    fn open(&self, bytes: Buffer) -> EngineResult<Words> {
        self.read(bytes)
    }
}

/// The words of some rows of one part of a scan.
pub(super) struct Indexed {
    pub part: usize,
    /// The number within the part of the first row.
    pub first: u64,
    pub words: Arc<Words>,
}

/// The words of all parts of a scan.
pub(super) struct Corpus(pub Vec<Indexed>);

impl Corpus {
    /// Opens the words of a scan's column, and makes those that are not there.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn new(scan: &ScanPlan, output: usize, source: &TextSource) -> Result<Self> {
        let mut all = Vec::new();
        for part in 0..scan.parts_len() {
            if let Some(words) = scan.derived(part, output, source)? {
                all.push(Indexed { part, first: 0, words });
            }
            if let Some(rows) = scan.fresh(part, output) {
                let fresh = rows.notes::<FreshWords, _>(source);
                for (entries, words) in fresh.of(&rows, source).map_err(external)? {
                    all.push(Indexed { part, first: u64::from(entries.start), words });
                }
            }
        }
        Ok(Self(all))
    }
}

impl Bm25StatisticsProvider for Corpus {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let tokens = |segment: &tantivy::SegmentReader| Ok(segment.inverted_index(field)?.total_num_tokens());
        self.0.iter().filter_map(|indexed| indexed.words.segment()).map(tokens).sum()
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.0.iter().map(|indexed| indexed.words.texts()).sum())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let rows = |segment: &tantivy::SegmentReader| {
            Ok(u64::from(segment.inverted_index(term.field())?.doc_freq(term)?))
        };
        self.0.iter().filter_map(|indexed| indexed.words.segment()).map(rows).sum()
    }
}

type Entries = (Range<u32>, Arc<Words>);

/// Words of a memtable's entries, in segments that cover them from the first on. A search indexes what was committed since the last
/// one; a segment that is not twice as large as its new neighbour is made again together with it, so an entry is indexed
/// a logarithmic number of times.
#[derive(Default)]
pub(super) struct FreshWords(Mutex<Vec<Entries>>);

impl FreshWords {
    /// Segments of exactly the entries that `rows` sees.
    fn of(&self, rows: &FreshRows, source: &TextSource) -> EngineResult<Vec<Entries>> {
        let mut known = self.0.lock();
        let mut cover: Vec<Entries> = vec![];
        let mut from = 0;
        let longest = |from: u32, known: &[Entries]| {
            let fits = |(entries, _): &&Entries| entries.start == from && entries.end <= rows.len();
            known.iter().filter(fits).max_by_key(|(entries, _)| entries.end).cloned()
        };
        while let Some(next) = longest(from, &known) {
            from = next.0.end;
            cover.push(next);
        }
        if from == rows.len() {
            return Ok(cover);
        }
        while let Some((last, _)) = cover.pop_if(|(last, _)| last.len() < 2 * (rows.len() - from) as usize) {
            from = last.start;
        }
        let fresh = from..rows.len();
        let bytes = source.build(&mut runs(rows, fresh.clone())?.into_iter().map(Ok))?;
        let words = Arc::new(source.read(Buffer::from(bytes))?);
        known.retain(|(entries, _)| entries.start < fresh.start || entries.end > fresh.end);
        known.push((fresh.clone(), Arc::clone(&words)));
        cover.push((fresh, words));
        Ok(cover)
    }
}

/// All entries of a range: values, and gaps where rows were deleted.
fn runs(rows: &FreshRows, entries: Range<u32>) -> EngineResult<Vec<Run>> {
    let (mut runs, mut at) = (vec![], entries.start);
    for (first, values) in rows.read(entries.clone())? {
        runs.push(Run::Nothing(first - at));
        at = first + values.len() as u32;
        runs.push(Run::Values(values));
    }
    runs.push(Run::Nothing(entries.end - at));
    Ok(runs)
}
