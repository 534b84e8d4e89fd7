#!/bin/sh
# Bring-up on a machine with an XDNA2 NPU: ordered checks, each with what a failure means, and one
# report to send back.
#   kernels/bring-up.sh [OVERLAYS [REPORT]]
# OVERLAYS: the directory that kernels/build wrote (default target/npu). REPORT: a new file (default
# target/npu-report.txt). Later checks rest on earlier ones: if a check fails, those that need it
# are skipped and reported as skipped. The script changes nothing on the system. Without an NPU it
# reports what is missing and how to get it.
set -u
cd "$(dirname "$0")/.."
overlays=${1:-target/npu}
report=${2:-target/npu-report.txt}
hearken=${HEARKEN:-target/release/hearken}
shim=${HEARKEN_NPU_SHIM:-}
mkdir -p "$(dirname "$report")" || exit 2
: >"$report.new" || exit 2
passed=0 failed=0 skipped=0 broken=""
PATH=$PATH:/opt/xilinx/xrt/bin  # where AMD's own packages of XRT put their tools
export PYTHONPATH=kernels PYTHONDONTWRITEBYTECODE=1

say() { printf '%s\n' "$*" | tee -a "$report.new"; }
detail() { sed 's/^/    /' | tee -a "$report.new"; }
needs() { # names of checks that must have passed
    for needed in "$@"; do
        case " $broken " in *" $needed "*) echo "$needed" && return ;; esac
    done
}
skip() { # name, why
    skipped=$((skipped + 1)) broken="$broken $1"
    say "SKIPPED $1: $2"
}
# name, what a failure means, command: runs it, and keeps its output.
check() {
    name=$1 meaning=$2
    shift 2
    output=$("$@" 2>&1)
    status=$?
    case $status in
        0) passed=$((passed + 1)) && say "PASSED $name" ;;
        3) skip "$name" "something that it needs is missing" ;;
        *)
            failed=$((failed + 1)) broken="$broken $name"
            say "FAILED $name (exit code $status)"
            say "  means: $meaning"
            ;;
    esac
    [ -z "$output" ] || printf '%s\n' "$output" | tail -n 40 | detail
}
# name, earlier checks in one word each, quoted, then as check.
after() {
    # shellcheck disable=SC2086
    missing=$(needs $2)
    if [ -n "$missing" ]; then
        skip "$1" "$missing did not pass"
    else
        name=$1 && shift 2 && check "$name" "$@"
    fi
}
have() { command -v "$1" >/dev/null || { echo "$1 is not installed: $2" && return 1; }; }
on_npu() { timeout 900 python3 -m hearken_kernels.bringup "$shim" "$overlays" "$1"; }

# Verdict about a release of Linux and the firmware (docs/npu.md, table of systems).
kernel_verdict() {
    case $1 in
        [0-5].*|6.[0-9].*|6.1[0-3].*) echo "Linux $1: no driver; install Linux 7.0 or newer, or amdxdna-dkms" ;;
        6.*) echo "Linux $1: its driver accepts firmware protocol 6 only; with current linux-firmware" \
            "install Linux 7.0 or newer, or amdxdna-dkms (dmesg: 'Incompatible firmware protocol')" ;;
        *) echo "Linux $1: recent enough for current firmware" ;;
    esac
}
iommu_verdict() { # the kernel's parameters
    case " $1 " in
        *" amd_iommu=off "*|*" iommu=off "*)
            echo "the IOMMU is off, so the NPU cannot reach memory: remove amd_iommu=off, or iommu=pt" ;;
        *) echo "the kernel's parameters leave the IOMMU on" ;;
    esac
}
# Archives of tests for `xrt-smi validate`: no distribution's package has them.
archives() {
    find /opt/xilinx/xrt /usr/share /usr/lib "$HOME/.local/share/xrt" -name 'xrt_smi_*.a' 2>/dev/null |
        head -n 1
}

