//! What a disk may hold after the power goes: one of the many outcomes the rules allow, chosen by a seed.
//!
//! Synced bytes and names stay. Of the rest, each file and each name decides for itself: no order between
//! two things that were not synced is assumed.

use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use super::disk::{Disk, FileState, NameChange, Names};

/// What becomes of the things that were not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// All of them are there.
    Kept,
    /// None of them is.
    Dropped,
    /// Each for itself: there, gone, cut short, or torn.
    Random,
}

/// How the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrashPolicy {
    /// Bytes appended and not synced.
    pub data: Fate,
    /// Names created, removed or changed in a folder and not synced.
    pub names: Fate,
}

impl CrashPolicy {
    /// Any outcome that the rules allow.
    pub const RANDOM: Self = Self { data: Fate::Random, names: Fate::Random };
    /// Nothing that was not synced.
    pub const WORST: Self = Self { data: Fate::Dropped, names: Fate::Dropped };
    /// Everything, but for what a failed sync dropped.
    pub const BEST: Self = Self { data: Fate::Kept, names: Fate::Kept };
}

/// The disk after a power cut: everything on it is durable.
pub(super) fn power_cut(disk: &Disk, seed: u64, policy: CrashPolicy) -> Disk {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut names = disk.durable.clone();
    for change in &disk.pending {
        settle_name(change, &mut names, policy.names, &mut dice);
    }
    let mut after = Disk { dirs: disk.dirs.clone(), ..Disk::default() };
    let mut moved = std::collections::BTreeMap::new();
    for (path, inode) in names {
        let Some(file) = disk.files.get(inode) else { continue };
        // Two names may be left for one file, by a rename that was half done.
        let inode = *moved.entry(inode).or_insert_with(|| {
            after.files.push(settle_file(file, policy.data, &mut dice));
            after.files.len() - 1
        });
        after.names.insert(path, inode);
    }
    after.durable = after.names.clone();
    after
}

fn settle_name(change: &NameChange, names: &mut Names, fate: Fate, dice: &mut SmallRng) {
    let kept = match fate {
        Fate::Kept => true,
        Fate::Dropped => false,
        Fate::Random => dice.random(),
    };
    if !kept {
        return;
    }
    let leaves_both = fate == Fate::Random && dice.random_ratio(1, 4);
    match change {
        NameChange::Rename { to, inode, .. } if leaves_both => {
            names.insert(to.clone(), *inode);
        }
        change => change.apply(names),
    }
}

fn settle_file(file: &FileState, fate: Fate, dice: &mut SmallRng) -> FileState {
    let room = settle_room(file, fate, dice);
    if file.synced == file.len && file.lost.is_empty() && room <= file.len {
        return FileState { room: 0, synced_room: 0, ..file.clone() };
    }
    let mut bytes = file.appended().to_vec();
    for lost in &file.lost {
        let filling = if fate == Fate::Random { Filling::choose(dice) } else { Filling::Zeros };
        filling.apply(&mut bytes, lost.clone(), dice);
    }
    // Where the data never went, the length may not have gone either.
    if let Some(lost) = file.lost.last().filter(|lost| fate == Fate::Random && lost.end == file.len) {
        bytes.truncate(dice.random_range(lost.start..=lost.end));
    }
    let synced = file.synced.min(bytes.len());
    match fate {
        Fate::Kept => {}
        Fate::Dropped => bytes.truncate(synced),
        Fate::Random => settle_tail(&mut bytes, synced, dice),
    }
    bytes.resize(bytes.len().max(room), 0);
    FileState::durable(&bytes)
}

/// Length that the file has by the room it was given; where data is missing, it then has zeros.
fn settle_room(file: &FileState, fate: Fate, dice: &mut SmallRng) -> usize {
    let newest = match fate {
        Fate::Kept => true,
        Fate::Dropped => false,
        Fate::Random => file.room != file.synced_room && dice.random(),
    };
    if newest { file.room } else { file.synced_room }
}

/// Decides over the bytes from `synced` on.
fn settle_tail(bytes: &mut Vec<u8>, synced: usize, dice: &mut SmallRng) {
    let len = bytes.len();
    match dice.random_range(0..8) {
        0 => {}
        1 => bytes.truncate(synced),
        2 | 3 => bytes.truncate(dice.random_range(synced..=len)),
        choice => {
            match choice {
                4 => tear_at_bytes(bytes, synced, dice),
                5 => tear_at_blocks(bytes, synced, 4096, dice),
                _ => tear_at_blocks(bytes, synced, 512, dice),
            }
            if dice.random() {
                bytes.truncate(dice.random_range(synced..=len));
            }
        }
    }
}

/// One stretch between any two bytes was not written.
fn tear_at_bytes(bytes: &mut [u8], synced: usize, dice: &mut SmallRng) {
    let (one, other) = (dice.random_range(synced..=bytes.len()), dice.random_range(synced..=bytes.len()));
    Filling::choose(dice).apply(bytes, one.min(other)..one.max(other), dice);
}

/// Each block of the file was written, or not.
fn tear_at_blocks(bytes: &mut [u8], synced: usize, block: usize, dice: &mut SmallRng) {
    let mut start = synced;
    while start < bytes.len() {
        let end = bytes.len().min((start / block + 1) * block);
        if dice.random() {
            Filling::choose(dice).apply(bytes, start..end, dice);
        }
        start = end;
    }
}

/// What stands where data should be.
#[derive(Clone, Copy)]
enum Filling {
    Zeros,
    Noise,
    /// Other bytes of the same file.
    Stale,
}

impl Filling {
    fn choose(dice: &mut SmallRng) -> Self {
        [Self::Zeros, Self::Noise, Self::Stale][dice.random_range(0..3)]
    }

    fn apply(self, bytes: &mut [u8], range: Range<usize>, dice: &mut SmallRng) {
        match self {
            Self::Zeros => bytes[range].fill(0),
            Self::Noise => dice.fill_bytes(&mut bytes[range]),
            Self::Stale => {
                let from = dice.random_range(0..=bytes.len() - range.len());
                bytes.copy_within(from..from + range.len(), range.start);
            }
        }
    }
}
