//! From the parts of a query to what tantivy runs.
//!
//! A word counts by BM25 (Robertson and Zaragoza, 2009; k1 = 1.2, b = 0.75). Words that begin alike or differ by few letters
//! count one point each time a row has any of them, however rare: a rare misspelling is not what was looked for.

use std::collections::BTreeSet;

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use tantivy::Term;
use tantivy::query::{BooleanQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::{AsciiFoldingFilter, LowerCaser, RawTokenizer, TextAnalyzer};

use super::analyzer::Analyzer;
use super::syntax::{Occurs, Operator, Part, What, parse};
use super::words::TEXT;

/// Words, phrases and groups of one query.
const PARTS_MAX: usize = 1024;

/// What a search looks for.
#[derive(Debug)]
pub(super) struct TextQuery {
    /// `None` when it holds no word, and nothing is found.
    query: Option<Box<dyn Query>>,
}

impl TextQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// When it only says what must not be there, or is too long.
    pub(super) fn new(text: &str, analyzer: Analyzer, default: Operator) -> Result<Self> {
        let parts = parse(text, default)?;
        if count(&parts) > PARTS_MAX {
            return plan_err!("a query of more than {PARTS_MAX} words; leave out those that matter least");
        }
        if !parts.is_empty() && parts.iter().all(|part| part.occurs == Occurs::Never) {
            return plan_err!("query {text:?} says only what must not be there; add a word to find");
        }
        let mut compiler = Compiler { words: analyzer.build(), letters: letters() };
        Ok(Self { query: compiler.group(&parts) })
    }

    /// What tantivy runs; `None` when nothing is found.
    pub(super) fn query(&self) -> Option<&dyn Query> {
        self.query.as_deref()
    }
}

fn count(parts: &[Part]) -> usize {
    let inner = |part: &Part| match &part.what {
        What::Group(parts) => count(parts),
        _ => 0,
    };
    parts.len() + parts.iter().map(inner).sum::<usize>()
}

/// Lower case without accents, as words are kept, and nothing else.
fn letters() -> TextAnalyzer {
    TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build()
}

struct Compiler {
    words: TextAnalyzer,
    letters: TextAnalyzer,
}

impl Compiler {
    /// `None` when no part is left but what must not be there: stop words are no words.
    fn group(&mut self, parts: &[Part]) -> Option<Box<dyn Query>> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![];
        for part in parts {
            let occur = match part.occurs {
                Occurs::May => Occur::Should,
                Occurs::Must => Occur::Must,
                Occurs::Never => Occur::MustNot,
            };
            clauses.extend(self.clause(&part.what).map(|query| (occur, query)));
        }
        let found = clauses.iter().filter(|(occur, _)| *occur != Occur::MustNot).count();
        match (clauses.len(), found) {
            (_, 0) => None,
            (1, 1) => clauses.pop().map(|(_, query)| query),
            _ => Some(Box::new(BooleanQuery::new(clauses))),
        }
    }

    fn clause(&mut self, what: &What) -> Option<Box<dyn Query>> {
        match what {
            What::Group(parts) => self.group(parts),
            What::Word(text) => phrase(terms(&mut self.words, text), 0),
            What::Phrase(text, slop) => phrase(terms(&mut self.words, text), *slop),
            What::Prefix(text) => {
                let (_, prefix) = terms(&mut self.letters, text).pop()?;
                Some(Box::new(FuzzyTermQuery::new_prefix(prefix, 0, true)))
            }
            What::Fuzzy(text, distance) => {
                let mut found = terms(&mut self.words, text);
                if found.len() > 1 {
                    return phrase(found, 0);
                }
                let (_, term) = found.pop()?;
                Some(Box::new(FuzzyTermQuery::new(term, *distance, true)))
            }
        }
    }
}

/// The words of a text and where they stand in it.
fn terms(analyzer: &mut TextAnalyzer, text: &str) -> Vec<(usize, Term)> {
    let mut terms = vec![];
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        let token = stream.token();
        terms.push((token.position, Term::from_field_text(TEXT, &token.text)));
    }
    terms
}

/// One word is itself; several are a phrase.
fn phrase(mut terms: Vec<(usize, Term)>, slop: u32) -> Option<Box<dyn Query>> {
    match terms.len() {
        0 => None,
        1 => terms.pop().map(|(_, term)| Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as _),
        _ => Some(Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop))),
    }
}

/// The words that a query looks for, to find them in one text.
#[derive(Debug, Default)]
pub(super) struct Sought {
    words: BTreeSet<String>,
    prefixes: Vec<String>,
    /// Words and the letters by which another may differ.
    fuzzy: Vec<(String, usize)>,
}

impl Sought {
    /// Reads a query.
    ///
    /// # Errors
    /// When its groups are nested too deeply.
    pub(super) fn new(text: &str, analyzer: Analyzer) -> Result<Self> {
        let mut compiler = Compiler { words: analyzer.build(), letters: letters() };
        let mut sought = Self::default();
        sought.add(&parse(text, Operator::Or)?, &mut compiler);
        Ok(sought)
    }

    fn add(&mut self, parts: &[Part], compiler: &mut Compiler) {
        for part in parts.iter().filter(|part| part.occurs != Occurs::Never) {
            match &part.what {
                What::Group(parts) => self.add(parts, compiler),
                What::Word(text) | What::Phrase(text, _) => {
                    self.words.extend(words(&mut compiler.words, text))
                }
                What::Prefix(text) => self.prefixes.extend(words(&mut compiler.letters, text)),
                What::Fuzzy(text, distance) => {
                    let distance = usize::from(*distance);
                    self.fuzzy.extend(words(&mut compiler.words, text).map(|word| (word, distance)));
                }
            }
        }
    }

    /// Whether a word of a text is among them.
    pub(super) fn fits(&self, word: &str) -> bool {
        self.words.contains(word)
            || self.prefixes.iter().any(|prefix| word.starts_with(prefix))
            || self.fuzzy.iter().any(|(near, distance)| strsim::osa_distance(near, word) <= *distance)
    }
}

/// The words of a text.
fn words(analyzer: &mut TextAnalyzer, text: &str) -> impl Iterator<Item = String> + use<> {
    let mut words = vec![];
    analyzer.token_stream(text).process(&mut |token| words.push(token.text.clone()));
    words.into_iter()
}

/// What tantivy could not do, as an error of the query.
pub(super) fn failed(error: tantivy::TantivyError) -> datafusion::error::DataFusionError {
    plan_datafusion_err!("text search: {error}")
}
