//! Nodes of the radix tree as words of the arena: 4, 16, 48 or 256 children, and leaves.
//!
//! | kind | words after the head |
//! |---|---|
//! | 4 | 4 bytes of keys, 4 children |
//! | 16 | 16 bytes of keys, 16 children |
//! | 48 | 256 bytes: one more than the child's place, 48 children |
//! | 256 | 256 children |
//!
//! The head: kind and number of children; depth, the position in the key of the byte that the node decides by;
//! the leaf of the key that ends there. A leaf: newest entry, length of the key, its bytes. Keys are in no order in the
//! small nodes: a child is written first and counted afterwards, so that a reader sees it whole or not at all.

use std::sync::atomic::Ordering;

use super::arena::Arena;
use crate::common::sync::AtomicU32;

/// No child.
pub(super) const NONE: u32 = 0;
/// Marks the address of a leaf.
const LEAF: u32 = 1 << 31;
/// Word of a node that points to the leaf of the key that ends at the node.
pub(super) const ENDING: u32 = 2;
const HEAD: usize = 3;
const LEAF_HEAD: usize = 2;

/// Where a child is in the order of keys: 0 for the leaf of the key that ends at the node, else one more than its byte.
pub(super) type Place = i16;
const ENDING_PLACE: Place = 0;
pub(super) const BEFORE_ALL: Place = -1;
pub(super) const AFTER_ALL: Place = 257;

/// The place of the child that a key goes on to by `byte`, or ends at without one.
pub(super) fn place_of(byte: Option<u8>) -> Place {
    byte.map_or(ENDING_PLACE, |byte| Place::from(byte) + 1)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    N4,
    N16,
    N48,
    N256,
}

impl Kind {
    const ALL: [Self; 4] = [Self::N4, Self::N16, Self::N48, Self::N256];

    /// Most children.
    pub(super) fn room(self) -> usize {
        [4, 16, 48, 256][self as usize]
    }

    /// The next larger kind.
    pub(super) fn larger(self) -> Self {
        Self::ALL[(self as usize + 1).min(3)]
    }

    /// Word of the first child.
    fn children(self) -> usize {
        HEAD + [1, 4, 64, 0][self as usize]
    }

    fn words(self) -> usize {
        self.children() + self.room()
    }
}

/// Address of a leaf, if `pointer` is one.
pub(super) fn leaf_of(pointer: u32) -> Option<u32> {
    (pointer & LEAF != 0).then_some(pointer & !LEAF)
}

/// One inner node.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) address: u32,
    words: &'a [AtomicU32],
}

impl<'a> Node<'a> {
    pub(super) fn at(arena: &'a Arena, address: u32) -> Self {
        Self { address, words: arena.from(address) }
    }

    /// A node that decides by the byte at `depth`, without children.
    pub(super) fn new(arena: &'a Arena, kind: Kind, depth: usize) -> Option<Self> {
        let node = Self::at(arena, arena.take(kind.words())?);
        node.words[0].store(kind as u32, Ordering::Relaxed);
        node.words[1].store(depth as u32, Ordering::Relaxed);
        Some(node)
    }

    #[inline]
    pub(super) fn head(self) -> (Kind, usize) {
        let head = self.words[0].load(Ordering::Acquire);
        (Kind::ALL[(head & 3) as usize], (head >> 8) as usize)
    }

    #[inline]
    pub(super) fn depth(self) -> usize {
        self.words[1].load(Ordering::Relaxed) as usize
    }

    /// The leaf of the key that ends here.
    pub(super) fn ending(self) -> u32 {
        self.words[ENDING as usize].load(Ordering::Acquire)
    }

    pub(super) fn set_ending(self, leaf: u32) {
        self.words[ENDING as usize].store(leaf, Ordering::Release);
    }

    /// Address of the word that points to the child under `byte`.
    #[inline]
    pub(super) fn slot(self, byte: u8) -> Option<u32> {
        let (kind, count) = self.head();
        let place = match kind {
            Kind::N4 | Kind::N16 => self.place(count, byte)?,
            Kind::N48 => (self.byte(usize::from(byte), Ordering::Acquire) as usize).checked_sub(1)?,
            Kind::N256 => usize::from(byte),
        };
        let word = kind.children() + place;
        if kind == Kind::N256 && self.words[word].load(Ordering::Acquire) == NONE {
            return None;
        }
        Some(self.address + word as u32)
    }

    /// Place of `byte` among the keys of a small node, four at a time.
    #[inline]
    fn place(self, count: usize, byte: u8) -> Option<usize> {
        let wanted = u32::from(byte) * 0x0101_0101;
        for first in (0..count).step_by(4) {
            let differing = self.words[HEAD + first / 4].load(Ordering::Relaxed) ^ wanted;
            let zeros = differing.wrapping_sub(0x0101_0101) & !differing & 0x8080_8080;
            if zeros != 0 {
                let place = first + zeros.trailing_zeros() as usize / 8;
                return (place < count).then_some(place);
            }
        }
        None
    }

    /// Byte `i` after the head.
    fn byte(self, i: usize, ordering: Ordering) -> u8 {
        (self.words[HEAD + i / 4].load(ordering) >> (i % 4 * 8)) as u8
    }

    fn set_byte(self, i: usize, byte: u8) {
        let word = &self.words[HEAD + i / 4];
        let others = word.load(Ordering::Relaxed) & !(0xff << (i % 4 * 8));
        word.store(others | u32::from(byte) << (i % 4 * 8), Ordering::Release);
    }

