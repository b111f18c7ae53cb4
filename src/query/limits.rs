//! Limits on the text of a statement, checked on its tokens before anything is parsed.
//!
//! Parser and planner recurse over expressions; a flat chain of thousands of `+` or `OR` becomes a
//! tree as deep as it is long and would overflow the stack, which aborts the process. So:
//! 1. a statement is at most [`STATEMENT_BYTES_MAX`] long;
//! 2. it has at most [`TOKENS_MAX`] tokens outside rows of `VALUES` and bracketed lists, which are
//!    flat and bounded by bytes;
//! 3. no chain (operators, joins, set operations at one depth) is longer than [`CHAIN_MAX`];
//! 4. brackets nest at most [`NESTING_MAX`] deep.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use trilith_engine::Error as EngineError;

use crate::error::{Error, Result};

/// Bytes of SQL text in one call.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Tokens of one call, not counting those of `VALUES` rows and of lists in brackets.
pub const TOKENS_MAX: usize = 10_000;
/// Links in one chain of operators, joins or set operations.
pub const CHAIN_MAX: usize = 1_000;
/// Brackets inside brackets.
pub const NESTING_MAX: usize = 64;

/// Cuts `sql` into tokens, refusing what could not be planned safely.
///
/// # Errors
/// `Limit` when a limit is passed, `Invalid` when the text has no tokens of SQL.
pub fn tokenize(sql: &str, dialect: &dyn Dialect) -> Result<Vec<TokenWithSpan>> {
    check("bytes of SQL in one statement", sql.len(), STATEMENT_BYTES_MAX)?;
    let tokens = Tokenizer::new(dialect, sql)
        .tokenize_with_location()
        .map_err(|error| datafusion::error::DataFusionError::SQL(Box::new(ParserError::from(error)), None))?;
    let mut meter = Meter::default();
    for token in &tokens {
        meter.count(&token.token)?;
    }
    Ok(tokens)
}

fn check(what: &str, got: usize, max: usize) -> Result<()> {
    if got <= max {
        return Ok(());
    }
    Err(Error::Engine(EngineError::Limit {
        what: format!("{what} (pass data as parameters, IN lists or Arrow batches)"),
        got: got as u64,
        max: max as u64,
    }))
}

/// One pair of brackets that is open.
#[derive(Default)]
struct Level {
    /// Links of the chain that is being read.
    chain: usize,
    /// Names of the dotted path that is being read.
    path: usize,
    /// Set operations and joins, which commas do not end.
    relations: usize,
}

/// Counts while tokens pass by.
struct Meter {
    levels: Vec<Level>,
    tokens: usize,
    /// Depth of brackets at which `VALUES` was read; its rows are not counted as tokens.
    values_depth: Option<usize>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { levels: vec![Level::default()], tokens: 0, values_depth: None }
    }
}

