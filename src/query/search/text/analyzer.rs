//! From text to words: how a column is taken apart, by language.
//!
//! Words are runs of letters and digits in lower case. A language takes away its stop words and the endings of the others
//! (Snowball stemmers); accents go last, because stemmers look at them. Positions count the words that were taken away, so
//! a phrase knows its gaps.

use datafusion::common::plan_err;
use datafusion::error::Result;
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter,
    TextAnalyzer, TokenizerManager,
};

/// Name under which an index finds its analyzer.
pub(super) const ANALYZER: &str = "words";
/// The language of a search that names none.
pub(crate) const LANGUAGE_DEFAULT: &str = "english";
/// The name of no language: words as they are.
const NONE: &str = "none";
/// Longer runs of letters are no words; in bytes.
const WORD_BYTES_MAX: usize = 255;

const LANGUAGES: [(&str, Language); 18] = [
    ("arabic", Language::Arabic),
    ("danish", Language::Danish),
    ("dutch", Language::Dutch),
    ("english", Language::English),
    ("finnish", Language::Finnish),
    ("french", Language::French),
    ("german", Language::German),
    ("greek", Language::Greek),
    ("hungarian", Language::Hungarian),
    ("italian", Language::Italian),
    ("norwegian", Language::Norwegian),
    ("portuguese", Language::Portuguese),
    ("romanian", Language::Romanian),
    ("russian", Language::Russian),
    ("spanish", Language::Spanish),
    ("swedish", Language::Swedish),
    ("tamil", Language::Tamil),
    ("turkish", Language::Turkish),
];

/// How text becomes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Analyzer {
    name: &'static str,
    language: Option<Language>,
}

impl Analyzer {
    /// The analyzer of a language, or of `none`.
    ///
    /// # Errors
    /// When there is none of that name; the message lists all.
    pub(crate) fn of(language: &str) -> Result<Self> {
        if language.eq_ignore_ascii_case(NONE) {
            return Ok(Self { name: NONE, language: None });
        }
        match LANGUAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(language)) {
            Some((name, language)) => Ok(Self { name, language: Some(*language) }),
            None => {
                let names: Vec<&str> = LANGUAGES.iter().map(|(name, _)| *name).collect();
                plan_err!("language {language:?} is unknown; use {NONE} or one of {}", names.join(", "))
            }
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// The words of texts, in order.
    pub(crate) fn build(self) -> TextAnalyzer {
        let words = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
            .filter(LowerCaser);
        let Some(language) = self.language else { return words.filter(AsciiFoldingFilter).build() };
        match StopWordFilter::new(language) {
            Some(stop_words) => {
                words.filter(stop_words).filter(Stemmer::new(language)).filter(AsciiFoldingFilter).build()
            }
            None => words.filter(Stemmer::new(language)).filter(AsciiFoldingFilter).build(),
        }
    }

    /// Where an index looks for it.
    pub(super) fn registered(self) -> TokenizerManager {
        let manager = TokenizerManager::new();
        manager.register(ANALYZER, self.build());
        manager
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn words(language: &str, text: &str) -> Vec<(String, usize)> {
        let mut words = vec![];
        let mut analyzer = Analyzer::of(language).unwrap().build();
        analyzer.token_stream(text).process(&mut |token| words.push((token.text.clone(), token.position)));
        words
    }

    fn pairs(words: &[(String, usize)]) -> Vec<(&str, usize)> {
        words.iter().map(|(word, at)| (word.as_str(), *at)).collect()
    }

    #[test]
    fn a_language_takes_endings_and_stop_words_and_leaves_their_places() {
        let english = words("English", "The cats of Zürich, parsing DATES");
        assert_eq!(pairs(&english), [("cat", 1), ("zurich", 3), ("pars", 4), ("date", 5)]);
        let none = words("none", "The cats of Zürich");
        assert_eq!(pairs(&none), [("the", 0), ("cats", 1), ("of", 2), ("zurich", 3)]);
        assert_eq!(pairs(&words("german", "die Häuser")), [("haus", 1)]);
    }

    #[test]
    fn an_unknown_language_is_refused_with_those_there_are() {
        let message = Analyzer::of("klingon").unwrap_err().to_string();
        assert!(message.contains("klingon") && message.contains("english"), "{message}");
    }
}