    /// Adds a child; the node has room for it and none under `byte`. Only the writer calls it.
    pub(super) fn add(self, byte: u8, child: u32) {
        let (kind, count) = self.head();
        let place = if kind == Kind::N256 { usize::from(byte) } else { count };
        self.words[kind.children() + place].store(child, Ordering::Release);
        match kind {
            Kind::N4 | Kind::N16 => self.set_byte(place, byte),
            Kind::N48 => self.set_byte(usize::from(byte), place as u8 + 1),
            Kind::N256 => {}
        }
        self.words[0].store(kind as u32 | (count as u32 + 1) << 8, Ordering::Release);
    }

    /// The nearest child beyond `place`, with its own place.
    pub(super) fn next(self, place: Place, reverse: bool) -> Option<(Place, u32)> {
        let found = match self.head() {
            (kind @ (Kind::N4 | Kind::N16), count) => self.next_of_few(kind, count, place, reverse),
            (kind, _) if reverse => (1..place.max(1)).rev().find_map(|at| self.child_at(kind, at)),
            (kind, _) => (place.max(0) + 1..AFTER_ALL).find_map(|at| self.child_at(kind, at)),
        };
        let ending = || Some((ENDING_PLACE, self.ending())).filter(|(_, leaf)| *leaf != NONE);
        match reverse {
            true => found.or_else(|| ending().filter(|_| place > ENDING_PLACE)),
            false => ending().filter(|_| place < ENDING_PLACE).or(found),
        }
    }

    fn next_of_few(self, kind: Kind, count: usize, place: Place, reverse: bool) -> Option<(Place, u32)> {
        let places = (0..count).map(|i| (place_of(Some(self.byte(i, Ordering::Relaxed))), i));
        let (at, i) = match reverse {
            true => places.filter(|(at, _)| *at < place).max()?,
            false => places.filter(|(at, _)| *at > place).min()?,
        };
        Some((at, self.words[kind.children() + i].load(Ordering::Acquire)))
    }

    /// The child at a place of a large node.
    fn child_at(self, kind: Kind, at: Place) -> Option<(Place, u32)> {
        let byte = (at - 1) as usize;
        let i = match kind {
            Kind::N48 => usize::from(self.byte(byte, Ordering::Acquire)).checked_sub(1)?,
            _ => byte,
        };
        let child = self.words[kind.children() + i].load(Ordering::Acquire);
        (child != NONE).then_some((at, child))
    }

    /// Calls `visit` with each byte and child, in no order for small nodes, ascending otherwise.
    pub(super) fn for_each(self, mut visit: impl FnMut(u8, u32)) {
        let (kind, count) = self.head();
        let child = |place: usize| self.words[kind.children() + place].load(Ordering::Acquire);
        match kind {
            Kind::N4 | Kind::N16 => {
                (0..count).for_each(|place| visit(self.byte(place, Ordering::Relaxed), child(place)));
            }
            Kind::N48 | Kind::N256 => {
                for byte in 0..=255 {
                    let place = match kind {
                        Kind::N48 => {
                            usize::from(self.byte(usize::from(byte), Ordering::Acquire)).checked_sub(1)
                        }
                        _ => Some(usize::from(byte)),
                    };
                    if let Some(pointer) = place.map(child).filter(|pointer| *pointer != NONE) {
                        visit(byte, pointer);
                    }
                }
            }
        }
    }
}

/// One key and its newest entry.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a>(&'a [AtomicU32]);

impl<'a> Leaf<'a> {
    pub(super) fn at(arena: &'a Arena, address: u32) -> Self {
        Self(arena.from(address))
    }

    /// Writes a leaf and returns the pointer to it.
    pub(super) fn create(arena: &'a Arena, key: &[u8], entry: u32) -> Option<u32> {
        let address = arena.take(LEAF_HEAD + key.len().div_ceil(4))?;
        let words = arena.from(address);
        words[0].store(entry, Ordering::Relaxed);
        words[1].store(key.len() as u32, Ordering::Relaxed);
        for (word, bytes) in words[LEAF_HEAD..].iter().zip(key.chunks(4)) {
            word.store(packed(bytes), Ordering::Relaxed);
        }
        Some(address | LEAF)
    }

    /// The newest entry.
    pub(super) fn entry(self) -> &'a AtomicU32 {
        &self.0[0]
    }

    fn len(self) -> usize {
        self.0[1].load(Ordering::Relaxed) as usize
    }

    /// Byte `i` of the key; `None` when the key is shorter.
    pub(super) fn byte(self, i: usize) -> Option<u8> {
        let word = (i < self.len()).then(|| self.0[LEAF_HEAD + i / 4].load(Ordering::Relaxed))?;
        Some((word >> (i % 4 * 8)) as u8)
    }

    /// Appends the key to `out`.
    pub(super) fn copy_key(self, out: &mut Vec<u8>) {
        let len = self.len();
        for word in &self.0[LEAF_HEAD..LEAF_HEAD + len.div_ceil(4)] {
            out.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        out.truncate(out.len() - (len.next_multiple_of(4) - len));
    }

    /// Bytes that this key and `key` have in common at their start; `None` when they are the same.
    #[inline]
    pub(super) fn differs_at(self, key: &[u8]) -> Option<usize> {
        let len = self.len();
        let shorter = len.min(key.len());
        for (i, (word, bytes)) in self.0[LEAF_HEAD..].iter().zip(key[..shorter].chunks(4)).enumerate() {
            let mask = u32::MAX >> (32 - 8 * bytes.len());
            let differing = (word.load(Ordering::Relaxed) & mask) ^ packed(bytes);
            if differing != 0 {
                return Some(i * 4 + differing.trailing_zeros() as usize / 8);
            }
        }
        (len != key.len()).then_some(shorter)
    }
}

/// Up to four bytes as a word, the first lowest.
#[inline]
fn packed(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(word)
}
