//! Statements about past versions: `CREATE TAG name`, `DROP TAG [IF EXISTS] name`, `ALTER DATABASE SET (name = value)`.

use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::SqlOption;
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use trilith_engine::ErrorKind;

use super::context::Context;
use super::table_options;
use super::target::folded;
use crate::error::{Error, Result};

/// One of the statements.
#[derive(Clone, Debug)]
pub(crate) enum VersionStatement {
    /// `CREATE TAG`.
    CreateTag(String),
    /// `DROP TAG`.
    DropTag { name: String, if_exists: bool },
    /// `ALTER DATABASE SET`.
    AlterDatabase(Vec<SqlOption>),
}

impl VersionStatement {
    /// What it is called in a message.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::CreateTag(_) => "CREATE TAG",
            Self::DropTag { .. } => "DROP TAG",
            Self::AlterDatabase(_) => "ALTER DATABASE",
        }
    }
}

/// The statement that `words` begin with, whose tokens are `tokens`; `None` for any other one.
///
/// # Errors
/// `Invalid` for one that is not complete.
pub(crate) fn parse_versions(
    words: &[&Token],
    tokens: &[TokenWithSpan],
    dialect: &dyn Dialect,
) -> Result<Option<VersionStatement>> {
    let is = |at: usize, word: &str| matches!(words.get(at), Some(Token::Word(found)) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word));
    let known = (is(0, "create") && is(1, "tag"))
        || (is(0, "drop") && is(1, "tag"))
        || (is(0, "alter") && is(1, "database") && is(2, "set"));
    if !known {
        return Ok(None);
    }
    let mut parser = Parser::new(dialect).with_tokens_with_locations(tokens.to_vec());
    let (first, _) = (parser.next_token(), parser.next_token());
    let statement = match first.token {
        Token::Word(word) if word.keyword == Keyword::CREATE => {
            VersionStatement::CreateTag(name(&mut parser)?)
        }
        Token::Word(word) if word.keyword == Keyword::DROP => {
            let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            VersionStatement::DropTag { name: name(&mut parser)?, if_exists }
        }
        _ => VersionStatement::AlterDatabase(
            parser.parse_options(Keyword::SET).map_err(DataFusionError::from)?,
        ),
    };
    match parser.peek_token().token {
        Token::EOF => Ok(Some(statement)),
        other => Err(Error::invalid(statement.verb(), format!("{other} behind it is not understood"))),
    }
}

/// A name, or a text.
fn name(parser: &mut Parser<'_>) -> Result<String> {
    match parser.peek_token().token {
        Token::SingleQuotedString(text) => {
            parser.next_token();
            Ok(text)
        }
        _ => Ok(folded(&parser.parse_identifier().map_err(DataFusionError::from)?)),
    }
}

/// Runs the statement.
pub(super) fn run(context: &Context<'_>, statement: &VersionStatement) -> Result<DataFrame> {
    context.call.connection.refuse_within(statement.verb())?;
    let engine = context.engine();
    match statement {
        VersionStatement::CreateTag(name) => {
            engine.create_tag(name)?;
        }
        VersionStatement::DropTag { name, if_exists } => match engine.drop_tag(name) {
            Err(error) if *if_exists && error.kind() == ErrorKind::NotFound => {}
            dropped => dropped?,
        },
        VersionStatement::AlterDatabase(options) => engine.set_options(&table_options::texts(options)?)?,
    }
    context.done()
}
