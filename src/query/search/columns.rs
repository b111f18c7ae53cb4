//! Which column a call searches: the one that it names, or the table's only one of the right kind.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::catalog::TableProvider;
use datafusion::common::{Constraint, plan_err};
use datafusion::error::Result;
use trilith_engine::Error as EngineError;
use trilith_udfs::sparse::is_sparse;
use trilith_udfs::vector::{is_multivector, is_vector};

use super::call::Call;
use super::text::is_text;
use crate::error::external;
use crate::query::types::{self, sql_name};

/// A kind of column to search.
pub(super) struct Kind {
    /// What such a column holds.
    holds: &'static str,
    /// Whether a column that is named can be searched.
    fits: fn(&Field) -> bool,
    /// Whether a column counts when none is named.
    counts: fn(&Field) -> bool,
    /// The same of the key's columns.
    keys_count: bool,
    /// What to name.
    instead: &'static str,
    /// What a table without any lacks.
    wanted: &'static str,
}

/// Columns of dense vectors.
pub(super) static VECTORS: Kind = Kind {
    holds: "vectors",
    fits: |field| is_vector(field.data_type()),
    counts: |field| {
        let floats = |item: &Field| item.data_type().is_floating();
        matches!(field.data_type(), DataType::FixedSizeList(item, _) if floats(item))
            || types::is_vector(field)
    },
    keys_count: true,
    instead: "name a VECTOR(n) column",
    wanted: "a VECTOR(n) column to search in table",
};

/// Columns of lists of vectors.
pub(super) static MULTIVECTORS: Kind = Kind {
    holds: "lists of vectors",
    fits: |field| is_multivector(field.data_type()),
    counts: |field| is_multivector(field.data_type()),
    keys_count: true,
    instead: "name a VECTOR(n)[] column",
    wanted: "a VECTOR(n)[] column to search in table",
};

/// Columns of sparse vectors.
pub(super) static SPARSE: Kind = Kind {
    holds: "sparse vectors",
    fits: |field| is_sparse(field.data_type()),
    counts: |field| is_sparse(field.data_type()),
    keys_count: true,
    instead: "name a SPARSEVEC column",
    wanted: "a SPARSEVEC column to search in table",
};

/// Columns of text. A key is looked up, not searched.
pub(super) static TEXTS: Kind = Kind {
    holds: "text",
    fits: |field| is_text(field.data_type()),
    counts: |field| is_text(field.data_type()),
    keys_count: false,
    instead: "name a text column, or a path in a document such as 'doc.title'",
    wanted: "a text column to search (or give a path in documents, such as 'doc.title') in table",
};

impl Kind {
    /// The column that `argument` of a call names, or the only one of this kind that the table has. What is named may be
    /// of another kind.
    ///
    /// # Errors
    /// When none is named and the table has none, or several.
    pub(super) fn named_or_only(
        &self,
        call: &Call,
        argument: &str,
        (table, provider): (&str, &dyn TableProvider),
    ) -> Result<String> {
        if !call.value(argument)?.is_null() {
            return call.text(argument);
        }
        let (schema, keys) = (provider.schema(), keys(provider));
        let fields = schema.fields().iter().enumerate();
        let candidates =
            fields.filter(|(at, field)| (self.counts)(field) && (self.keys_count || !keys.contains(at)));
        let names: Vec<&str> = candidates.map(|(_, field)| field.name().as_str()).collect();
        match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => Err(external(EngineError::NotFound { entity: self.wanted, name: table.to_owned() })),
            several => plan_err!(
                "{}: table {table} has several columns of {}: {}; name the one to search",
                call.signature.name,
                self.holds,
                several.join(", ")
            ),
        }
    }

    /// Refuses a column of another kind.
    ///
    /// # Errors
    /// When it is of another kind, or the table has none of that name.
    pub(super) fn check(
        &self,
        call: &Call,
        (table, provider): (&str, &dyn TableProvider),
        column: &str,
    ) -> Result<()> {
        let schema = provider.schema();
        let (_, field) = schema.column_with_name(column).ok_or_else(|| {
            external(EngineError::NotFound { entity: "column", name: format!("{table}.{column}") })
        })?;
        if (self.fits)(field) {
            return Ok(());
        }
        let (function, found) = (call.signature.name, sql_name(field));
        plan_err!("{function}: column {column:?} holds {found}, not {}; {}", self.holds, self.instead)
    }
}

/// Places of the columns of the key.
pub(super) fn keys(table: &dyn TableProvider) -> Vec<usize> {
    let constraints = table.constraints().into_iter().flat_map(|all| all.iter());
    let keys = constraints.filter_map(|constraint| match constraint {
        Constraint::PrimaryKey(columns) => Some(columns.clone()),
        Constraint::Unique(_) => None,
    });
    keys.flatten().collect()
}
