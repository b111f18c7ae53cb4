//! From text to statements: DataFusion's parser, with the few statements it lacks in front.
//!
//! Limits are checked on the tokens first, so nothing here can overflow the stack. Several
//! statements may stand in one text, separated by semicolons.

use datafusion::sql::parser::{DFParserBuilder, Statement as SqlStatement};
use datafusion::sql::sqlparser::ast::{
    ExprWithAlias, SelectFlavor, SelectItem, SetExpr, Statement as Ast, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use trilith_udfs::dialect::{TrilithDialect, merge_operators, tokenize};

use super::limits;
use super::search::with_conditions;
use super::statements::copy::{CopyStatement, parse_copy};
use super::statements::versions::{VersionStatement, parse_versions};
use crate::error::{Error, Result};

/// Brackets, subqueries and function calls inside one another that the parser follows.
const RECURSION_MAX: usize = 100;

/// One statement of ours or of DataFusion.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Anything that DataFusion parses.
    Sql(Box<SqlStatement>),
    /// `COPY ... FROM | TO`.
    Copy(Box<CopyStatement>),
    /// `CHECKPOINT`: write the memtables to files.
    Checkpoint,
    /// `VACUUM`: give back the space of dead rows now.
    Vacuum,
    /// `CREATE TAG` and its kin.
    Versions(VersionStatement),
}

/// The dialect of every door.
#[must_use]
pub fn dialect() -> &'static dyn Dialect {
    &TrilithDialect
}

/// The statements of `sql`, at least one.
///
/// # Errors
/// `Limit` for text that is too long, deep or chained; `Invalid` for text that is not SQL.
pub fn statements(sql: &str) -> Result<Vec<Statement>> {
    let tokens = with_conditions(merge_operators(&limits::tokenize(sql, dialect())?));
    let statements = tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(|token| !is_blank(&token.token)))
        .map(statement)
        .collect::<Result<Vec<_>>>()?;
    if statements.is_empty() {
        return Err(Error::invalid("SQL text", "it holds no statement"));
    }
    Ok(statements)
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn statement(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let words: Vec<&Token> =
        tokens.iter().map(|token| &token.token).filter(|token| !is_blank(token)).collect();
    match words.as_slice() {
        [Token::Word(word)] if word.value.eq_ignore_ascii_case("checkpoint") => {
            return Ok(Statement::Checkpoint);
        }
        [Token::Word(word)] if word.keyword == Keyword::VACUUM => return Ok(Statement::Vacuum),
        [Token::Word(word), ..] if word.keyword == Keyword::COPY => {
            return Ok(Statement::Copy(Box::new(parse_copy(tokens.to_vec(), dialect())?)));
        }
        _ => {}
    }
    if let Some(statement) = parse_versions(&words, tokens, dialect())? {
        return Ok(Statement::Versions(statement));
    }
    let mut parser = DFParserBuilder::new(tokens.to_vec())
        .with_dialect(dialect())
        .with_recursion_limit(RECURSION_MAX)
        .build()?;
    let mut parsed = parser.parse_statements()?;
    match (parsed.pop_front(), parsed.is_empty()) {
        (Some(statement), true) => Ok(Statement::Sql(Box::new(with_columns(statement)))),
        _ => Err(Error::invalid("SQL text", "it holds no statement")),
    }
}

/// `FROM t` without `SELECT` means every column.
fn with_columns(mut statement: SqlStatement) -> SqlStatement {
    if let SqlStatement::Statement(ast) = &mut statement
        && let Ast::Query(query) = ast.as_mut()
        && let SetExpr::Select(select) = query.body.as_mut()
        && select.flavor == SelectFlavor::FromFirstNoSelect
    {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    statement
}

/// A query written by ourselves from parts that were parsed before.
///
/// # Errors
/// When the parts do not print as SQL.
pub fn rebuilt(sql: &str) -> Result<SqlStatement> {
    let mut parser = DFParserBuilder::new(tokenize(sql)?)
        .with_dialect(dialect())
        .with_recursion_limit(RECURSION_MAX)
        .build()?;
    parser.parse_statements()?.pop_front().ok_or_else(|| Error::invalid("SQL text", "it holds no statement"))
}

/// A name as it can be written into SQL text, whatever it holds.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A condition as a program gives it: one expression, and nothing after it.
///
/// # Errors
/// `Limit` for text that is too long, deep or chained; `Invalid` for text that is no expression.
pub fn condition(sql: &str) -> Result<ExprWithAlias> {
    let tokens = merge_operators(&limits::tokenize(sql, dialect())?);
    let mut parser =
        DFParserBuilder::new(tokens).with_dialect(dialect()).with_recursion_limit(RECURSION_MAX).build()?;
    Ok(parser.parse_into_expr()?)
}

/// A single expression of a definition that was parsed before.
///
/// # Errors
/// When `sql` is not an expression.
pub fn expression(sql: &str) -> Result<ExprWithAlias> {
    let mut parser = DFParserBuilder::new(tokenize(sql)?).with_dialect(dialect()).build()?;
    Ok(parser.parse_into_expr()?)
}
