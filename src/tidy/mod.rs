//! Style as unit tests: laws about this repository that the compiler and clippy cannot know.
//!
//! Each law is a pure function from text to a list of violations, so that each can be shown to
//! catch a planted one. `cargo test -p trilith --lib tidy` runs them all over the working tree.

mod layers;
mod lock;
mod shape;
mod source;
mod words;

use std::path::PathBuf;

use source::SourceFile;

/// The sources of the repository, and its root: of the clone that runs, which need not be the one that compiled.
fn repository() -> (PathBuf, Vec<SourceFile>) {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    let root = PathBuf::from(root);
    let sources = source::collect(&root);
    (root, sources)
}

/// Fails with every violation, one per line.
#[track_caller]
fn assert_none(law: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{law}:\n  {}", violations.join("\n  "));
}

#[test]
fn layers_import_downward_only() {
    let (_, files) = repository();
    assert_none("law of layers (src/ARCHITECTURE.md)", &layers::violations(&files));
}

#[test]
fn every_file_is_small_and_says_what_it_is() {
    let (_, files) = repository();
    assert!(files.len() > 50, "only {} files were found: the walk is broken", files.len());
    assert_none("size and header", &shape::violations(&files));
}

#[test]
fn no_banned_word_or_file_name() {
    let (_, files) = repository();
    assert_none("words", &words::violations(&files));
}

#[test]
fn shared_crates_have_one_version() {
    let (root, _) = repository();
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    assert!(lock.contains("name = \"arrow\""), "Cargo.lock is missing or empty");
    assert_none("one version (Cargo.lock)", &lock::violations(&lock));
}

#[test]
fn a_planted_violation_on_disk_is_caught() -> std::io::Result<()> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("src/engine/wal");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("helpers.rs"), "use crate::sstable::Reader;\n")?;
    let files = source::collect(root.path());
    assert_eq!(layers::violations(&files).len(), 1);
    assert_eq!(shape::violations(&files).len(), 1);
    assert_eq!(words::violations(&files).len(), 1);
    Ok(())
}
