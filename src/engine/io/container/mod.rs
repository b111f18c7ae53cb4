//! A whole database in one file that is only read: its files as members, one after another, and a directory at the end.
//!
//! Members lie where they can be mapped, and prove themselves as they do in a folder: the container adds a hash of each
//! and one of all bytes, for a check, and reads nothing but its directory when it is opened. Not a place to write to: a
//! container is built once, by [`ContainerWriter`], and never changes.

mod build;
mod directory;
mod draft;
mod storage;

#[cfg(test)]
mod tests;

pub use build::{ContainerWriter, Reopen};
pub use directory::{CONTAINER_MAGIC, Member};
pub use draft::FileDraft;
pub use storage::ContainerStorage;
