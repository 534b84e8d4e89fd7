//! Where the encoder runs and in which number formats.
//!
//! In: `--compute` and `--device`, or the configuration keys of the same names. Out: the number
//! formats of the CPU's and the NPU's matrix products. The CPU and an NPU compute int8 products
//! with identical results, so changing only the device never changes a transcript. A format that
//! the device does not have is refused.

use crate::whisper::Precision;
use clap::ValueEnum;

/// Precision of matrix products, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Compute {
    /// int8
    #[default]
    Auto,
    /// 8-bit integers, scaled by row and channel: identical results on the CPU and on an NPU
    Int8,
    /// 32-bit floating point; CPU only
    F32,
    /// Products of 16-bit activations, everything else in f32; NPU only
    Bf16,
}

impl Compute {
    /// Its name on the command line and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Int8 => "int8",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Where the encoder runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Device {
    /// The CPU
    #[default]
    Cpu,
    /// An AMD XDNA2 NPU; hearken doctor reports what is missing
    Npu,
    /// An emulator of the NPU, slow, for tests
    NpuEmulator,
}

impl Device {
    /// Its name on the command line, in the configuration and on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Npu => "npu",
            Self::NpuEmulator => "npu-emulator",
        }
    }
}

/// Number format of an NPU's products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpuFormat {
    /// Activations as the sum of two bf16 terms, bfp16 weights, sums in f32.
    Bf16,
    /// 8-bit activations and weights, sums in 32-bit integers.
    Int8,
}

/// Number formats of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputeTypes {
    /// Format on the CPU: of all products, or of those that the NPU leaves to it.
    pub cpu: Precision,
    /// Format on the NPU, if one encodes.
    pub npu: Option<NpuFormat>,
}

/// A number format that the device does not have.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// No NPU multiplies in f32.
    #[error("an NPU has no f32: with device {} give compute bf16, its nearest, or int8", .0.name())]
    F32(Device),
    /// The CPU's kernels do not multiply weights in bf16.
    #[error("compute bf16 needs an NPU: with device cpu give int8 or f32")]
    Bf16,
}

impl ComputeTypes {
    /// Returns the number formats for the user's choice. `auto` is int8: on the CPU it is the
    /// fastest format at every instruction set, and on an NPU it moves the fewest bytes.
    ///
    /// # Errors
    /// Returns an error if the device does not have that format.
    pub fn new(compute: Compute, device: Device) -> Result<Self, ComputeError> {
        let (cpu, npu) = match (compute, device) {
            (Compute::F32, Device::Cpu) => (Precision::F32, None),
            (Compute::F32, npu) => return Err(ComputeError::F32(npu)),
            (Compute::Bf16, Device::Cpu) => return Err(ComputeError::Bf16),
            // The CPU's share, which is all of it if the NPU fails, is no less exact.
            (Compute::Bf16, _) => (Precision::F32, Some(NpuFormat::Bf16)),
            (Compute::Int8 | Compute::Auto, Device::Cpu) => (Precision::Int8, None),
            (Compute::Int8 | Compute::Auto, _) => (Precision::Int8, Some(NpuFormat::Int8)),
        };
        Ok(Self { cpu, npu })
    }

    /// Name of the encoder's format in reports.
    pub fn name(self) -> &'static str {
        match self.npu {
            Some(NpuFormat::Bf16) => "bf16",
            Some(NpuFormat::Int8) | None => self.cpu.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_device_is_the_same_numbers_or_an_error() {
        for device in [Device::Npu, Device::NpuEmulator] {
            for compute in [Compute::Auto, Compute::Int8] {
                let on = |device| ComputeTypes::new(compute, device).expect("both have int8");
                assert_eq!(
                    on(Device::Cpu),
                    ComputeTypes {
                        cpu: Precision::Int8,
                        npu: None
                    }
                );
                assert_eq!(
                    on(device),
                    ComputeTypes {
                        cpu: Precision::Int8,
                        npu: Some(NpuFormat::Int8)
                    }
                );
            }
            assert!(
                ComputeTypes::new(Compute::F32, device)
                    .is_err_and(|e| e.to_string().contains(device.name()))
            );
            assert_eq!(
                ComputeTypes::new(Compute::Bf16, device)
                    .expect("an NPU has bf16")
                    .name(),
                "bf16"
            );
        }
        assert_eq!(
            ComputeTypes::new(Compute::F32, Device::Cpu)
                .expect("the CPU has f32")
                .name(),
            "f32"
        );
        assert!(ComputeTypes::new(Compute::Bf16, Device::Cpu).is_err());
    }

    #[test]
    fn devices_and_formats_have_one_name() {
        for compute in Compute::value_variants() {
            let value = compute.to_possible_value().expect("no variant is hidden");
            assert_eq!(value.get_name(), compute.name());
        }
        for device in Device::value_variants() {
            let value = device.to_possible_value().expect("no variant is hidden");
            assert_eq!(value.get_name(), device.name());
        }
    }
}
