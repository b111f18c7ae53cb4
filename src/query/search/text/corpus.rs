//! The words of a table as one snapshot sees it: an index for each file, and for what the memtables hold.
//!
//! Words are weighed by how often they are in all of them, so a row's score does not depend on the file that it is in. Rows
//! count as long as they are stored: deleted and overwritten ones until a merge leaves them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::buffer::Buffer;
use datafusion::error::Result;
use tantivy::Term;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use trilith_engine::{Derivation, Error as EngineError, Result as EngineResult};

use super::analyzer::Analyzer;
use super::fresh::FreshWords;
use super::texts::Texts;
use super::words::{Words, WordsBuilder};
use crate::error::external;
use crate::query::scan::ScanPlan;
use crate::query::search::tasks::on_all;

/// What is indexed, and how.
#[derive(Clone, Debug)]
pub(super) struct TextSource {
    pub analyzer: Analyzer,
    pub texts: Texts,
}

impl TextSource {
    pub(super) fn build(&self, runs: &mut dyn Iterator<Item = EngineResult<Run>>) -> EngineResult<Vec<u8>> {
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

    pub(super) fn read(&self, bytes: Buffer) -> EngineResult<Words> {
        Words::open(bytes, self.analyzer).map_err(unindexed)
    }
}

/// Rows in order.
pub(super) enum Run {
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
    /// Opens the words of a scan's column, and makes those that are not there, on as many tasks as the scan has partitions.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) async fn open(scan: &Arc<ScanPlan>, output: usize, source: &TextSource) -> Result<Self> {
        let next = Arc::new(AtomicUsize::new(0));
        let task = || open_parts(Arc::clone(scan), output, source.clone(), Arc::clone(&next));
        let mut all: Vec<Indexed> =
            on_all(scan.partitions_len(), task).await?.into_iter().flatten().collect();
        all.sort_by_key(|indexed| (indexed.part, indexed.first));
        Ok(Self(all))
    }
}

/// One task: opens the words of parts until none is left, letting others run in between.
async fn open_parts(
    scan: Arc<ScanPlan>,
    output: usize,
    source: TextSource,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Indexed>> {
    let mut opened = Vec::new();
    loop {
        let part = next.fetch_add(1, Ordering::Relaxed);
        if part >= scan.parts_len() {
            return Ok(opened);
        }
        if let Some(words) = scan.derived(part, output, &source)? {
            opened.push(Indexed { part, first: 0, words });
        }
        if let Some(rows) = scan.fresh(part, output) {
            let fresh = rows.notes::<FreshWords, _>(&source);
            for (entries, words) in fresh.of(&rows, &source).map_err(external)? {
                opened.push(Indexed { part, first: u64::from(entries.start), words });
            }
        }
        tokio::task::yield_now().await;
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
