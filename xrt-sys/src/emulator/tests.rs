//! The emulator through its ABI: results are right, and every broken rule is detected.

use super::*;
use crate::api::*;
use crate::bfp16::Block;
use crate::manifest::{Manifest, Overlay, Role, Type};
use half::bf16;
use std::ffi::{CString, c_int};
use std::ptr::null_mut;
use std::time::Duration;

const SHAPE: [usize; 3] = [8, 512, 64];
const OTHER: [usize; 3] = [16, 1024, 128];

/// A device with an open overlay of one number format, and a run with its buffers.
struct Bench {
    api: Api,
    machine: Arc<Machine>,
    overlay: Overlay,
    directory: tempfile::TempDir,
    device: *mut Device,
    xclbin: *mut Xclbin,
    context: *mut Context,
    kernel: *mut Kernel,
    run: *mut Run,
    /// Instructions, A, B, C.
    buffers: [*mut Buffer; 4],
}

/// Calls that must succeed.
macro_rules! ok {
    ($bench:expr, $name:ident($($arg:expr),*)) => {{
        // SAFETY: the handles are the bench's own, or are meant to be rejected.
        let code = unsafe { ($bench.api.$name)($($arg),*) };
        assert_eq!(code, OK, "{}: {}", stringify!($name), $bench.api.error_text());
    }};
}

/// The status of a call.
macro_rules! code {
    ($bench:expr, $name:ident($($arg:expr),*)) => {
        // SAFETY: as for `ok`.
        unsafe { ($bench.api.$name)($($arg),*) }
    };
}

impl Bench {
    fn new(dtype: Type, faults: &[Fault]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let manifest = write_overlays(directory.path(), &[SHAPE, OTHER]).expect("overlays");
        let overlay = manifest
            .gemms
            .into_iter()
            .find(|overlay| overlay.a.dtype == dtype)
            .expect("an overlay");
        let (index, machine) = machine(faults);
        let mut bench = Self {
            api: api(),
            machine,
            overlay,
            directory,
            device: null_mut(),
            xclbin: null_mut(),
            context: null_mut(),
            kernel: null_mut(),
            run: null_mut(),
            buffers: [null_mut(); 4],
        };
        ok!(bench, device_open(index, &mut bench.device));
        let path = bench.directory.path().join(&bench.overlay.xclbin.file);
        let path = CString::new(path.to_str().expect("a path")).expect("a text");
        ok!(
            bench,
            xclbin_open(bench.device, path.as_ptr(), &mut bench.xclbin)
        );
        ok!(bench, context_open(bench.xclbin, &mut bench.context));
        ok!(
            bench,
            kernel_open(bench.context, c"MLIR".as_ptr(), &mut bench.kernel)
        );
        ok!(bench, run_new(bench.kernel, &mut bench.run));
        bench.prepare(SHAPE);
        bench
    }

    /// Allocates buffers for a shape and sets them as arguments of the run.
    fn prepare(&mut self, shape: [usize; 3]) {
        let [m, k, n] = shape;
        let stream = self
            .overlay
            .streams
            .iter()
            .find(|s| [s.m, s.k, s.n] == shape)
            .expect("a stream")
            .clone();
        let data = stream.read(self.directory.path()).expect("instructions");
        let Overlay { a, b, c, .. } = &self.overlay;
        let sizes = [
            data.len(),
            a.dtype.bytes(m * k),
            b.dtype.bytes(k * n),
            c.dtype.bytes(m * n),
        ];
        let old = self.buffers;
        for (i, role) in [Role::Instructions, Role::A, Role::B, Role::C]
            .into_iter()
            .enumerate()
        {
            let index = self.overlay.argument(role);
            let mut group = u32::MAX;
            ok!(self, kernel_group(self.kernel, index, &mut group));
            let kind = if i == 0 { CACHEABLE } else { HOST_ONLY };
            ok!(
                self,
                buffer_new(self.device, sizes[i], kind, group, &mut self.buffers[i])
            );
            ok!(self, run_set_buffer(self.run, index, self.buffers[i]));
        }
        old.iter()
            .filter(|buffer| !buffer.is_null())
            .for_each(|buffer| ok!(self, buffer_free(*buffer)));
        self.write(0, &data);
        self.sync(0, TO_DEVICE);
        ok!(
            self,
            run_set_scalar(self.run, 0, (&raw const OPCODE).cast(), 8)
        );
        let words = stream.words as u32;
        ok!(
            self,
            run_set_scalar(self.run, 2, (&raw const words).cast(), 4)
        );
    }

