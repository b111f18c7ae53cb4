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

/// Defines a function whose plain body is compiled twice on x86-64, for the baseline and for AVX2, and called as the
/// processor allows. The compiler does the rest: rounding is the same in both, as neither fuses operations.
macro_rules! widened {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $type),*) $(-> $result)? {
                body($($arg),*)
            }

            match $crate::kernels::instruction_set() {
                $crate::kernels::InstructionSet::Portable => body($($arg),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: every other instruction set includes AVX2.
                _ => unsafe { avx2($($arg),*) },
                #[cfg(not(target_arch = "x86_64"))]
                _ => body($($arg),*),
            }
        }
    };
}

pub(super) use widened;

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
