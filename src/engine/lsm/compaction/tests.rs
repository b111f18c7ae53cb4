//! Each strategy alone against a model of a table: sets of keys in files, merged in no time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Choice, FileShape, Sizes, choose};
use crate::common::SeqNo;
use crate::format::table::CompactionStyle;

const ROW_BYTES: u64 = 100;
const FLUSH_ROWS: usize = 64;
const SIZES: Sizes = Sizes { file: 200 * ROW_BYTES, job: 16 * 200 * ROW_BYTES };
const STYLES: [CompactionStyle; 3] =
    [CompactionStyle::Leveled, CompactionStyle::Tiered, CompactionStyle::Fifo];

/// A file: its keys in order, and whether each is live.
struct File {
    rows: BTreeMap<[u8; 4], bool>,
    level: u8,
    seq: u64,
}

impl File {
    fn shape(&self) -> FileShape<'_> {
        let rows = self.rows.len() as u64;
        FileShape {
            blob_bytes: 0,
            bytes: rows * ROW_BYTES,
            rows,
            dead: self.rows.values().filter(|live| !**live).count() as u64,
            settled: true,
            level: self.level,
            min_key: self.rows.keys().next().unwrap(),
            max_key: self.rows.keys().next_back().unwrap(),
            max_seq: SeqNo(self.seq),
        }
    }
}

/// A table that is flushed to and compacted until its strategy is content.
struct Table {
    style: CompactionStyle,
    files: Vec<File>,
    flushed: u64,
    written: u64,
    seq: u64,
}

impl Table {
    fn new(style: CompactionStyle) -> Self {
        Self { style, files: Vec::new(), flushed: 0, written: 0, seq: 0 }
    }

    fn flush(&mut self, keys: impl Iterator<Item = u32>) {
        let rows: BTreeMap<[u8; 4], bool> = keys.map(|key| (key.to_be_bytes(), true)).collect();
        self.delete(rows.keys().copied().collect::<Vec<_>>());
        self.seq += 1;
        self.flushed += rows.len() as u64 * ROW_BYTES;
        self.files.push(File { rows, level: 0, seq: self.seq });
        self.compact();
    }

    fn delete(&mut self, keys: Vec<[u8; 4]>) {
        for file in &mut self.files {
            for key in &keys {
                file.rows.entry(*key).and_modify(|live| *live = false);
            }
        }
    }

    /// Compacts, and fails when it never ends.
    fn compact(&mut self) {
        for _ in 0..500 {
            let shapes: Vec<FileShape<'_>> = self.files.iter().map(File::shape).collect();
            match choose(self.style, &shapes, SIZES) {
                Some(choice) => self.merge(&choice),
                None => return,
            }
        }
        panic!("{:?} never ends", self.style);
    }

    fn merge(&mut self, choice: &Choice) {
        let mut rows: Vec<[u8; 4]> = Vec::new();
        let seq = choice.inputs.iter().map(|&i| self.files[i].seq).max().unwrap();
        let inputs = |at: usize| choice.inputs.contains(&at);
        for &i in &choice.inputs {
            rows.extend(self.files[i].rows.iter().filter(|(_, live)| **live).map(|(key, _)| *key));
        }
        let mut at = 0;
        self.files.retain(|_| {
            at += 1;
            !inputs(at - 1)
        });
        rows.sort_unstable();
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "a key lives twice");
        self.written += rows.len() as u64 * ROW_BYTES;
        for rows in rows.chunks((SIZES.file / ROW_BYTES) as usize) {
            let rows = rows.iter().map(|key| (*key, true)).collect();
            self.files.push(File { rows, level: choice.level, seq });
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.shape().bytes).sum()
    }

    fn live_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.shape().live_bytes()).sum()
    }

    fn write_amplification(&self) -> f64 {
        (self.flushed + self.written) as f64 / self.flushed as f64
    }

    /// The most files that a point read looks into.
    fn read_amplification(&self) -> usize {
        let shapes: Vec<FileShape<'_>> = self.files.iter().map(File::shape).collect();
        let holding = |key| shapes.iter().filter(|file| file.overlaps(key, key)).count();
        shapes.iter().map(|file| holding(file.min_key)).max().unwrap_or(0)
    }
}

