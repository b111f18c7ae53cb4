//! The text of `COPY`, taken apart.
//!
//! `COPY table [(columns)] | (query) FROM | TO 'file' [WITH] [(option value, ...)]
//! [STORED AS format] [OPTIONS (...)]`.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Result};

/// Where rows come from or go to inside the database.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Table(ObjectName, Vec<Ident>),
    Query(Box<Query>),
}

/// Which way rows go, seen from the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    To,
    From,
}

/// A `COPY` statement.
#[derive(Clone, Debug)]
pub(crate) struct CopyStatement {
    pub subject: Subject,
    pub direction: Direction,
    pub file: String,
    /// Options by lower-case name, values as text.
    pub options: Vec<(String, String)>,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Json,
    Arrow,
}

impl CopyStatement {
    /// True when it writes to a table, false when it writes to a file.
    pub(crate) fn reads_file(&self) -> bool {
        matches!(self.direction, Direction::From)
    }

    /// The option of this name.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The format that is named, or the one of the file's extension.
    pub(crate) fn format(&self) -> Result<Format> {
        let named = self.option("format").map(str::to_ascii_lowercase);
        let extension = || extension(&self.file).map(str::to_ascii_lowercase);
        let name = named.or_else(extension).unwrap_or_default();
        match name.as_str() {
            "parquet" | "pq" => Ok(Format::Parquet),
            "csv" | "tsv" => Ok(Format::Csv),
            "json" | "jsonl" | "ndjson" => Ok(Format::Json),
            "arrow" | "ipc" | "feather" => Ok(Format::Arrow),
            _ => Err(Error::invalid(
                format!("format of {:?}", self.file),
                "name one of parquet, csv, json, arrow: COPY ... (FORMAT parquet)",
            )),
        }
    }

    /// What separates values: `DELIMITER`, a tab for `.tsv`, else a comma.
    pub(crate) fn delimiter(&self) -> Result<u8> {
        let is_tsv = self.option("format") == Some("tsv") || extension(&self.file) == Some("tsv");
        match self.option("delimiter") {
            None => Ok(if is_tsv { b'\t' } else { b',' }),
            Some("\\t") => Ok(b'\t'),
            Some(text) => match text.as_bytes() {
                [byte] => Ok(*byte),
                _ => Err(Error::invalid(format!("DELIMITER {text:?}"), "it must be one byte")),
            },
        }
    }

    /// Whether the first line names the columns; yes unless `HEADER false`.
    pub(crate) fn header(&self) -> bool {
        !matches!(
            self.option("header").map(str::to_ascii_lowercase).as_deref(),
            Some("false" | "off" | "0" | "no")
        )
    }
}

/// What follows the last dot of the file's name.
pub(crate) fn extension(file: &str) -> Option<&str> {
    std::path::Path::new(file).extension().and_then(|extension| extension.to_str())
}

/// Parses a whole `COPY` statement.
///
/// # Errors
/// `Invalid`, saying what was expected where.
pub(crate) fn parse_copy(tokens: Vec<TokenWithSpan>, dialect: &dyn Dialect) -> Result<CopyStatement> {
    let mut parser = Parser::new(dialect).with_tokens_with_locations(tokens);
    copy(&mut parser).map_err(|error| DataFusionError::SQL(Box::new(error), None).into())
}

fn copy(parser: &mut Parser<'_>) -> Result<CopyStatement, ParserError> {
    parser.expect_keyword(Keyword::COPY)?;
    let subject = subject(parser)?;
    let direction = match parser.expect_one_of_keywords(&[Keyword::TO, Keyword::FROM])? {
        Keyword::TO => Direction::To,
        _ => Direction::From,
    };
    let file = parser.parse_literal_string()?;
    let mut options = vec![];
    loop {
        let keywords = [Keyword::WITH, Keyword::STORED, Keyword::OPTIONS];
        match parser.parse_one_of_keywords(&keywords) {
            Some(Keyword::STORED) => {
                parser.expect_keyword(Keyword::AS)?;
                options.push(("format".to_owned(), value(parser)?));
            }
            _ if parser.consume_token(&Token::LParen) => list(parser, &mut options)?,
            Some(_) => return parser.expected("( after WITH or OPTIONS", parser.peek_token()),
            None => break,
        }
    }
    match parser.peek_token().token {
        Token::EOF => Ok(CopyStatement { subject, direction, file, options }),
        _ => parser.expected("end of COPY", parser.peek_token()),
    }
}

fn subject(parser: &mut Parser<'_>) -> Result<Subject, ParserError> {
    if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Subject::Query(query));
    }
    let table = parser.parse_object_name(true)?;
    Ok(Subject::Table(table, parser.parse_parenthesized_column_list(IsOptional::Optional, false)?))
}

/// Options up to the closing bracket: `name value`, `name = value` or a bare `name`, which means true.
fn list(parser: &mut Parser<'_>, options: &mut Vec<(String, String)>) -> Result<(), ParserError> {
    loop {
        if parser.consume_token(&Token::RParen) {
            return Ok(());
        }
        let name = value(parser)?.to_ascii_lowercase();
        let _equals = parser.consume_token(&Token::Eq);
        let bare = matches!(parser.peek_token().token, Token::Comma | Token::RParen);
        let text = if bare { "true".to_owned() } else { value(parser)? };
        options.push((name.strip_prefix("format.").unwrap_or(&name).to_owned(), text));
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            return Ok(());
        }
    }
}

/// A word, a text, a number, or words joined by dots.
fn value(parser: &mut Parser<'_>) -> Result<String, ParserError> {
    let mut text = String::new();
    loop {
        let token = parser.next_token();
        match token.token {
            Token::Word(word) => text.push_str(&word.value),
            Token::SingleQuotedString(part) | Token::EscapedStringLiteral(part) => text.push_str(&part),
            Token::Number(number, _) => text.push_str(&number),
            _ => return parser.expected("an option", token),
        }
        if !parser.consume_token(&Token::Period) {
            return Ok(text);
        }
        text.push('.');
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn parse(sql: &str) -> Result<CopyStatement> {
        let dialect = PostgreSqlDialect {};
        parse_copy(Tokenizer::new(&dialect, sql).tokenize_with_location().unwrap(), &dialect)
    }

    #[test]
    fn options_in_every_form() {
        let copy = parse("COPY t (a, b) FROM 'x.csv' WITH (FORMAT csv, HEADER, DELIMITER ';')").unwrap();
        assert_eq!(copy.direction, Direction::From);
        assert_eq!(copy.delimiter().unwrap(), b';');
        assert!(copy.header());
        assert!(matches!(copy.subject, Subject::Table(_, columns) if columns.len() == 2));
        let copy =
            parse("COPY (SELECT 1) TO 'x' STORED AS PARQUET OPTIONS ('format.compression' 'zstd')").unwrap();
        assert_eq!(copy.format().unwrap(), Format::Parquet);
        assert_eq!(copy.option("compression"), Some("zstd"));
    }

    #[test]
    fn format_follows_the_extension() {
        assert_eq!(parse("COPY t TO 'a/b.ndjson'").unwrap().format().unwrap(), Format::Json);
        assert_eq!(parse("COPY t TO 'b.tsv'").unwrap().delimiter().unwrap(), b'\t');
        assert!(parse("COPY t TO 'b.xyz'").unwrap().format().is_err());
    }

    #[test]
    fn leftovers_are_refused() {
        assert!(parse("COPY t TO 'a.csv' AND MORE").is_err());
        assert!(parse("COPY t TO").is_err());
        assert!(parse("COPY t TO 'a.csv' (FORMAT").is_err());
    }
}
