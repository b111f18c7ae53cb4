//! Search by words: `text_search(...)`, BM25 over texts and over paths of documents.
//!
//! `analyzer` takes text apart, `words` is the index of some rows' words (a tantivy segment, as one piece of bytes in a `pack`),
//! `corpus` all of a table's: one beside each file, kept like codes of vectors, and some in memory (`fresh`) for what the memtables
//! hold. `syntax` reads a query, `query` is what it asks of an index, `search` finds the best rows of a corpus, `ranking` runs that on
//! all processors, and `function` is the table function; `snippet` shows what a query found in a text. Tantivy is seen in this
//! folder only.

mod analyzer;
mod corpus;
mod fresh;
mod function;
mod pack;
mod query;
mod ranking;
mod search;
mod snippet;
mod syntax;
mod texts;
mod words;

#[cfg(test)]
mod tests;

pub(super) use analyzer::LANGUAGE_DEFAULT;
pub(super) use function::{Asked, TEXT_SEARCH, found};
pub(super) use ranking::Wording;
pub(crate) use snippet::text_snippet_udf;
pub(super) use texts::is_text;
