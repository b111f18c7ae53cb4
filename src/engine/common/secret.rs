//! The caller's key to an encrypted database: 32 bytes that are never shown, and wiped when the last copy goes.
//!
//! Not a passphrase: what a person can remember, a machine can guess.

use std::fmt;
use std::sync::Arc;

use super::{Error, Result};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// 32 bytes that no message, log or dump shows.
#[derive(Clone)]
pub(crate) struct Secret([u8; KEY_BYTES]);

impl Secret {
    pub(crate) fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl PartialEq for Secret {
    /// Takes as long whatever differs.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Somebody may look: the compiler must not leave the zeros out.
        std::hint::black_box(&self.0);
    }
}

/// The key that opens an encrypted database. Clones share it.
#[derive(Clone, PartialEq, Debug)]
pub struct EncryptionKey(Arc<Secret>);

impl EncryptionKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    /// `Invalid` for any other number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes: [u8; KEY_BYTES] =
            bytes.try_into().map_err(|_| refused(&format!("{} bytes were given", bytes.len())))?;
        Ok(Self(Arc::new(Secret::new(bytes))))
    }

    /// A key of 64 hexadecimal digits; space around them does not count.
    ///
    /// # Errors
    /// `Invalid` for any other text.
    pub fn from_text(text: &str) -> Result<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 2 * KEY_BYTES {
            return Err(refused(&format!("a text of {} characters was given", digits.len())));
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
                return Err(refused("the text has characters that are no hexadecimal digits"));
            };
            *byte = (high << 4 | low) as u8;
        }
        Self::from_bytes(&bytes)
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

fn refused(what: &str) -> Error {
    Error::invalid(
        "the encryption key",
        format!(
            "{what}; a key is 32 random bytes, or 64 hexadecimal digits, and not a passphrase: make one with \
             secrets.token_bytes(32) in Python, or with `openssl rand -hex 32`, and keep it where it cannot be lost"
        ),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_digits_make_the_same_key() {
        let bytes: Vec<u8> = (200..232).collect();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let key = EncryptionKey::from_bytes(&bytes).unwrap();
        assert_eq!(EncryptionKey::from_text(&format!(" {digits}\n")).unwrap(), key);
        assert_eq!(EncryptionKey::from_text(&digits.to_lowercase()).unwrap(), key);
        assert_ne!(EncryptionKey::from_bytes(&[0; 32]).unwrap(), key);
    }

    #[test]
    fn what_is_no_key_is_refused_with_advice_and_not_repeated() {
        let texts = ["", "hunter2", &"x".repeat(64), &"a".repeat(63), &"é".repeat(32)];
        for error in texts.map(|text| EncryptionKey::from_text(text).unwrap_err()) {
            let message = error.to_string();
            assert!(message.contains("secrets.token_bytes(32)"), "{message}");
            assert!(!message.contains("hunter2") && !message.contains("xxxx"), "{message}");
        }
        for len in [0, 16, 31, 33, 64] {
            assert!(EncryptionKey::from_bytes(&vec![7; len]).is_err());
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = EncryptionKey::from_bytes(&[0xab; 32]).unwrap();
        assert_eq!(format!("{key:?} {key:#?}").matches("not shown").count(), 2);
        assert!(!format!("{key:?}").contains("171") && !format!("{key:?}").contains("ab"));
    }
}
