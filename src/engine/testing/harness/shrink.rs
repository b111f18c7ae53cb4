//! Makes a failing sequence short: leaves out ever smaller pieces as long as it still fails.

use crate::lanes;
use crate::op::Op;

/// Trials spent on one failure.
const TRIALS: usize = 2000;

/// The shortest failing part of `ops` that was found.
pub fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut piece = ops.len() / 2;
    let mut trials = 0;
    while piece > 0 && trials < TRIALS {
        let mut at = 0;
        let before = ops.len();
        while at < ops.len() && trials < TRIALS {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + piece).min(ops.len()));
            trials += 1;
            lanes::tick();
            if fails(&fewer) {
                ops = fewer;
            } else {
                at += piece;
            }
        }
        if piece > 1 || ops.len() == before {
            piece /= 2;
        }
    }
    ops
}

/// The operations, one a line, long ones cut.
pub fn show(ops: &[Op]) -> String {
    let line = |op: &Op| {
        let text = format!("{op:?}");
        let cut: String = text.chars().take(400).collect();
        if cut.len() < text.len() { format!("{cut} ...") } else { cut }
    };
    ops.iter().map(line).collect::<Vec<_>>().join("\n  ")
}