# ---- the machine ----
system() {
    uname -srm
    kernel_verdict "$(uname -r)"
    iommu_verdict "$(cat /proc/cmdline)"
    ls /lib/firmware/amdnpu/*/ 2>/dev/null || echo "no firmware in /lib/firmware/amdnpu"
    grep -m 1 'model name' /proc/cpuinfo | cut -d : -f 2-
    cat /sys/class/dmi/id/product_name 2>/dev/null
    git -C . rev-parse HEAD 2>/dev/null
    for device in /sys/class/accel/accel*/device; do
        for file in "$device/vendor" "$device/device" "$device/fw_version"; do
            [ ! -r "$file" ] || echo "$file: $(cat "$file")"
        done
    done
}
driver() {
    [ -e /sys/module/amdxdna ] || {
        echo "the kernel module amdxdna is not loaded"
        kernel_verdict "$(uname -r)"
        return 1
    }
    case " $(iommu_verdict "$(cat /proc/cmdline)")" in
        *" is off"*) iommu_verdict "$(cat /proc/cmdline)" && return 1 ;;
    esac
    dmesg 2>/dev/null | grep -i amdxdna | tail -n 5
    true
}
node() {
    # The driver's own node: another accelerator may be accel0.
    found=$(ls -d /sys/bus/pci/drivers/amdxdna/*/accel/accel* 2>/dev/null | head -n 1)
    [ -n "$found" ] || {
        echo "the driver has created no node: it has not found an NPU, or refused its firmware"
        kernel_verdict "$(uname -r)"
        return 1
    }
    found=/dev/accel/${found##*/}
    ls -l "$found"
    [ -r "$found" ] && [ -w "$found" ] || {
        echo "permission denied: sudo usermod -aG render $(id -un), then log in again"
        return 1
    }
}
memory_lock() {
    limit=$(ulimit -l)
    echo "RLIMIT_MEMLOCK: $limit KiB"
    [ "$limit" = unlimited ] || [ "$limit" -ge 1048576 ] || {
        echo "too low: buffers are locked memory; set it to unlimited in /etc/security/limits.d," \
            "then log in again"
        return 1
    }
}
examine() {
    have xrt-smi "package libxrt-utils (Debian backports, Ubuntu), xrt (Arch)" || return 1
    timeout 60 xrt-smi examine
}
validate() {
    [ -n "$(archives)" ] || {
        echo "the archives of tests (xrt_smi_*.a) are not installed; nothing is wrong with the NPU"
        return 3
    }
    timeout 300 xrt-smi validate
}
plugin() {
    if [ -z "$shim" ]; then
        for candidate in target/release /usr/local/lib/hearken; do
            candidate=$candidate/libhearken_xrt.so
            [ ! -e "$candidate" ] || { echo "$candidate" && return 0; }
        done
        echo "there is no libhearken_xrt.so: install XRT 2.17 or newer with its headers" \
            "(libxrt-dev), then run make shim"
        return 1
    fi
    echo "$shim"
    [ -e "$shim" ]
}
overlay_files() {
    [ -e "$overlays/manifest.json" ] || {
        echo "there is no $overlays/manifest.json: build it with kernels/build $overlays"
        return 1
    }
    python3 - "$overlays" <<'PYTHON'
import hashlib, json, pathlib, sys
directory = pathlib.Path(sys.argv[1])
manifest = json.loads((directory / "manifest.json").read_text())
print(json.dumps(manifest["provenance"]))
wrong = 0
for overlay in manifest["overlays"]:
    print(overlay["name"], len(overlay["streams"]), "streams")
    for entry in [overlay["xclbin"], *overlay["streams"]]:
        path = directory / entry["file"]
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            print(f"{path} is missing or not the file that was built")
            wrong = 1
sys.exit(wrong)
PYTHON
}
kill_and_reopen() {
    log=$(mktemp)
    python3 -m hearken_kernels.bringup "$shim" "$overlays" endless >"$log" 2>&1 &
    endless=$!
    turns=0
    while ! grep -q running "$log" && [ "$turns" -lt 300 ]; do
        sleep 0.1
        turns=$((turns + 1))
    done
    sleep 1
    kill -9 "$endless" 2>/dev/null
    wait "$endless" 2>/dev/null
    grep -q running "$log" || { cat "$log" && rm -f "$log" && return 1; }
    rm -f "$log"
    on_npu identity
}
with_npu() { HEARKEN_NPU_SHIM=$shim HEARKEN_NPU_OVERLAYS=$overlays "$@"; }
encoder() { # compute type
    [ -x "$hearken" ] || { echo "there is no $hearken: run make" && return 1; }
    "$hearken" doctor | grep -i npu
    measured=$(with_npu timeout 1800 "$hearken" bench encoder --device npu --compute "$1" \
        --iterations 100 --json) || return 1
    printf '%s\n' "$measured" | python3 -m hearken_kernels.bringup.report encoder "$1"
}
golden() {
    measured=$(with_npu timeout 900 "$hearken" bench encoder --device npu --compute int8 \
        --golden tests/data/golden --model base --json) || return 1
    printf '%s\n' "$measured" | python3 -m hearken_kernels.bringup.report golden int8
}
service() {
    have systemd-run "package systemd" || return 3
    python3 -m hearken_kernels.bringup.service packaging/hearken.service.in \
        HEARKEN_NPU_SHIM="$shim" HEARKEN_NPU_OVERLAYS="$(realpath "$overlays")" \
        "$(realpath "$hearken")" bench encoder --device npu --iterations 1
}
transcript() {
    cpu=$(timeout 300 "$hearken" --file tests/data/jfk.flac --device cpu) || return 1
    npu=$(with_npu timeout 300 "$hearken" --file tests/data/jfk.flac --device npu) || return 1
    echo "CPU: $cpu"
    echo "NPU: $npu"
    [ "$cpu" = "$npu" ]
}

