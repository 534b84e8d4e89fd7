"""Runs a program to its end and returns its output, time and memory."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass


class Failed(Exception):
    """A program that failed."""


@dataclass
class Finished:
    """What a program printed, its time from start to end and its processor time on all cores (seconds), its peak
    resident memory (MB, 10^6 bytes), and the share of the machine's processor time that all else took meanwhile
    (0 to 1)."""

    out: str
    err: str
    seconds: float
    processor_s: float
    peak_mb: float
    others: float


def measured(command, environment):
    """Runs `command` and measures it."""
    command = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        busy = busy_seconds()
        start = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        # The kernel counts memory for each child; subprocess's own wait would lose the count.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        processor = usage.ru_utime + usage.ru_stime
        others = busy_seconds() - busy - processor
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        # The kernel counts in ticks: over a short run, the share of others can appear above 1 or below 0.
        share = min(1.0, max(0.0, others / (seconds * os.cpu_count())))
        finished = Finished(out.read(), err.read(), seconds, processor, usage.ru_maxrss * 1024 / 1e6, share)
    if child.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {last_line(finished.err)}")
    return finished


def busy_seconds():
    """Processor time since the machine's start that was not idle, nor waiting for disks."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def check(command, environment, text=None):
    """Runs `command`, gives it `text` to read, and returns what it printed."""
    command = [str(word) for word in command]
    done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {last_line(done.stderr)}")
    return done.stdout


def last_line(text):
    """The last non-empty line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
