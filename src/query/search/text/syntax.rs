//! What a search for words may say. Every text is a query: what is no operator is words.
//!
//! ```text
//! tea cup            either word; both count            tea AND cup, +tea +cup    both
//! tea -milk, tea AND NOT milk    without                (tea OR coffee) AND cup   groups
//! "green tea"        the phrase; "green tea"~2 words moved by up to two places
//! gre*               words that begin so                tee~, coffe~2             words that differ by 1, 2 letters
//! ```
//! A parser of its own because tantivy's grammar knows no fuzzy words and takes `what: this` for a field; theirs is for
//! queries over many fields.

use std::iter::Peekable;
use std::str::CharIndices;

use datafusion::common::plan_err;
use datafusion::error::Result;

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 64;
/// Letters by which a fuzzy word may differ; beyond that nearly everything is near.
const DISTANCE_MAX: u8 = 2;

/// How a part of a query counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurs {
    /// It need not be there, and counts if it is.
    May,
    /// It must be there.
    Must,
    /// It must not be there.
    Never,
}

/// What a part looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A word, or what stands between two spaces.
    Word(String),
    /// Words in this order, or moved by so many places.
    Phrase(String, u32),
    /// Words that begin so.
    Prefix(String),
    /// Words that differ by so many letters.
    Fuzzy(String, u8),
    /// Parts of their own.
    Group(Vec<Part>),
}

/// One part of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub occurs: Occurs,
    pub what: What,
}

/// What two parts without an operator between them mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
}

/// The parts of a query.
///
/// # Errors
/// When groups are nested too deeply.
pub(super) fn parse(query: &str, default: Operator) -> Result<Vec<Part>> {
    Parser { query, chars: query.char_indices().peekable(), default }.group(0)
}

struct Parser<'a> {
    query: &'a str,
    chars: Peekable<CharIndices<'a>>,
    default: Operator,
}

/// Parts between two ORs.
type Run = Vec<Part>;

impl Parser<'_> {
    /// Up to the closing parenthesis or the end.
    fn group(&mut self, depth: usize) -> Result<Vec<Part>> {
        if depth > DEPTH_MAX {
            return plan_err!("groups are nested more than {DEPTH_MAX} deep; write the query flatter");
        }
        let (mut runs, mut joined): (Vec<Run>, Option<Operator>) = (vec![], None);
        let mut negated = false;
        while let Some(next) = self.next_char() {
            match next {
                ')' => {
                    self.chars.next();
                    if depth > 0 {
                        break;
                    }
                }
                _ => match self.item(depth)? {
                    Item::Operator(operator) => joined = Some(operator),
                    Item::Not => negated = true,
                    Item::Nothing => {}
                    Item::Part(mut part) => {
                        if std::mem::take(&mut negated) {
                            part.occurs = Occurs::Never;
                        }
                        match (joined.take().unwrap_or(self.default), runs.last_mut()) {
                            (Operator::And, Some(run)) => run.push(part),
                            _ => runs.push(vec![part]),
                        }
                    }
                },
            }
        }
        Ok(joined_runs(runs))
    }

    /// The next character that is no space, not taken yet.
    fn next_char(&mut self) -> Option<char> {
        while self.chars.next_if(|(_, next)| next.is_whitespace()).is_some() {}
        self.chars.peek().map(|(_, next)| *next)
    }

    fn item(&mut self, depth: usize) -> Result<Item> {
        let sign = |next: char| match next {
            '+' => Some(Occurs::Must),
            '-' => Some(Occurs::Never),
            _ => None,
        };
        let occurs = self.chars.next_if(|(_, next)| sign(*next).is_some()).and_then(|(_, next)| sign(next));
        let what = match self.chars.peek().map(|(_, next)| *next) {
            Some('"') => self.phrase(),
            Some('(') => {
                self.chars.next();
                Some(What::Group(self.group(depth + 1)?))
            }
            Some(next) if !next.is_whitespace() && next != ')' => {
                let word = self.word();
                match word.as_str() {
                    "AND" if occurs.is_none() => return Ok(Item::Operator(Operator::And)),
                    "OR" if occurs.is_none() => return Ok(Item::Operator(Operator::Or)),
                    "NOT" if occurs.is_none() => return Ok(Item::Not),
                    _ => Some(self.with_suffix(word)),
                }
            }
            _ => None,
        };
        let occurs = occurs.unwrap_or(Occurs::May);
        Ok(what.map_or(Item::Nothing, |what| Item::Part(Part { occurs, what })))
    }

    /// Up to the closing quote or the end.
    fn phrase(&mut self) -> Option<What> {
        let (start, _) = self.chars.next()?;
        let mut end = self.query.len();
        for (at, next) in self.chars.by_ref() {
            if next == '"' {
                end = at;
                break;
            }
        }
        let words = self.query[start + 1..end].to_owned();
        let slop = self.tilde().map_or(0, |digits| digits.parse().unwrap_or(1));
        Some(What::Phrase(words, slop))
    }

    /// Up to a space, a quote, a parenthesis or a tilde.
    fn word(&mut self) -> String {
        let ends = |next: char| next.is_whitespace() || matches!(next, '"' | '(' | ')' | '~');
        let mut word = String::new();
        while let Some((_, next)) = self.chars.next_if(|(_, next)| word.is_empty() || !ends(*next)) {
            word.push(next);
        }
        word
    }

    fn with_suffix(&mut self, word: String) -> What {
        if let Some(digits) = self.tilde() {
            return What::Fuzzy(word, digits.parse().unwrap_or(1).min(DISTANCE_MAX));
        }
        match word.strip_suffix('*') {
            Some(prefix) if prefix.chars().any(char::is_alphanumeric) => What::Prefix(prefix.to_owned()),
            _ => What::Word(word),
        }
    }

    /// The digits after a tilde, if there is one.
    fn tilde(&mut self) -> Option<String> {
        self.chars.next_if(|(_, next)| *next == '~')?;
        let mut digits = String::new();
        while let Some((_, digit)) = self.chars.next_if(|(_, next)| next.is_ascii_digit()) {
            digits.push(digit);
        }
        Some(digits)
    }
}

