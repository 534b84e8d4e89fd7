//! What matrix products are computed in.
//!
//! In: `--compute` and `--device`, or the configuration's keys of these names. Out: the number
//! formats of the CPU and of an NPU. Products in int8 are the same numbers on both, so the device
//! alone changes no transcript; what only one of the two has is refused on the other.

use crate::cli::Compute as ComputeArg;
use crate::npu::{DeviceKind, Format};
use crate::whisper::Compute;

/// Number formats of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arithmetic {
    /// The CPU's: of all products, or of those that no NPU does.
    pub cpu: Compute,
    /// The NPU's, where one encodes.
    pub npu: Option<Format>,
}

/// A number format that the device does not have.
#[derive(Debug, thiserror::Error)]
pub enum ArithmeticError {
    /// No NPU multiplies in f32.
    #[error("an NPU has no f32: with device {} give compute bf16, its nearest, or int8", .0.name())]
    F32(DeviceKind),
    /// The CPU's kernels do not multiply weights in bf16.
    #[error("compute bf16 is an NPU's: with device cpu give f32 or int8")]
    Bf16,
}

impl Arithmetic {
    /// The number formats for what the user chose. `auto` is int8: it is the fastest on the CPU at
    /// every instruction set, and moves the fewest bytes on an NPU.
    ///
    /// # Errors
    /// Where the device does not have that format.
    pub fn new(compute: ComputeArg, device: DeviceKind) -> Result<Self, ArithmeticError> {
        let (cpu, npu) = match (compute, device) {
            (ComputeArg::F32, DeviceKind::Cpu) => (Compute::F32, None),
            (ComputeArg::F32, npu) => return Err(ArithmeticError::F32(npu)),
            (ComputeArg::Bf16, DeviceKind::Cpu) => return Err(ArithmeticError::Bf16),
            // The CPU's share, and all of it where the NPU fails, is no less exact.
            (ComputeArg::Bf16, _) => (Compute::F32, Some(Format::Bf16)),
            (ComputeArg::Int8 | ComputeArg::Auto, DeviceKind::Cpu) => (Compute::Int8, None),
            (ComputeArg::Int8 | ComputeArg::Auto, _) => (Compute::Int8, Some(Format::Int8)),
        };
        Ok(Self { cpu, npu })
    }

    /// The name of the encoder's format in reports.
    pub fn name(self) -> &'static str {
        match self.npu {
            Some(Format::Bf16) => "bf16",
            Some(Format::Int8) | None => self.cpu.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_device_is_the_same_numbers_or_an_error() {
        for device in [DeviceKind::Npu, DeviceKind::NpuSoftware] {
            for compute in [ComputeArg::Auto, ComputeArg::Int8] {
                let on = |device| Arithmetic::new(compute, device).expect("both have int8");
                assert_eq!(
                    on(DeviceKind::Cpu),
                    Arithmetic {
                        cpu: Compute::Int8,
                        npu: None
                    }
                );
                assert_eq!(
                    on(device),
                    Arithmetic {
                        cpu: Compute::Int8,
                        npu: Some(Format::Int8)
                    }
                );
            }
            assert!(
                Arithmetic::new(ComputeArg::F32, device)
                    .is_err_and(|e| e.to_string().contains(device.name()))
            );
            assert_eq!(
                Arithmetic::new(ComputeArg::Bf16, device)
                    .expect("an NPU has bf16")
                    .name(),
                "bf16"
            );
        }
        assert_eq!(
            Arithmetic::new(ComputeArg::F32, DeviceKind::Cpu)
                .expect("the CPU has f32")
                .name(),
            "f32"
        );
        assert!(Arithmetic::new(ComputeArg::Bf16, DeviceKind::Cpu).is_err());
    }
}
