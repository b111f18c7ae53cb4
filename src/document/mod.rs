//! Documents: values, paths into them, and the languages of filters, updates and projections.
//!
//! The semantics are MongoDB's manual's; what differs is said where it does. `value` is a document as
//! a tree, `order` compares, `path` finds values, `filter` and its `test`s select, `update` changes,
//! `projection` cuts, `sort` orders, `id` names. `functions` makes DataFusion expressions of them.
//! Pure: no table, no engine; `crate::collection` puts them to work.

mod filter;
mod functions;
mod id;
mod number;
mod order;
mod path;
mod projection;
mod sort;
mod test;
mod update;
mod value;

#[cfg(test)]
mod tests;

pub use filter::Filter;
pub(crate) use id::{ID, key_of, with_id};
pub use projection::Projection;
pub use sort::{Direction, Sort};
pub use update::Update;
pub(crate) use update::replacement;
pub use value::{IntoValue, Value};
