//! From `JOIN t EXACT NEAREST 3 BY DISTANCE expr` to `JOIN t ON nearest_join('EXACT', 3, 'DISTANCE', expr)`, on tokens: the
//! parser knows no such join, and knows where an expression ends only once it has read it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::marker::NEAREST_MARKER;

/// Words that end the expression of a join.
const ENDS: [Keyword; 27] = [
    Keyword::JOIN,
    Keyword::INNER,
    Keyword::LEFT,
    Keyword::RIGHT,
    Keyword::FULL,
    Keyword::CROSS,
    Keyword::NATURAL,
    Keyword::SEMI,
    Keyword::ANTI,
    Keyword::ON,
    Keyword::USING,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ORDER,
    Keyword::SORT,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::FETCH,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::WINDOW,
    Keyword::QUALIFY,
    Keyword::RETURNING,
    Keyword::FOR,
    Keyword::SETTINGS,
];

/// The tokens with every nearest join as a join with a condition.
pub(crate) fn with_conditions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(&token.token, "NEAREST")) {
        return tokens;
    }
    let mut rewritten = Vec::with_capacity(tokens.len() + 8);
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        match Clause::read(rest) {
            Some((clause, after)) => {
                let end = end_of_expression(after);
                // What the expression holds may be such a join itself, in a subquery.
                clause.write(&mut rewritten, with_conditions(after[..end].to_vec()));
                rest = &after[end..];
            }
            None => {
                rewritten.push(first.clone());
                rest = after;
            }
        }
    }
    rewritten
}

/// `EXACT NEAREST 3 BY DISTANCE`.
struct Clause<'a> {
    mode: &'a TokenWithSpan,
    k: &'a TokenWithSpan,
    order: &'a TokenWithSpan,
}

impl<'a> Clause<'a> {
    /// The clause that `tokens` begin with, and what follows it.
    fn read(tokens: &'a [TokenWithSpan]) -> Option<(Self, &'a [TokenWithSpan])> {
        let (mode, rest) = next(tokens)?;
        let (nearest, rest) = next(rest)?;
        let (k, rest) = next(rest)?;
        let (by, rest) = next(rest)?;
        let (order, rest) = next(rest)?;
        let is_clause = (is_word(&mode.token, "APPROX") || is_word(&mode.token, "EXACT"))
            && is_word(&nearest.token, "NEAREST")
            && matches!(k.token, Token::Number(..) | Token::Placeholder(_))
            && is_word(&by.token, "BY")
            && (is_word(&order.token, "DISTANCE") || is_word(&order.token, "SIMILARITY"));
        is_clause.then_some((Self { mode, k, order }, rest))
    }

    fn write(&self, into: &mut Vec<TokenWithSpan>, expression: Vec<TokenWithSpan>) {
        let span = self.mode.span;
        let mut push = |token| into.push(TokenWithSpan::new(token, span));
        for token in [word("ON", Keyword::ON), word(NEAREST_MARKER, Keyword::NoKeyword), Token::LParen] {
            push(blank());
            push(token);
        }
        for token in [text(&self.mode.token), self.k.token.clone(), text(&self.order.token)] {
            push(token);
            push(Token::Comma);
        }
        into.extend(expression);
        into.push(TokenWithSpan::new(Token::RParen, Span::empty()));
        into.push(TokenWithSpan::new(blank(), Span::empty()));
    }
}

/// The first token that is no blank, and what follows it.
fn next(tokens: &[TokenWithSpan]) -> Option<(&TokenWithSpan, &[TokenWithSpan])> {
    let at = tokens.iter().position(|token| !matches!(token.token, Token::Whitespace(_)))?;
    Some((&tokens[at], &tokens[at + 1..]))
}

/// The number of tokens of the expression that `tokens` begin with.
fn end_of_expression(tokens: &[TokenWithSpan]) -> usize {
    let mut depth = 0_usize;
    let ends = |token: &TokenWithSpan| {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => return true,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            Token::Comma | Token::SemiColon | Token::EOF => return depth == 0,
            Token::Word(word) => return depth == 0 && ENDS.contains(&word.keyword),
            _ => {}
        }
        false
    };
    tokens.iter().position(ends).unwrap_or(tokens.len())
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn word(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
}

fn text(token: &Token) -> Token {
    Token::SingleQuotedString(token.to_string().to_ascii_uppercase())
}

fn blank() -> Token {
    Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space)
}
