//! The index of some rows' words: postings, positions and lengths, as tantivy keeps them in one segment.
//!
//! A row's number in the segment is its place among the rows that the segment was made of; rows without text take a number
//! and have no words.

use std::path::PathBuf;

use datafusion::arrow::buffer::Buffer;
use tantivy::directory::{Directory, RamDirectory};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexSettings, ReloadPolicy, Searcher, SegmentReader, TantivyDocument};

use super::analyzer::{ANALYZER, Analyzer};
use super::pack::Pack;

/// The only field of a segment.
pub(super) const TEXT: Field = Field::from_field_id(0);
/// What the writer may take before it looks for more, in bytes. A segment is never split.
const WRITER_BYTES: usize = 15_000_000;
/// The list of a segment's files.
const META: &str = "meta.json";

/// The words of some rows.
pub(super) struct Words {
    searcher: Searcher,
    texts: u64,
}

/// Makes the bytes of an index of these texts, one for each row.
pub(super) struct WordsBuilder {
    directory: RamDirectory,
    writer: tantivy::SingleSegmentIndexWriter,
    texts: u64,
}

fn schema() -> Schema {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(ANALYZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let mut schema = Schema::builder();
    schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    schema.build()
}

impl WordsBuilder {
    pub(super) fn new(analyzer: Analyzer) -> tantivy::Result<Self> {
        let directory = RamDirectory::create();
        let writer = Index::builder()
            .schema(schema())
            .settings(IndexSettings::default())
            .tokenizers(analyzer.registered())
            .single_segment_index_writer(directory.clone(), WRITER_BYTES)?;
        Ok(Self { directory, writer, texts: 0 })
    }

    /// The text of the next row, or that it has none.
    pub(super) fn add(&mut self, text: Option<&str>) -> tantivy::Result<()> {
        let mut document = TantivyDocument::new();
        if let Some(text) = text {
            document.add_text(TEXT, text);
            self.texts += 1;
        }
        self.writer.add_document(document)
    }

    /// The bytes of the index.
    pub(super) fn finish(self) -> tantivy::Result<Vec<u8>> {
        let index = self.writer.finalize()?;
        let mut names: Vec<PathBuf> = index.load_metas()?.list_segment_files().into_iter().collect();
        names.push(META.into());
        names.sort();
        names.dedup();
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            if self.directory.exists(&name)? {
                let bytes = self.directory.atomic_read(&name)?;
                files.push((name, bytes));
            }
        }
        Pack::encode(self.texts, &files)
    }
}

impl Words {
    /// Opens what a builder made.
    pub(super) fn open(bytes: Buffer, analyzer: Analyzer) -> tantivy::Result<Self> {
        let pack = Pack::decode(bytes)?;
        let texts = pack.texts();
        let mut index = Index::open(pack)?;
        index.set_tokenizers(analyzer.registered());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { searcher: reader.searcher(), texts })
    }

    /// Number of rows that have a text.
    pub(super) fn texts(&self) -> u64 {
        self.texts
    }

    /// What queries are planned with.
    pub(super) fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Its segment; `None` when no row was there.
    pub(super) fn segment(&self) -> Option<&SegmentReader> {
        self.searcher.segment_readers().first()
    }
}
