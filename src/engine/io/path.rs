//! Rules for paths within a database.
//!
//! Paths are made by the engine alone, so a bad one is a bug in it; the check stands all the same,
//! so that no bug can ever make a storage touch a file outside its folder.

use crate::common::{Error, Result};

/// Confirms that `path` is `name` or `folder/name`, of plain characters only.
///
/// # Errors
/// `Internal` for anything else.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let mut parts = path.split('/');
    let plain = parts.by_ref().take(2).all(is_plain_name) && parts.next().is_none();
    if plain { Ok(()) } else { Err(Error::Internal(format!("{path:?} is not a path within a database"))) }
}

/// Confirms that `dir` is `""` (the database's own folder) or one plain name.
///
/// # Errors
/// `Internal` for anything else.
pub(crate) fn check_dir(dir: &str) -> Result<()> {
    if dir.is_empty() || is_plain_name(dir) {
        Ok(())
    } else {
        Err(Error::Internal(format!("{dir:?} is not a folder within a database")))
    }
}

/// The folder and the name of a path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass() {
        for path in ["CURRENT", "wal/7.wal", "sst/7.arrow", "wal/7.wal.new"] {
            check_path(path).unwrap();
        }
        check_dir("").unwrap();
        check_dir("wal").unwrap();
    }

    #[test]
    fn nothing_escapes_the_folder() {
        let bad = [
            "", "/", "/etc", "a/", "..", "../x", "a/..", "a/../b", "a/b/c", "a//b", "a\\b", "a\0b", "é", ".",
        ];
        for path in bad {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        for dir in ["/", "..", "a/b", "."] {
            assert!(check_dir(dir).is_err(), "{dir:?}");
        }
    }

    #[test]
    fn split_finds_the_folder() {
        assert_eq!(split("CURRENT"), ("", "CURRENT"));
        assert_eq!(split("wal/7.wal"), ("wal", "7.wal"));
    }
}
