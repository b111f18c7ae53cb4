//! What the fuzz targets share: the parsers and the model of the reliability harnesses, given bytes that libFuzzer makes up.
//!
//! `cargo +nightly fuzz run --fuzz-dir src/engine/fuzz packed`, from the root of the repository and with `cargo-fuzz`; to
//! start from real bytes, first `cargo test -p trilith-engine --test reliability -- --fuzz-starts src/engine/fuzz/corpus`.
//! A finding is a panic, a wrong answer, or an allocation above a bound. No sources are copied: these are the harness's own.

#![allow(dead_code, reason = "the harnesses use more of their modules")]

#[path = "../testing/harness/alphabet.rs"]
mod alphabet;
#[path = "../testing/harness/arrow_rows.rs"]
mod arrow_rows;
#[path = "../testing/harness/chance.rs"]
mod chance;
#[path = "../testing/harness/encrypted.rs"]
mod encrypted;
#[path = "../testing/harness/history.rs"]
mod history;
#[path = "../testing/harness/model.rs"]
mod model;
#[path = "../testing/harness/op.rs"]
mod op;
mod ops;
#[path = "../testing/harness/parsers.rs"]
mod parsers;
#[path = "../testing/harness/report.rs"]
mod report;
#[path = "../testing/harness/sealed.rs"]
mod sealed;
#[path = "../testing/harness/seals.rs"]
mod seals;
#[path = "../testing/harness/specimen.rs"]
mod specimen;
#[path = "../testing/harness/weight.rs"]
mod weight;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Once};

pub use ops::Case;

static SEEDS: LazyLock<parsers::Seeds> = LazyLock::new(parsers::Seeds::new);

/// Gives an input to the parser of that name: the first byte says which file or schema it is for.
pub fn parse(name: &str, input: &[u8]) {
    let Some(parser) = parsers::PARSERS.iter().find(|parser| parser.name == name) else {
        panic!("no parser is called {name}")
    };
    let Some((which, bytes)) = input.split_first() else { return };
    LazyLock::force(&SEEDS);
    guarded(|| {
        weight::forget();
        (parser.read)(&SEEDS, *which, bytes.to_vec());
        let asked = weight::greatest();
        assert!(asked <= parsers::MEMORY_MAX, "{asked} bytes at once");
    });
}

/// Lets the engine do what a case says, and compares it with the model.
pub fn run(case: &Case) {
    guarded(|| ops::run(case));
}

/// Ends the process when `target` panics. The engine catches panics of Arrow's readers itself, which libFuzzer would not let it.
fn guarded(target: impl FnOnce()) {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    if let Err(panic) = catch_unwind(AssertUnwindSafe(target)) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        eprintln!("panicked: {}", text.unwrap_or_default());
        std::process::abort();
    }
}
