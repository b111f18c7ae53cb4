//! Operations on the engine and on its model.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: trilith_fuzz::Case| trilith_fuzz::run(&case));
