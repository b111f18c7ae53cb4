//! The SQL dialect: DataFusion's generic one plus the operators of vectors and documents.
//!
//! The generic dialect splits `<->`, `<#>`, `<+>`, `<~>`, `<%>` into two or three tokens and binds
//! `->` and `->>` weaker than `=`. Here the former are one operator each, if written without a
//! space inside, and bind like other operators in PostgreSQL: weaker than `+`, stronger than a
//! comparison. `->` and `->>` bind stronger than arithmetic. Everything else is the generic
//! dialect, whose identity this one takes, so that the parser's own checks for it still hold.

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::logical_expr::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::logical_expr::sqlparser::parser::{Parser, ParserError};
use datafusion::logical_expr::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement};
use std::any::TypeId;
use std::collections::VecDeque;

/// How strongly a distance operator binds: between comparison (20) and addition (30).
const DISTANCE: u8 = 25;
/// How strongly a step into a document binds: between multiplication (40) and a cast (50).
const STEP: u8 = 45;

/// The dialect of Trilith's SQL.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TrilithDialect;

/// Parses statements separated by semicolons.
///
/// # Errors
/// If the text is not SQL of this dialect, or is nested too deeply.
pub fn parse_statements(sql: &str) -> Result<VecDeque<Statement>> {
    parser(sql)?.parse_statements()
}

/// Parses exactly one statement.
///
/// # Errors
/// As [`parse_statements`], and if there is none or more than one.
pub fn parse(sql: &str) -> Result<Statement> {
    let mut statements = parse_statements(sql)?;
    if statements.len() > 1 {
        return plan_err!("expected one SQL statement, got {}", statements.len());
    }
    statements.pop_front().ok_or_else(|| plan_datafusion_err!("the SQL text holds no statement"))
}

/// A parser at the start of `sql`, for those who read a statement of their own first.
///
/// # Errors
/// If a token is malformed, such as a text without its closing quote.
pub fn parser(sql: &str) -> Result<DFParser<'static>> {
    DFParserBuilder::new(tokenize(sql)?).with_dialect(&TrilithDialect).build()
}

/// The tokens of `sql`, the distance operators as one token each.
///
/// # Errors
/// If a token is malformed, such as a text without its closing quote.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let tokens = Tokenizer::new(&TrilithDialect, sql).tokenize_with_location().map_err(ParserError::from)?;
    Ok(merge_operators(&tokens))
}

/// The same tokens with the distance operators as one token each.
pub fn merge_operators(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut rest = tokens;
    let mut merged = Vec::with_capacity(tokens.len());
    while let [first, after @ ..] = rest {
        let (operator, length) = distance_operator(rest).unzip();
        let token = operator.map_or_else(
            || first.clone(),
            |operator| TokenWithSpan::new(Token::CustomBinaryOperator(operator.to_string()), first.span),
        );
        merged.push(token);
        rest = length.map_or(after, |length| &rest[length..]);
    }
    merged
}

/// The distance operator that `tokens` start with, and how many they are.
fn distance_operator(tokens: &[TokenWithSpan]) -> Option<(&'static str, usize)> {
    let token = |index: usize| tokens.get(index).map(|token| &token.token);
    match (token(0)?, token(1)?, token(2)) {
        (Token::Lt, Token::Arrow, _) => Some(("<->", 2)),
        (Token::Lt, Token::HashArrow, _) => Some(("<#>", 2)),
        (Token::Lt, Token::Plus, Some(Token::Gt)) => Some(("<+>", 3)),
        (Token::Lt, Token::Tilde, Some(Token::Gt)) => Some(("<~>", 3)),
        (Token::Lt, Token::Mod, Some(Token::Gt)) => Some(("<%>", 3)),
        _ => None,
    }
}

macro_rules! as_in_generic {
    ($($method:ident),* $(,)?) => {
        $(fn $method(&self) -> bool {
            GenericDialect.$method()
        })*
    };
}

impl Dialect for TrilithDialect {
    fn dialect(&self) -> TypeId {
        GenericDialect.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::CustomBinaryOperator(_) | Token::Spaceship | Token::AtArrow | Token::ArrowAt => {
                Some(Ok(DISTANCE))
            }
            Token::Arrow | Token::LongArrow => Some(Ok(STEP)),
            _ => None,
        }
    }

    /// `t AT (VERSION => 12)`.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    as_in_generic!(
        supports_unicode_string_literal,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions,
    );
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use datafusion::logical_expr::sqlparser::ast::Expr;

    fn shown(expression: &str) -> String {
        let tokens = tokenize(expression).unwrap();
        let mut parser = Parser::new(&TrilithDialect).with_tokens_with_locations(tokens);
        parenthesized(&parser.parse_expr().unwrap())
    }

    fn parenthesized(expression: &Expr) -> String {
        match expression {
            Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", parenthesized(left), parenthesized(right))
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn operators_bind_as_documented() {
        for (sql, want) in [
            ("v <-> q < 0.5", "((v <-> q) < 0.5)"),
            ("0.5 > v <=> q", "(0.5 > (v <=> q))"),
            ("a <#> b + c", "(a <#> (b + c))"),
            ("a<+>b", "(a <+> b)"),
            ("a <~> b AND c", "((a <~> b) AND c)"),
            ("a <%> b <-> c", "((a <%> b) <-> c)"),
            ("d->'a'->>'b' = 'x'", "(((d -> 'a') ->> 'b') = 'x')"),
            ("d->'a' + 1 * 2", "((d -> 'a') + (1 * 2))"),
            ("d @> x = true", "((d @> x) = true)"),
            ("a < - b", "(a < -b)"),
            ("a < -1", "(a < -1)"),
            ("a % b > c", "((a % b) > c)"),
        ] {
            assert_eq!(shown(sql), want, "{sql}");
        }
    }

    #[test]
    fn an_operator_is_written_without_spaces() {
        for sql in ["a < -> b", "a < # > b", "a <+ > b", "a < %> b"] {
            assert!(parse(&format!("SELECT {sql}")).is_err(), "{sql}");
        }
    }

    #[test]
    fn one_statement_is_one() {
        assert!(parse("SELECT 1;").is_ok());
        assert!(parse("").unwrap_err().to_string().contains("no statement"));
        assert!(parse("SELECT 1; SELECT 2").unwrap_err().to_string().contains("got 2"));
        assert_eq!(parse_statements("SELECT 1; SELECT 2").unwrap().len(), 2);
        assert!(parse(&format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))).is_err());
        assert!(parse(&format!("SELECT {}1", "v <-> ".repeat(5000))).is_ok());
    }
}