say "Bring-up of Hearken on the NPU. $(date -u +%FT%TZ)"
check system "nothing; it describes this machine" system
check python3 "the checks are written in Python" have python3 "package python3"
check driver "no driver, so everything below looks like 'no device'" driver
after device-node driver "the driver runs but provides no device, or not to this user" node
check memory-lock "buffers cannot be made; XRT reports 'no device' or 'mmap failed'" memory_lock
after examine device-node \
    "XRT and the driver do not match, or the firmware is too old (xdna-driver issue 1074)" examine
after validate examine \
    "the NPU itself, its firmware or its power mode; Hearken is not involved yet" validate
check plugin "the shared object that the daemon loads was not built" plugin
case " $broken " in *" plugin "*) ;; *) shim=$(plugin) ;; esac
check overlays "the files are not those that kernels/build wrote" overlay_files
after open "python3 device-node plugin" \
    "the shim cannot open the device but xrt-smi can: was it built against other headers than the \
installed XRT?" on_npu device
after passthrough "open overlays" \
    "data do not get through the tiles: the xclbin is refused (firmware), or its data flow hangs. \
Nothing else can work" on_npu passthrough
after identity "open overlays" \
    "wrong but finite values: wrong packing of B or blocks of A, send the first wrong elements; a \
time-out: the operator's barrier or the instruction count (words or bytes)" on_npu identity
after signed-random identity \
    "errors of 1e-2 are truncation, rounding was not set; larger errors with signed data only: see \
BF16_SIGNED_VALUE_BUG in docs/npu.md" on_npu random
after shapes identity \
    "a shape leaves state behind in the array; a hang at the second shape is a barrier that is not \
taken back (amd/IRON)" on_npu shapes
after int8 "open overlays" \
    "this project's own design, which --device npu uses by default; until it is fixed, add \
--compute bf16" on_npu int8
after int8-repeats int8 \
    "as for repeats, below, in the product that is the default" on_npu int8-repeats
after repeats identity \
    "an unstable result is a race of buffers or a missing sync; a time-out after many runs is a \
leak in the driver" on_npu repeats
after kill-and-reopen identity \
    "a killed process leaves the NPU unusable: the daemon cannot recover; send dmesg" \
    kill_and_reopen
after operators "open overlays" \
    "bias-gelu, layer-norm, residual or attention, the second step; the encoder does not use them \
yet" on_npu operators
after encoder int8 \
    "the encoder's own use of the device; the report has the times of its parts" encoder int8
after encoder-bf16 "signed-random shapes" \
    "the same in bf16; its cosine to f32 should be 0.996 or more" encoder bf16
after golden encoder \
    "the states differ from openai-whisper's in PyTorch: cosine of the worst position below 0.99" golden
after service encoder \
    "the daemon's sandbox keeps the NPU from it, although a terminal has it: send the text" service
after transcript encoder \
    "the encoder computes something else than the CPU, although its products are exact" transcript
# Last, since it is the most likely to hang the device (amd/IRON issue 43, xdna-driver issue 906).
after run-list repeats \
    "run lists time out or mix up results; the daemon uses them only on request" on_npu list
say "$passed passed, $failed failed, $skipped skipped"
mv "$report.new" "$report"
echo "The report is $report; please send it back." >&2
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
