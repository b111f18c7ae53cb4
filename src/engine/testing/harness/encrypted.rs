//! The switch `--encrypted`: every database of a harness is an encrypted one.
//!
//! The program starts itself again with a variable set, which what it starts in turn inherits.

use std::process::Command;
use std::sync::Arc;

use trilith_engine::testing::SimStorage;
use trilith_engine::{EncryptionKey, Storage, io};

/// The switch.
pub const SWITCH: &str = "--encrypted";
const VARIABLE: &str = "TRILITH_RELIABILITY_ENCRYPTED";

/// Runs the program again if the switch is among `args`.
pub fn start_again(args: &[String]) {
    if is_on() || !args.iter().any(|arg| arg == SWITCH) {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).args(args).env(VARIABLE, "1").status().unwrap();
    std::process::exit(status.code().unwrap_or(1));
}

/// True when databases are encrypted.
pub fn is_on() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The key of all of them, or none.
pub fn key() -> Option<EncryptionKey> {
    is_on().then(the_key)
}

/// The key that any encrypted database of a harness has.
pub fn the_key() -> EncryptionKey {
    EncryptionKey::from_bytes(&[0x5a; 32]).unwrap()
}

/// A disk as the engine sees it.
pub fn view(disk: SimStorage) -> trilith_engine::Result<Arc<dyn Storage>> {
    io::unlock(Arc::new(disk), key().as_ref())
}
