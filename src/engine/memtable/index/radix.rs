//! An adaptive radix tree over encoded keys, for one writer and readers that never wait.
//!
//! The algorithm is that of Leis, Kemper and Neumann, "The Adaptive Radix Tree" (ICDE 2013), with two simplifications
//! that an arena allows. A node knows the position of the byte it decides by and not the bytes before it: a search
//! skips them and compares the whole key at the leaf. And a node that is full is copied to a larger one, the old one
//! left to the readers that are in it; nothing is freed before the memtable is.
//!
//! Invariants:
//! 1. All keys below a node agree in the bytes before its depth, and are at least that long.
//! 2. Depths grow on the way down.
//! 3. A word that points to a node or leaf is written after what it points to.

use std::sync::atomic::Ordering;

use super::arena::{Arena, ORIGIN};
use super::node::{ENDING, Leaf, NONE, Node, leaf_of};
use crate::common::{Error, Result};

/// The word that points to the root.
pub(super) const ROOT: u32 = ORIGIN;

/// Newest entry of each key.
#[derive(Debug)]
pub struct RadixTree {
    pub(super) arena: Arena,
}

impl Default for RadixTree {
    fn default() -> Self {
        Self { arena: Arena::new(1) }
    }
}

/// Where a key is, or would be.
enum Spot {
    /// Its leaf.
    Leaf(u32),
    /// It differs from the key of this leaf at a byte, where no node decides yet.
    Between(u32, usize),
    /// A node, to which the word of this address points, decides by its next byte and has no such child.
    Missing(u32, u32),
    /// The tree is empty.
    Nowhere,
}

impl RadixTree {
    /// Bytes of its nodes and keys.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.words() * 4
    }

    /// Makes `entry` the newest of `key` and returns the one it replaces, which `before` is told while no reader sees
    /// `entry` yet. Only one thread at a time calls it.
    ///
    /// # Errors
    /// `Internal` when 8 GiB of nodes are full.
    pub fn replace(&self, key: &[u8], entry: u32, before: impl FnOnce(Option<u32>)) -> Result<Option<u32>> {
        let spot = self.spot(key);
        if let Spot::Leaf(leaf) = spot {
            let newest = Leaf::at(&self.arena, leaf).entry();
            let older = newest.load(Ordering::Acquire);
            before(Some(older));
            newest.store(entry, Ordering::Release);
            return Ok(Some(older));
        }
        before(None);
        let full = || Error::Internal("the index of a memtable is full".into());
        self.insert(&spot, key, entry).ok_or_else(full)?;
        Ok(None)
    }

    fn insert(&self, spot: &Spot, key: &[u8], entry: u32) -> Option<()> {
        if self.arena.words() == ROOT as usize + 1 {
            // The first block begins with the root, which must be there to be written.
            self.arena.take(1)?;
        }
        let leaf = Leaf::create(&self.arena, key, entry)?;
        match *spot {
            Spot::Nowhere | Spot::Leaf(_) => self.arena.word(ROOT).store(leaf, Ordering::Release),
            Spot::Between(other, at) => self.split(key, leaf, other, at)?,
            Spot::Missing(slot, node) => self.extend(slot, node, key, leaf)?,
        }
        Some(())
    }

    /// Newest entry of `key`.
    #[must_use]
    pub fn newest(&self, key: &[u8]) -> Option<u32> {
        let mut pointer = self.root();
        loop {
            if let Some(leaf) = leaf_of(pointer) {
                let leaf = Leaf::at(&self.arena, leaf);
                return leaf.differs_at(key).is_none().then(|| leaf.entry().load(Ordering::Acquire));
            }
            if pointer == NONE {
                return None;
            }
            let node = Node::at(&self.arena, pointer);
            pointer = self.load(next_slot(node, key)?);
        }
    }

    pub(super) fn root(&self) -> u32 {
        if self.arena.words() <= ROOT as usize + 1 { NONE } else { self.load(ROOT) }
    }

    #[inline]
    pub(super) fn load(&self, slot: u32) -> u32 {
        self.arena.word(slot).load(Ordering::Acquire)
    }

    fn spot(&self, key: &[u8]) -> Spot {
        let mut slot = ROOT;
        let mut pointer = self.root();
        // True while every byte of the key was decided by a node, so that nothing was skipped.
        let (mut exact, mut decided) = (true, 0);
        while pointer != NONE {
            if let Some(leaf) = leaf_of(pointer) {
                let differing = Leaf::at(&self.arena, leaf).differs_at(key);
                return differing.map_or(Spot::Leaf(leaf), |at| Spot::Between(leaf, at));
            }
            let node = Node::at(&self.arena, pointer);
            let depth = node.depth();
            exact &= depth == decided;
            decided = depth + 1;
            let next = next_slot(node, key).filter(|next| self.load(*next) != NONE);
            let Some(next) = next else { return self.missing(slot, pointer, key, exact) };
            (slot, pointer) = (next, self.load(next));
        }
        Spot::Nowhere
    }

    /// The key ends its way at a node; perhaps it left the node's keys before that already.
    fn missing(&self, slot: u32, node: u32, key: &[u8], exact: bool) -> Spot {
        if exact {
            return Spot::Missing(slot, node);
        }
        let depth = Node::at(&self.arena, node).depth();
        let leaf = self.any_leaf(node);
        match Leaf::at(&self.arena, leaf).differs_at(key) {
            Some(at) if at < depth => Spot::Between(leaf, at),
            _ => Spot::Missing(slot, node),
        }
    }

    /// Some leaf below a node or the leaf itself.
    pub(super) fn any_leaf(&self, mut pointer: u32) -> u32 {
        loop {
            if let Some(leaf) = leaf_of(pointer) {
                return leaf;
            }
            let node = Node::at(&self.arena, pointer);
            pointer = node.ending();
            if pointer == NONE {
                node.for_each(|_, child| pointer = child);
            }
        }
    }
}

/// Address of the word that points on towards `key`; `None` when there is none.
#[inline]
pub(super) fn next_slot(node: Node<'_>, key: &[u8]) -> Option<u32> {
    let depth = node.depth();
    match key.get(depth) {
        Some(byte) => node.slot(*byte),
        None => (key.len() == depth).then_some(node.address + ENDING),
    }
}