    /// Returns the host's view of a buffer.
    fn host(&self, buffer: usize) -> *mut [u8] {
        let mut pointer = null_mut();
        ok!(self, buffer_map(self.buffers[buffer], &mut pointer));
        let object =
            objects::find::<objects::Buffer>(self.buffers[buffer].addr()).expect("a buffer");
        std::ptr::slice_from_raw_parts_mut(pointer.cast(), object.host.len())
    }

    fn read(&self, buffer: usize) -> Vec<u8> {
        // SAFETY: the memory lives as long as the bench, and nothing writes to it now.
        unsafe { &*self.host(buffer) }.to_vec()
    }

    fn write(&self, buffer: usize, data: &[u8]) {
        // SAFETY: the memory lives as long as the bench, and nothing else refers to it.
        unsafe { &mut *self.host(buffer) }.copy_from_slice(data);
    }

    fn sync(&self, buffer: usize, direction: u32) {
        ok!(
            self,
            buffer_sync(self.buffers[buffer], direction, self.read(buffer).len(), 0)
        );
    }

    fn wait(&self) -> u32 {
        let mut state = u32::MAX;
        ok!(self, run_wait(self.run, 10_000, &mut state));
        state
    }

    /// Returns the status with which a start is rejected.
    fn start(&self) -> c_int {
        code!(self, run_start(self.run))
    }

    fn release(self) {
        ok!(self, run_free(self.run));
        ok!(self, kernel_close(self.kernel));
        ok!(self, context_close(self.context));
        self.buffers
            .iter()
            .for_each(|buffer| ok!(self, buffer_free(*buffer)));
        ok!(self, xclbin_close(self.xclbin));
        ok!(self, device_close(self.device));
        assert_eq!(self.machine.objects(), 0);
    }
}

static OPCODE: u64 = 3;

fn noise(n: usize, seed: usize) -> Vec<i8> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 255) as i8)
        .collect()
}

/// Unpacks B in its declared order, with the loops of `kernels/MANIFEST.md`; `inner` is (k, n) of a
/// block's values.
fn pack<T: Copy>(
    b: &[T],
    [_, k, n]: [usize; 3],
    slice: usize,
    inner: impl Fn(usize) -> (usize, usize),
) -> Vec<T> {
    let mut packed = Vec::new();
    for column in 0..n / 64 {
        for tile in 0..k / 512 {
            for part in 0..512 / slice {
                for nb in 0..8 {
                    for kb in 0..slice / 8 {
                        for i in 0..64 {
                            let (ki, ni) = inner(i);
                            packed.push(
                                b[(tile * 512 + part * slice + kb * 8 + ki) * n
                                    + column * 64
                                    + nb * 8
                                    + ni],
                            );
                        }
                    }
                }
            }
        }
    }
    packed
}

#[test]
fn whole_numbers_are_multiplied_exactly() {
    let mut bench = Bench::new(Type::I8, &[]);
    for shape in [SHAPE, OTHER, SHAPE] {
        bench.prepare(shape);
        let [m, k, n] = shape;
        let (mut a, mut b) = (noise(m * k, 1), noise(k * n, 2));
        // The largest possible sums.
        a[..k].fill(-128);
        (0..k).for_each(|i| b[i * n] = -128);
        bench.write(1, bytes(&a));
        bench.write(2, bytes(&pack(&b, shape, 64, |i| (i / 8, i % 8))));
        bench.sync(1, TO_DEVICE);
        bench.sync(2, TO_DEVICE);
        assert_eq!(bench.start(), OK, "{}", bench.api.error_text());
        assert_eq!(bench.wait(), COMPLETED);
        bench.sync(3, FROM_DEVICE);
        let got: Vec<i32> = bench
            .read(3)
            .as_chunks()
            .0
            .iter()
            .map(|c| i32::from_le_bytes(*c))
            .collect();
        let sum = |i: usize| {
            (0..k)
                .map(|j| i32::from(a[i / n * k + j]) * i32::from(b[j * n + i % n]))
                .sum::<i32>()
        };
        assert_eq!(got[0], 16384 * k as i32);
        assert_eq!(got, (0..m * n).map(sum).collect::<Vec<_>>());
    }
    assert_eq!(bench.machine.misuses(), 0);
    bench.release();
}

