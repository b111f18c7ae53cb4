//! Which instruction set the kernels run on, decided once per process.
//!
//! The answer only ever names what the processor has, which is the proof every `unsafe` call of a
//! kernel leans on. `aarch64` and everything else use the portable lanes, which the compiler
//! turns into its baseline vectors (NEON there).

use std::sync::OnceLock;

/// A family of vector instructions the kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Plain Rust over fixed lanes.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW and VL.
    Avx512,
}

/// The best instruction set of this processor.
pub fn instruction_set() -> InstructionSet {
    static BEST: OnceLock<InstructionSet> = OnceLock::new();
    *BEST.get_or_init(|| *available().last().unwrap_or(&InstructionSet::Portable))
}

/// All instruction sets of this processor, worst first: what the tests compare.
pub(super) fn available() -> Vec<InstructionSet> {
    let mut sets = vec![InstructionSet::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("popcnt");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        if avx2 {
            sets.push(InstructionSet::Avx2);
            if avx512 {
                sets.push(InstructionSet::Avx512);
            }
        }
    }
    sets
}
