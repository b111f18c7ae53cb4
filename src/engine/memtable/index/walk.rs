//! Keys of the radix tree in order, upwards or downwards, from any key on.
//!
//! A walk holds addresses only and may outlive many inserts: it shows every key that was there when it began, and
//! perhaps some that came later.

use std::sync::atomic::Ordering;

use super::node::{AFTER_ALL, BEFORE_ALL, Leaf, NONE, Node, Place, leaf_of, place_of};
use super::radix::{RadixTree, next_slot};

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub enum From<'a> {
    /// At the first key, or at the last one downwards.
    End,
    /// At this key, or the next one that is there.
    Key(&'a [u8]),
}

/// A walk under way.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What is still to come, the next last.
    ahead: Vec<Ahead>,
    reverse: bool,
}

/// What lies below a node beyond one of its children, or a leaf.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    pointer: u32,
    beyond: Place,
}

impl Walk {
    /// Puts ahead all that `pointer` points to.
    fn push(&mut self, pointer: u32) {
        let beyond = if self.reverse { AFTER_ALL } else { BEFORE_ALL };
        self.ahead.push(Ahead { pointer, beyond });
    }
}

impl RadixTree {
    /// Starts a walk.
    #[must_use]
    pub fn walk(&self, from: From<'_>, reverse: bool) -> Walk {
        let mut walk = Walk { ahead: Vec::new(), reverse };
        match (from, self.root()) {
            (_, NONE) => {}
            (From::End, root) => walk.push(root),
            (From::Key(key), root) => self.seek(root, key, &mut walk),
        }
        walk
    }

    /// The next key, put into `key`, and its newest entry.
    pub fn step(&self, walk: &mut Walk, key: &mut Vec<u8>) -> Option<u32> {
        loop {
            let next = walk.ahead.last_mut()?;
            if let Some(leaf) = leaf_of(next.pointer) {
                walk.ahead.pop();
                let leaf = Leaf::at(&self.arena, leaf);
                key.clear();
                leaf.copy_key(key);
                return Some(leaf.entry().load(Ordering::Acquire));
            }
            match Node::at(&self.arena, next.pointer).next(next.beyond, walk.reverse) {
                Some((place, child)) => {
                    next.beyond = place;
                    walk.push(child);
                }
                None => drop(walk.ahead.pop()),
            }
        }
    }

    /// Puts ahead what lies at `key` and beyond.
    fn seek(&self, root: u32, key: &[u8], walk: &mut Walk) {
        let near = Leaf::at(&self.arena, self.nearest(root, key));
        let differs_at = near.differs_at(key);
        // With the byte at which they part, all keys that agree with the leaf so far lie on one side of the key.
        let side_ahead = differs_at.is_none_or(|at| (near.byte(at) > key.get(at).copied()) != walk.reverse);
        let mut pointer = root;
        while pointer != NONE && leaf_of(pointer).is_none() {
            let node = Node::at(&self.arena, pointer);
            if differs_at.is_some_and(|at| node.depth() > at) {
                break;
            }
            walk.ahead.push(Ahead { pointer, beyond: place_of(key.get(node.depth()).copied()) });
            pointer = next_slot(node, key).map_or(NONE, |slot| self.load(slot));
        }
        if pointer != NONE && side_ahead {
            walk.push(pointer);
        }
    }

    /// A leaf that no other shares more leading bytes of `key` with.
    fn nearest(&self, root: u32, key: &[u8]) -> u32 {
        let mut pointer = root;
        while leaf_of(pointer).is_none() {
            let next = next_slot(Node::at(&self.arena, pointer), key).map_or(NONE, |slot| self.load(slot));
            if next == NONE {
                break;
            }
            pointer = next;
        }
        self.any_leaf(pointer)
    }
}
