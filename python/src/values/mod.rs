//! Single values between Python and Arrow, without pyarrow.
//!
//! Outwards: [`objects`] turns a column into Python objects, [`rows`] a result into tuples. Inwards:
//! [`infer`] finds the Arrow type of Python objects, [`build`] makes an array of a given type from them.
//! Work goes by column, so that the type is looked at once per column and not once per value.

pub(crate) mod build;
pub(crate) mod build_nested;
mod build_sparse;
pub(crate) mod build_temporal;
pub(crate) mod infer;
pub(crate) mod read;
pub(crate) mod read_nested;
pub(crate) mod read_temporal;
pub(crate) mod variant;
pub(crate) mod variant_build;

pub(crate) use build::build;
pub(crate) use infer::infer;
pub(crate) use read::{dict, objects, rows};
pub(crate) use variant::document_object;
pub(crate) use variant_build::{documents, to_value};