impl Meter {
    fn count(&mut self, token: &Token) -> Result<()> {
        if matches!(token, Token::Whitespace(_)) {
            return Ok(());
        }
        self.count_token(token)?;
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => self.open(),
            Token::RParen | Token::RBracket | Token::RBrace => {
                self.close();
                Ok(())
            }
            Token::SemiColon => {
                *self = Self { tokens: self.tokens, ..Self::default() };
                Ok(())
            }
            Token::Comma => {
                self.start_expression();
                Ok(())
            }
            Token::Word(word) => self.word(word.keyword),
            Token::Period => self.step(),
            Token::Number(..) | Token::Placeholder(_) | Token::EOF => Ok(()),
            token if is_string(token) => Ok(()),
            // Every other token is an operator or part of one.
            _ => self.link(),
        }
    }

    fn count_token(&mut self, token: &Token) -> Result<()> {
        let in_rows = self.values_depth.is_some_and(|depth| self.levels.len() >= depth);
        let flat = matches!(token, Token::Comma | Token::Number(..)) || is_string(token);
        let in_list = flat && self.levels.len() > 1;
        if !(in_rows || in_list) {
            self.tokens += 1;
        }
        check("tokens in one statement", self.tokens, TOKENS_MAX)
    }

    fn word(&mut self, keyword: Keyword) -> Result<()> {
        match keyword {
            Keyword::VALUES => {
                self.values_depth = Some(self.levels.len());
                self.start_expression();
                Ok(())
            }
            Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::HAVING | Keyword::SET => {
                self.values_depth = None;
                self.start_expression();
                Ok(())
            }
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => self.relation(),
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::WHEN
            | Keyword::AT => self.link(),
            _ => Ok(()),
        }
    }

    fn link(&mut self) -> Result<()> {
        let level = self.level();
        level.chain += 1;
        level.path = 0;
        check("operators in one expression", level.chain, CHAIN_MAX)
    }

    fn step(&mut self) -> Result<()> {
        let level = self.level();
        level.path += 1;
        check("names in one dotted path", level.path, CHAIN_MAX)
    }

    fn relation(&mut self) -> Result<()> {
        let level = self.level();
        level.relations += 1;
        check("joins and set operations in one query", level.relations, CHAIN_MAX)
    }

    fn open(&mut self) -> Result<()> {
        self.link()?;
        self.levels.push(Level::default());
        check("brackets inside brackets", self.levels.len() - 1, NESTING_MAX)
    }

    fn start_expression(&mut self) {
        let level = self.level();
        level.chain = 0;
        level.path = 0;
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.levels.pop();
        }
        self.values_depth = self.values_depth.filter(|depth| self.levels.len() >= *depth);
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use trilith_engine::ErrorKind;

    fn kind(sql: &str) -> Option<ErrorKind> {
        tokenize(sql, &PostgreSqlDialect {}).err().map(|error| error.kind())
    }

    #[test]
    fn flat_chain_is_an_error() {
        let chain = |op: &str, n| format!("SELECT {}", vec!["1"; n].join(op));
        assert_eq!(kind(&chain(" + ", 2_000)), Some(ErrorKind::Limit));
        assert_eq!(kind(&chain(" OR ", 20_000)), Some(ErrorKind::Limit));
        assert_eq!(kind(&chain(" + ", 500)), None);
        assert_eq!(kind(&chain(" UNION ALL SELECT ", 2_000)), Some(ErrorKind::Limit));
        assert_eq!(kind(&format!("SELECT 1{}", "::int".repeat(3_000))), Some(ErrorKind::Limit));
        assert_eq!(kind(&format!("SELECT 1{}", " IS NULL".repeat(3_000))), Some(ErrorKind::Limit));
        assert_eq!(kind(&format!("SELECT {} 1", "NOT ".repeat(3_000))), Some(ErrorKind::Limit));
    }

    #[test]
    fn deep_brackets_are_an_error() {
        let deep = format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000));
        assert_eq!(kind(&deep), Some(ErrorKind::Limit));
        let arrays = format!("SELECT {}1{}", "[".repeat(3_000), "]".repeat(3_000));
        assert_eq!(kind(&arrays), Some(ErrorKind::Limit));
    }

    #[test]
    fn bulk_values_and_lists_pass() {
        let rows = vec!["(1, 'a', 2.5)"; 20_000].join(", ");
        assert_eq!(kind(&format!("INSERT INTO t VALUES {rows}")), None);
        let list = vec!["12"; 50_000].join(", ");
        assert_eq!(kind(&format!("SELECT * FROM t WHERE id IN ({list})")), None);
        let vector = vec!["0.25"; 3_000].join(",");
        assert_eq!(kind(&format!("SELECT l2_distance(v, [{vector}]) FROM t")), None);
    }

    #[test]
    fn long_text_is_an_error() {
        let long = format!("SELECT '{}'", "x".repeat(STATEMENT_BYTES_MAX));
        assert_eq!(kind(&long), Some(ErrorKind::Limit));
        assert_eq!(kind(&vec!["SELECT 1"; 6_000].join("; ")), Some(ErrorKind::Limit));
    }

    #[test]
    fn unfinished_text_is_invalid() {
        assert_eq!(kind("SELECT 'abc"), Some(ErrorKind::Invalid));
        assert!(tokenize(")))", &PostgreSqlDialect {}).unwrap().len() >= 3);
    }
}