enum Item {
    Part(Part),
    Operator(Operator),
    Not,
    /// A sign with nothing behind it.
    Nothing,
}

/// Parts within a run must all be there; of several runs, each may.
fn joined_runs(mut runs: Vec<Run>) -> Vec<Part> {
    let all = |run: Run| run.into_iter().map(must).collect::<Run>();
    if runs.len() == 1 {
        let only = runs.swap_remove(0);
        return if only.len() == 1 { only } else { all(only) };
    }
    let part = |mut run: Run| match run.len() {
        1 => run.swap_remove(0),
        _ => Part { occurs: Occurs::May, what: What::Group(all(run)) },
    };
    runs.into_iter().map(part).collect()
}

fn must(part: Part) -> Part {
    match part.occurs {
        Occurs::May => Part { occurs: Occurs::Must, ..part },
        _ => part,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A query written back with all that the parser took it for.
    fn read(query: &str, default: Operator) -> String {
        written(&parse(query, default).unwrap())
    }

    fn written(parts: &[Part]) -> String {
        let part = |part: &Part| {
            let sign = match part.occurs {
                Occurs::May => "",
                Occurs::Must => "+",
                Occurs::Never => "-",
            };
            let what = match &part.what {
                What::Word(word) => word.clone(),
                What::Phrase(words, slop) => format!("<{words}>{slop}"),
                What::Prefix(prefix) => format!("{prefix}..."),
                What::Fuzzy(word, distance) => format!("{word}~{distance}"),
                What::Group(parts) => format!("({})", written(parts)),
            };
            format!("{sign}{what}")
        };
        parts.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn operators_signs_and_groups_say_what_counts() {
        let cases = [
            ("tea cup", "tea cup"),
            ("tea AND cup", "+tea +cup"),
            ("+tea -milk cup", "+tea -milk cup"),
            ("a AND b OR c", "(+a +b) c"),
            ("a AND NOT b", "+a -b"),
            ("(a OR b) AND c", "+(a b) +c"),
            ("\"green tea\" \"green tea\"~2", "<green tea>0 <green tea>2"),
            ("gre* tee~ coffe~2 tea~9", "gre... tee~1 coffe~2 tea~2"),
        ];
        for (query, expected) in cases {
            assert_eq!(read(query, Operator::Or), expected, "{query}");
        }
        assert_eq!(read("tea cup -milk", Operator::And), "+tea +cup -milk");
        assert_eq!(read("tea OR cup", Operator::And), "tea cup");
    }

    #[test]
    fn every_text_is_a_query() {
        let cases = [
            ("", ""),
            ("what: is C++?", "what: is C++?"),
            ("\"open end", "<open end>0"),
            ("a) b", "a b"),
            ("(a", "(a)"),
            ("- + AND", ""),
            ("AND a", "a"),
            ("*", "*"),
            ("don't-stop", "don't-stop"),
            ("~", "~"),
        ];
        for (query, expected) in cases {
            assert_eq!(read(query, Operator::Or), expected, "{query}");
        }
        let deep = "(".repeat(1000);
        assert!(parse(&deep, Operator::Or).unwrap_err().to_string().contains("nested"));
    }
}
