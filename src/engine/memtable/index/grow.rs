//! How the radix tree takes in a new leaf: a node between two others, a child more, or a larger node.

use std::sync::atomic::Ordering;

use super::node::{Kind, Leaf, Node, leaf_of};
use super::radix::{ROOT, RadixTree, next_slot};

impl RadixTree {
    /// Puts a node above everything that differs from `key` first at byte `at`, as the key of leaf `other` does.
    /// `None` when the arena is full; nothing is changed then.
    pub(super) fn split(&self, key: &[u8], leaf: u32, other: u32, at: usize) -> Option<()> {
        let mut slot = ROOT;
        let mut below = self.load(slot);
        while leaf_of(below).is_none() {
            let node = Node::at(&self.arena, below);
            if node.depth() > at {
                break;
            }
            slot = next_slot(node, key)?;
            below = self.load(slot);
        }
        let node = Node::new(&self.arena, Kind::N4, at)?;
        attach(node, Leaf::at(&self.arena, other).byte(at), below);
        attach(node, key.get(at).copied(), leaf);
        self.arena.word(slot).store(node.address, Ordering::Release);
        Some(())
    }

    /// Adds a leaf to a node, or to a larger copy of it that takes its place in `slot`. `None` when the arena is full;
    /// nothing is changed then.
    pub(super) fn extend(&self, slot: u32, node: u32, key: &[u8], leaf: u32) -> Option<()> {
        let node = Node::at(&self.arena, node);
        let (kind, count) = node.head();
        let byte = key.get(node.depth()).copied();
        if byte.is_none() || count < kind.room() {
            attach(node, byte, leaf);
            return Some(());
        }
        let larger = Node::new(&self.arena, kind.larger(), node.depth())?;
        larger.set_ending(node.ending());
        node.for_each(|byte, child| larger.add(byte, child));
        attach(larger, byte, leaf);
        self.arena.word(slot).store(larger.address, Ordering::Release);
        Some(())
    }
}

/// A child under a byte, or the leaf of the key that ends at the node.
fn attach(node: Node<'_>, byte: Option<u8>, child: u32) {
    match byte {
        Some(byte) => node.add(byte, child),
        None => node.set_ending(child),
    }
}
