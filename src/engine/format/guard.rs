//! Arrow's readers of IPC, where they meet bytes under a checksum that agrees and that yet nobody may have written.
//!
//! Some such bytes they answer with a panic (arrow-ipc 59: a type that it does not know, a buffer beyond its message).
//! Reading is a function from bytes to values and leaves nothing half done, so the panic becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `read` returns, or what it said when it panicked.
///
/// # Errors
/// That text.
pub fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "Arrow cannot read it".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_the_same() {
        assert_eq!(guarded(|| 7), Ok(7));
        let bytes: &[u8] = &[];
        assert!(guarded(|| bytes[3]).is_err_and(|text| text.contains("out of bounds")));
    }
}