/// The next of a row of numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn overwritten(style: CompactionStyle, keys: u32, rounds: usize, seed: u64) -> Table {
    let (mut table, mut state) = (Table::new(style), seed);
    let flushes = keys as usize * rounds / FLUSH_ROWS;
    for flush in 0..flushes {
        // The first round writes every key, the others any.
        let first = (flush * FLUSH_ROWS) as u32;
        if first < keys {
            table.flush((first..(first + FLUSH_ROWS as u32).min(keys)).map(|key| key.reverse_bits() >> 16));
        } else {
            table.flush((0..FLUSH_ROWS).map(|_| ((next(&mut state) as u32) % keys).reverse_bits() >> 16));
        }
    }
    table
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn space_stays_below_1_3_of_the_live_bytes_after_three_overwrites(seed: u64, keys in 2000u32..6000) {
        for style in STYLES {
            let table = overwritten(style, keys, 4, seed);
            let (bytes, live) = (table.bytes(), table.live_bytes());
            prop_assert!(bytes as f64 <= 1.3 * live as f64, "{:?}: {} bytes, {} live", style, bytes, live);
        }
    }

    #[test]
    fn write_amplification_is_bounded_under_random_updates(seed: u64, keys in 2000u32..6000) {
        for (style, bound) in [(CompactionStyle::Leveled, 12.0), (CompactionStyle::Tiered, 10.0)] {
            let found = overwritten(style, keys, 4, seed).write_amplification();
            prop_assert!(found <= bound, "{:?}: {}", style, found);
        }
    }

    #[test]
    fn read_amplification_is_bounded_under_random_updates(seed: u64, keys in 2000u32..6000) {
        for (style, bound) in [(CompactionStyle::Leveled, 12), (CompactionStyle::Tiered, 16)] {
            let found = overwritten(style, keys, 4, seed).read_amplification();
            prop_assert!(found <= bound, "{:?}: {}", style, found);
        }
    }

    #[test]
    fn every_strategy_ends_whatever_it_is_given(
        flushes in prop::collection::vec((0u32..50_000, 1u32..40, 1u32..200), 1..80),
        levels in prop::collection::vec(0u8..9, 80),
    ) {
        for style in STYLES {
            let mut table = Table::new(style);
            for ((first, step, count), level) in flushes.iter().zip(&levels) {
                table.flush((0..*count).map(|i| first + i * step));
                // As another strategy may have left it.
                table.files.last_mut().unwrap().level = *level;
                table.compact();
            }
        }
    }

    #[test]
    fn small_deletions_leave_in_the_end(keys in 500u32..3000) {
        for style in STYLES {
            let mut table = overwritten(style, keys, 1, 0);
            let all: Vec<[u8; 4]> = table.files.iter().flat_map(|file| file.rows.keys().copied()).collect();
            table.delete(all);
            table.compact();
            prop_assert_eq!(table.files.len(), 0);
        }
    }
}

#[test]
fn rows_that_come_in_order_are_hardly_ever_rewritten() {
    for style in STYLES {
        let mut table = Table::new(style);
        for flush in 0..400u32 {
            table.flush(flush * 64..(flush + 1) * 64);
        }
        let found = table.write_amplification();
        assert!(found <= 3.0, "{style:?}: {found}");
        assert!(table.files.len() <= 2 * (400 * 64 / 200) + 8, "{style:?}: {} files", table.files.len());
        assert_eq!(table.read_amplification(), 1, "{style:?}");
    }
}

#[test]
fn the_bottom_stays_sorted() {
    let table = overwritten(CompactionStyle::Leveled, 5000, 4, 7);
    let mut bottom: Vec<FileShape<'_>> =
        table.files.iter().map(File::shape).filter(|file| file.level == super::BOTTOM).collect();
    bottom.sort_by_key(|file| file.min_key);
    assert!(bottom.len() > 10, "{} files", bottom.len());
    assert!(bottom.windows(2).all(|pair| pair[0].max_key < pair[1].min_key));
}

#[test]
fn files_that_must_wait_are_left_alone() {
    let mut table = Table::new(CompactionStyle::Leveled);
    for _ in 0..3 {
        table.flush(0..64);
    }
    for style in STYLES {
        let shapes: Vec<FileShape<'_>> = table
            .files
            .iter()
            .cycle()
            .take(8)
            .map(|file| FileShape { settled: false, dead: 60, ..file.shape() })
            .collect();
        assert_eq!(choose(style, &shapes, SIZES), None);
    }
}
