//! The key of an encrypted database: from a file, or from the environment, and never from the command line, which others
//! can see.

use std::path::{Path, PathBuf};

use clap::Args;
use trilith_engine::EncryptionKey;

use super::session::io_error;
use crate::error::{Error, Result};

/// The variable that holds a key where no file is named.
const VARIABLE: &str = "TRILITH_KEY";
/// Longest file that is read for a key.
const FILE_MAX: u64 = 4 << 10;

/// Where the key is.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(super) struct KeyArgument {
    /// File with the key of an encrypted database: 32 bytes, or 64 hexadecimal digits. Without it the variable
    /// TRILITH_KEY counts, if it is set
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArgument {
    /// The key; `None` when there is neither a file nor the variable.
    pub(super) fn read(&self) -> Result<Option<EncryptionKey>> {
        if let Some(path) = &self.key_file {
            return read_file(path).map(Some);
        }
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Ok(Some(EncryptionKey::from_text(&text)?)),
            Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
            Err(_) => Err(Error::invalid(VARIABLE, "it is no text; set it to 64 hexadecimal digits")),
        }
    }
}

/// The key in a file.
pub(super) fn read_file(path: &Path) -> Result<EncryptionKey> {
    let failed = |error| io_error("read", &path.display().to_string(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_MAX {
        return Err(Error::invalid(format!("{:?}", path.display().to_string()), "it is too long for a key"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|_| bytes.len() != trilith_engine::common::KEY_BYTES);
    Ok(match text {
        Some(text) => EncryptionKey::from_text(text)?,
        None => EncryptionKey::from_bytes(&bytes)?,
    })
}
