//! `sstable` of the format's parsers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| trilith_fuzz::parse("sstable", data));
