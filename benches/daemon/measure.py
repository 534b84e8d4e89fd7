"""Measures the daemon: processor time with the microphone closed, open and during speech, memory, and how
soon text comes, with the real program on a message bus and a sound server of its own.

    python3 benches/daemon/measure.py RECORDING...      # WAV files, which are played in real time

Needs dbus-daemon, pulseaudio and paplay, as the tests do. Prints a line of JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEARKEN = Path(__file__).resolve().parents[2] / "target" / "release" / "hearken"
TICKS = os.sysconf("SC_CLK_TCK")


class Desktop:
    """A private desktop session; what it started ends with it."""

    def __init__(self, folder):
        self.programs = []
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": folder}
        for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "JOURNAL_STREAM"):
            self.environment.pop(name, None)
        bus = self.start("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", stdout=subprocess.PIPE)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        self.start("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                   "-L", "module-native-protocol-unix", "-L", "module-null-sink sink_name=speaker rate=48000",
                   stderr=subprocess.DEVNULL)
        self.daemon = self.start(HEARKEN, "daemon", stderr=subprocess.DEVNULL)
        self.until(lambda: self.status().get("state") == "ready")

    def start(self, *command, **options):
        program = subprocess.Popen([str(part) for part in command], env=self.environment, **options)
        self.programs.append(program)
        return program

    def status(self):
        asked = subprocess.run([HEARKEN, "status", "--json"], env=self.environment, capture_output=True)
        return json.loads(asked.stdout) if asked.returncode == 0 else {}

    def until(self, condition):
        until = time.monotonic() + 30
        while not condition():
            if time.monotonic() > until:
                sys.exit("measure.py: the daemon does not come so far; does `hearken doctor` find all it needs?")
            time.sleep(0.1)

    def share(self, work):
        """Processor time of the daemon during `work`, in percent of one core: utime and stime of proc(5)."""
        def ticks():
            fields = Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        before, begun = ticks(), time.monotonic()
        work()
        return round(100 * (ticks() - before) / TICKS / (time.monotonic() - begun), 2)

    def memory_mb(self, name):
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name + ":"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)

    def end(self):
        for program in reversed(self.programs):
            program.terminate()
            program.wait()


def main():
    parser = argparse.ArgumentParser(description="Measure what the daemon takes of the machine.")
    parser.add_argument("recordings", nargs="+", metavar="RECORDING", help="WAV file to be played")
    parser.add_argument("--seconds", type=float, default=20.0, help="time with the microphone closed, and open [20]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hearken-measure-") as folder:
        desktop = Desktop(folder)
        try:
            print(json.dumps(measure(desktop, arguments)))
        finally:
            desktop.end()


def measure(desktop, arguments):
    def rest():
        time.sleep(arguments.seconds)

    def speak():
        for recording in arguments.recordings:
            subprocess.run(["paplay", recording], env=desktop.environment, check=True)
            time.sleep(1.5)

    closed = desktop.share(rest)
    listening = desktop.start(HEARKEN, "listen", "--json", "--language", "en", stdout=subprocess.DEVNULL)
    desktop.until(lambda: [s["state"] for s in desktop.status().get("sessions", [])] == ["listening"])
    time.sleep(2)
    idle = desktop.share(rest)
    speaking = desktop.share(speak)
    figures = desktop.status()["sessions"][0]["metrics"]
    listening.terminate()
    return {"closed_percent": closed, "idle_percent": idle, "speaking_percent": speaking,
            "rss_mb": desktop.memory_mb("VmRSS"), "peak_mb": desktop.memory_mb("VmHWM"), "metrics": figures}


if __name__ == "__main__":
    main()
