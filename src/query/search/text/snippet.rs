//! `text_snippet(text, query, max_chars, language)`: the part of a text that a query fits best, with what fits in bold.
//!
//! HTML: words that fit stand in `<b>`, everything else is escaped. A text without any gives its beginning.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use tantivy::snippet::SnippetGenerator;

use super::analyzer::{Analyzer, LANGUAGE_DEFAULT};
use super::query::Sought;
use super::words::TEXT;

/// Length of a snippet when a call does not say which.
const CHARS_DEFAULT: i64 = 150;

/// The function.
pub(crate) fn text_snippet_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextSnippet { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextSnippet {
    signature: Signature,
}

impl ScalarUDFImpl for TextSnippet {
    fn name(&self) -> &str {
        "text_snippet"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.len() {
            2..=4 => Ok(DataType::Utf8),
            count => plan_err!(
                "text_snippet takes a text, a query, and optionally a length and a language: \
                 text_snippet(body, 'green tea', 150, 'english'); got {count} argument(s)"
            ),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |at: usize| match args.args.get(at) {
            Some(ColumnarValue::Scalar(value)) => Ok(Some(value)),
            Some(ColumnarValue::Array(_)) => {
                exec_err!("text_snippet: only the text may differ from row to row")
            }
            None => Ok(None),
        };
        let chars = constant(2)?
            .map_or(Ok(ScalarValue::from(CHARS_DEFAULT)), |given| given.cast_to(&DataType::Int64))?;
        let language =
            constant(3)?.and_then(|given| given.try_as_str().flatten()).unwrap_or(LANGUAGE_DEFAULT);
        let chars = match chars {
            ScalarValue::Int64(Some(chars)) if chars > 0 => usize::try_from(chars).unwrap_or(usize::MAX),
            other => {
                return exec_err!("text_snippet: the length must be a whole number above 0, not {other}");
            }
        };
        let texts = args.args[0].to_array(args.number_rows)?;
        let snippets: ArrayRef = match constant(1)?.and_then(|query| query.try_as_str().flatten()) {
            Some(query) => Snippets::new(query, Analyzer::of(language)?, chars)?.of(&texts)?,
            None => datafusion::arrow::array::new_null_array(&DataType::Utf8, texts.len()),
        };
        match &args.args[0] {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&snippets, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(snippets)),
        }
    }
}

/// Makes snippets for one query.
struct Snippets {
    sought: Sought,
    analyzer: Analyzer,
    chars: usize,
}

impl Snippets {
    fn new(query: &str, analyzer: Analyzer, chars: usize) -> Result<Self> {
        Ok(Self { sought: Sought::new(query, analyzer)?, analyzer, chars })
    }

    fn of(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(texts, &DataType::Utf8View)?;
        let mut snippets = StringBuilder::new();
        for text in texts.as_string_view() {
            snippets.append_option(text.map(|text| self.snippet(text)));
        }
        Ok(Arc::new(snippets.finish()))
    }

    fn snippet(&self, text: &str) -> String {
        let mut words = self.analyzer.build();
        let mut found = BTreeMap::new();
        let mut stream = words.token_stream(text);
        stream.process(&mut |token| {
            if self.sought.fits(&token.text) {
                found.insert(token.text.clone(), 1.0);
            }
        });
        drop(stream);
        let snippet = SnippetGenerator::new(found, words, TEXT, self.chars).snippet(text);
        match snippet.is_empty() {
            true => escaped(text.char_indices().nth(self.chars).map_or(text, |(end, _)| &text[..end])),
            false => snippet.to_html(),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            other => escaped.push(other),
        }
    }
    escaped
}
