//! The instruction set that kernels run on: detected at run time, or set by `HEARKEN_CPU`.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;
pub mod simd;

#[cfg(target_arch = "x86_64")]
use avx2::{Avx2, AvxVnni};
#[cfg(target_arch = "x86_64")]
use avx512::{Avx512, Avx512Bf16};
#[cfg(target_arch = "aarch64")]
use neon::Neon;
use scalar::Scalar;
use simd::Kernel;

/// An instruction set that this machine has.
///
/// The x86-64 variants have been run and timed on hardware, except `avxvnni`, which has never run
/// for lack of such a machine. The aarch64 variants (`neon`, `neondotprod`) are compiled and
/// unit-tested under emulation, but have never been run or timed on an Arm machine.
#[derive(Clone, Copy, Debug)]
pub struct Isa(IsaToken);

#[derive(Clone, Copy, Debug)]
enum IsaToken {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16(Avx512Bf16),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon<false>),
    #[cfg(target_arch = "aarch64")]
    NeonDotprod(Neon<true>),
}

/// `HEARKEN_CPU` is unknown or not supported by this machine.
#[derive(Debug, thiserror::Error)]
#[error("HEARKEN_CPU={0} cannot be used: {1}")]
pub struct IsaError(String, &'static str, String);

impl IsaError {
    /// Returns what the user can do.
    pub fn remedy(&self) -> String {
        format!("unset it or set one of {}", self.2)
    }
}

/// All values of [`Isa::name`], on any machine.
const KNOWN: [&str; 7] = [
    "scalar",
    "avx2",
    "avxvnni",
    "avx512",
    "avx512bf16",
    "neon",
    "neondotprod",
];

impl Isa {
    /// Returns the fastest instruction set of this machine, or the one that the environment
    /// variable `HEARKEN_CPU` names.
    ///
    /// # Errors
    /// Returns an error if `HEARKEN_CPU` is not the name of an instruction set of this machine.
    pub fn detect() -> Result<Self, IsaError> {
        let available = Self::available();
        let Some(wanted) = std::env::var_os("HEARKEN_CPU") else {
            return Ok(available[0]);
        };
        let wanted = wanted.to_string_lossy();
        available
            .iter()
            .find(|l| l.name() == wanted)
            .copied()
            .ok_or_else(|| {
                let known = KNOWN.contains(&&*wanted);
                let why = if known {
                    "this CPU does not support it"
                } else {
                    "unknown instruction set"
                };
                let names: Vec<_> = available.iter().map(|l| l.name()).collect();
                IsaError(wanted.into_owned(), why, names.join(", "))
            })
    }

    /// All instruction sets of this machine, the fastest first; `scalar` is always last.
    pub fn available() -> Vec<Self> {
        let mut tokens = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            tokens.extend(Avx512Bf16::new().map(IsaToken::Avx512Bf16));
            tokens.extend(Avx512::new().map(IsaToken::Avx512));
            tokens.extend(AvxVnni::new().map(IsaToken::AvxVnni));
            tokens.extend(Avx2::new().map(IsaToken::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        {
            tokens.extend(Neon::<true>::new().map(IsaToken::NeonDotprod));
            tokens.extend(Neon::<false>::new().map(IsaToken::Neon));
        }
        tokens.push(IsaToken::Scalar(Scalar));
        tokens.into_iter().map(Self).collect()
    }

    /// Returns the name, as used in `HEARKEN_CPU`.
    pub fn name(self) -> &'static str {
        match self.0 {
            IsaToken::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            IsaToken::AvxVnni(_) => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx512Bf16(_) => "avx512bf16",
            #[cfg(target_arch = "aarch64")]
            IsaToken::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            IsaToken::NeonDotprod(_) => "neondotprod",
        }
    }

    /// Runs a kernel on this instruction set.
    #[inline]
    pub(in crate::cpu) fn dispatch<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            IsaToken::Scalar(s) => kernel.run(s),
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx2(s) => s.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            IsaToken::AvxVnni(s) => s.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx512(s) => s.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            IsaToken::Avx512Bf16(s) => s.enter(kernel),
            #[cfg(target_arch = "aarch64")]
            IsaToken::Neon(s) => s.enter(kernel),
            #[cfg(target_arch = "aarch64")]
            IsaToken::NeonDotprod(s) => s.enter(kernel),
        }
    }

    /// Number of rows of a register tile ([`crate::cpu::isa::simd::Simd::MR`]): activations are
    /// packed in blocks of this height.
    pub(in crate::cpu) fn block_rows(self) -> usize {
        self.tile().0
    }

    /// Rows and panels of a register tile.
    pub(in crate::cpu) fn tile(self) -> (usize, usize) {
        struct Tile;
        impl Kernel for Tile {
            type Out = (usize, usize);
            #[inline(always)]
            fn run<S: crate::cpu::isa::simd::Simd>(self, _: S) -> (usize, usize) {
                (S::MR, S::NP)
            }
        }
        self.dispatch(Tile)
    }

    /// Returns true if it multiplies bf16 ([`crate::cpu::isa::simd::Simd::BF16`]).
    pub(in crate::cpu) fn has_bf16(self) -> bool {
        struct HasBf16;
        impl Kernel for HasBf16 {
            type Out = bool;
            #[inline(always)]
            fn run<S: crate::cpu::isa::simd::Simd>(self, _: S) -> bool {
                S::BF16
            }
        }
        self.dispatch(HasBf16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The emulated machines of `make test-aarch64` set the instruction set that they must have.
    #[test]
    fn the_instruction_set_is_the_one_named_or_else_the_first() {
        let first = Isa::available()[0].name();
        let wanted = std::env::var("HEARKEN_CPU").unwrap_or_else(|_| first.to_owned());
        assert_eq!(
            Isa::detect()
                .expect("an instruction set of this machine")
                .name(),
            wanted
        );
    }

    #[test]
    fn names_are_known_and_scalar_is_the_last() {
        let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
        assert!(names.iter().all(|name| KNOWN.contains(name)), "{names:?}");
        assert_eq!(names.last(), Some(&"scalar"));
    }
}