fn bytes(x: &[i8]) -> &[u8] {
    // SAFETY: both are single bytes.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

#[test]
fn bfp16_products_are_those_of_the_rounded_operands() {
    let mut bench = Bench::new(Type::Bf16, &[]);
    bench.prepare(OTHER);
    let [m, k, n] = OTHER;
    let value = |x: &i8| f32::from(*x) / 37.0;
    let a: Vec<f32> = noise(m * k, 3)
        .iter()
        .map(|x| bf16::from_f32(value(x)).to_f32())
        .collect();
    let b: Vec<f32> = noise(k * n, 4).iter().map(value).collect();
    bench.write(
        1,
        &a.iter()
            .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
            .collect::<Vec<_>>(),
    );
    let packed = pack(&b, OTHER, 128, |i| (i % 8, i / 8));
    let blocks = packed.as_chunks::<8>().0.iter();
    bench.write(
        2,
        &blocks
            .flat_map(|block| Block::round(*block).to_bytes())
            .collect::<Vec<_>>(),
    );
    bench.sync(1, TO_DEVICE);
    bench.sync(2, TO_DEVICE);
    assert_eq!((bench.start(), bench.wait()), (OK, COMPLETED));
    bench.sync(3, FROM_DEVICE);
    let got: Vec<f64> = bench
        .read(3)
        .as_chunks()
        .0
        .iter()
        .map(|c| bf16::from_le_bytes(*c).to_f64())
        .collect();
    let rounded = |row: usize, j: usize| {
        let block: [f32; 8] = std::array::from_fn(|i| a[row * k + j / 8 * 8 + i]);
        f64::from(Block::round(block).values()[j % 8])
    };
    let weight = |j: usize, col: usize| {
        let block: [f32; 8] = std::array::from_fn(|i| b[(j / 8 * 8 + i) * n + col]);
        f64::from(Block::round(block).values()[j % 8])
    };
    for (row, col) in [(0, 0), (1, 9), (7, 63), (15, 64), (15, 127), (8, 100)] {
        let want: f64 = (0..k).map(|j| rounded(row, j) * weight(j, col)).sum();
        let mass: f64 = (0..k)
            .map(|j| (rounded(row, j) * weight(j, col)).abs())
            .sum();
        let error = (got[row * n + col] - want).abs();
        assert!(
            error <= want.abs() / 256.0 + 1e-6 * mass,
            "({row}, {col}): {} {want}",
            got[row * n + col]
        );
    }
    bench.release();
}

#[test]
fn without_a_sync_the_device_sees_rubbish() {
    let bench = Bench::new(Type::I8, &[]);
    let [m, k, n] = SHAPE;
    bench.write(1, &vec![0; m * k]);
    bench.write(2, &vec![1; k * n]);
    bench.sync(2, TO_DEVICE);
    assert_eq!((bench.start(), bench.wait()), (OK, COMPLETED));
    // A was not synchronised, so it is not zero.
    bench.sync(3, FROM_DEVICE);
    assert!(bench.read(3).iter().any(|x| *x != 0));
    bench.sync(1, TO_DEVICE);
    assert_eq!((bench.start(), bench.wait()), (OK, COMPLETED));
    assert!(
        bench.read(3).iter().any(|x| *x != 0),
        "C was not synchronised but still shows"
    );
    bench.sync(3, FROM_DEVICE);
    assert!(bench.read(3).iter().all(|x| *x == 0));
    bench.release();
}

#[test]
fn a_start_that_hardware_would_answer_with_a_hang_is_refused() {
    let mut bench = Bench::new(Type::I8, &[]);
    let refused = |bench: &Bench, why: &str| {
        let code = bench.start();
        let text = bench.api.error_text();
        assert!(code == MISUSE && text.contains(why), "{why}: {code} {text}");
    };
    for (index, value, size, why) in [
        (0, 2u64, 8, "opcode"),
        (0, 3, 4, "opcode"),
        (2, 1, 4, "instruction words"),
        (2, 10, 8, "instruction words"),
    ] {
        ok!(
            bench,
            run_set_scalar(bench.run, index, (&raw const value).cast(), size)
        );
        refused(&bench, why);
        bench.prepare(SHAPE);
    }
    // Instructions that were not synchronised, or belong to a different xclbin, have an unknown
    // hash.
    let mut changed = bench.read(0);
    changed[20] ^= 1;
    bench.write(0, &changed);
    bench.sync(0, TO_DEVICE);
    refused(&bench, "instructions");
    bench.prepare(SHAPE);
    ok!(bench, run_set_buffer(bench.run, 4, bench.buffers[1]));
    refused(&bench, "one buffer");
    bench.prepare(SHAPE);
    ok!(bench, run_set_buffer(bench.run, 3, bench.buffers[0]));
    refused(&bench, "kind");
    // The stream of one shape with the buffers of another.
    bench.prepare(SHAPE);
    let small = bench.buffers[1];
    bench.buffers[1] = null_mut();
    bench.prepare(OTHER);
    ok!(bench, run_set_buffer(bench.run, 3, small));
    refused(&bench, "bytes");
    ok!(bench, run_set_buffer(bench.run, 3, bench.buffers[1]));
    ok!(bench, buffer_free(small));
    assert_eq!(
        code!(bench, run_set_buffer(bench.run, 9, bench.buffers[1])),
        MISUSE
    );
    let mut fresh = null_mut();
    ok!(bench, run_new(bench.kernel, &mut fresh));
    let whole = bench.run;
    let mut state = 0;
    bench.run = fresh;
    refused(&bench, "not set");
    assert_eq!(code!(bench, run_wait(fresh, 10, &mut state)), MISUSE);
    ok!(bench, run_free(fresh));
    bench.run = whole;
    bench.release();
}

#[test]
fn what_a_run_uses_is_left_alone_until_it_is_done() {
    let slow = Fault {
        call: Call::RunStart,
        nth: 1,
        effect: Effect::Slow(Duration::from_millis(300)),
    };
    let bench = Bench::new(Type::I8, &[slow]);
    assert_eq!(bench.start(), OK);
    assert_eq!(bench.start(), MISUSE);
    for buffer in &bench.buffers[1..] {
        assert_eq!(code!(bench, buffer_sync(*buffer, TO_DEVICE, 8, 0)), MISUSE);
        assert_eq!(code!(bench, buffer_free(*buffer)), MISUSE);
    }
    assert_eq!(code!(bench, run_free(bench.run)), MISUSE);
    assert_eq!(bench.wait(), COMPLETED);
    assert_eq!(
        code!(bench, buffer_sync(bench.buffers[1], TO_DEVICE, 8, 1 << 20)),
        MISUSE
    );
    assert_eq!(code!(bench, kernel_close(bench.kernel)), MISUSE);
    assert_eq!(code!(bench, device_close(bench.device)), MISUSE);
    assert_eq!(code!(bench, buffer_free(bench.run.cast())), MISUSE);
    bench.release();
}

#[test]
fn runs_that_fail_or_hang_say_so_and_the_context_can_be_closed() {
    let effects = [(1, Effect::Fail), (2, Effect::Hang)];
    let faults = effects.map(|(nth, effect)| Fault {
        call: Call::RunStart,
        nth,
        effect,
    });
    let bench = Bench::new(Type::I8, &faults);
    assert_eq!((bench.start(), bench.wait()), (OK, FAILED));
    let mut state = 0;
    assert_eq!(bench.start(), OK);
    ok!(bench, run_wait(bench.run, 20, &mut state));
    assert_eq!(state, TIMED_OUT);
    bench.release();
}

#[test]
fn lists_run_in_order_and_their_runs_not_by_themselves() {
    let bench = Bench::new(Type::I8, &[]);
    let other = Bench::new(Type::I8, &[]);
    let mut list = null_mut();
    ok!(bench, list_new(bench.context, &mut list));
    assert_eq!(code!(bench, list_execute(list)), MISUSE);
    assert_eq!(code!(bench, list_add(list, other.run)), MISUSE);
    let [m, k, n] = SHAPE;
    bench.write(1, &vec![1; m * k]);
    bench.write(2, &vec![2; k * n]);
    bench.sync(1, TO_DEVICE);
    bench.sync(2, TO_DEVICE);
    ok!(bench, list_add(list, bench.run));
    assert_eq!(code!(bench, list_add(list, bench.run)), MISUSE);
    assert_eq!(bench.start(), MISUSE);
    let mut state = u32::MAX;
    ok!(bench, list_execute(list));
    ok!(bench, list_wait(list, 10_000, &mut state));
    assert_eq!(state, COMPLETED);
    bench.sync(3, FROM_DEVICE);
    assert_eq!(bench.read(3)[..4], (2 * k as i32).to_le_bytes());
    ok!(bench, list_reset(list));
    assert_eq!((bench.start(), bench.wait()), (OK, COMPLETED));
    ok!(bench, list_free(list));
    bench.release();
    other.release();
}

#[test]
fn a_device_that_vanishes_takes_its_handles_with_it_and_may_come_back() {
    let gone = Fault {
        call: Call::RunStart,
        nth: 1,
        effect: Effect::Vanish(2),
    };
    let bench = Bench::new(Type::I8, &[gone]);
    let index = lock(&MACHINES)
        .iter()
        .position(|machine| Arc::ptr_eq(machine, &bench.machine))
        .expect("a machine") as u32;
    assert_eq!(bench.start(), ERROR);
    assert_eq!(
        code!(bench, buffer_sync(bench.buffers[1], TO_DEVICE, 8, 0)),
        ERROR
    );
    let mut device = null_mut();
    assert_eq!(
        [(); 3].map(|()| code!(bench, device_open(index, &mut device))),
        [ERROR, ERROR, OK]
    );
    assert_eq!(bench.start(), ERROR, "a handle of the device that was");
    ok!(bench, device_close(device));
    bench.release();
    // SAFETY: there is a place for the handle.
    assert_eq!(unsafe { (api().device_open)(u32::MAX, &mut device) }, ERROR);
}

#[test]
fn faults_are_read_from_text_or_explained() {
    let parse = |text: &str| text.parse::<Fault>();
    assert_eq!(
        parse("run_wait:3:error"),
        Ok(Fault {
            call: Call::RunWait,
            nth: 3,
            effect: Effect::Error
        })
    );
    assert_eq!(
        parse("run_start:1:vanish=2").map(|f| f.effect),
        Ok(Effect::Vanish(2))
    );
    assert_eq!(
        parse("list_execute:1:slow=20").map(|f| f.effect),
        Ok(Effect::Slow(Duration::from_millis(20)))
    );
    for wrong in [
        "",
        "run_wait",
        "run_wait:0:error",
        "run_wat:1:error",
        "run_wait:1:explode",
        "run_wait:1:error:1",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_changed_xclbin_is_not_opened() {
    let bench = Bench::new(Type::I8, &[]);
    let path = bench.directory.path().join(&bench.overlay.xclbin.file);
    std::fs::write(&path, "another").expect("a file");
    assert!(Manifest::read(bench.directory.path()).is_ok());
    let path = CString::new(path.to_str().expect("a path")).expect("a text");
    let mut xclbin = null_mut();
    assert_eq!(
        code!(bench, xclbin_open(bench.device, path.as_ptr(), &mut xclbin)),
        ERROR
    );
    assert!(
        bench
            .api
            .error_text()
            .contains("not the file that the manifest declares")
    );
    bench.release();
}
