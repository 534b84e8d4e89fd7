"""Measures push-to-talk: the time from Stop to the final text, and whether the last word is there. The daemon runs on a
message bus and a sound server of its own, and the recordings are played in real time.

    python3 benches/daemon/push_to_talk.py RECORDING...      # WAV files, 16 bit, mono

Each recording is cut at its last syllable. The key is let go there, and once more some time later. Needs what measure.py
needs, and PyGObject (python3-gi). Prints a table.
"""

import argparse
import array
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

from gi.repository import Gio, GLib

from measure import HEARKEN, Desktop

NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
SESSION = NAME + ".Session"
LONGEST_S = 10.0


def main():
    parser = argparse.ArgumentParser(description="Measure the time from Stop to the final text.")
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="WAV file; longer than 10 s is skipped")
    parser.add_argument("--later", type=float, nargs="+", default=[0.0, 0.3], metavar="S",
                        help="seconds from the last syllable to Stop [0 0.3]")
    parser.add_argument("--pre-capture", action="store_true", help="keep the microphone open")
    parser.add_argument("--language", default="en", help="language spoken; empty to detect it [en]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hearken-measure-") as folder:
        if arguments.pre_capture:
            configuration = Path(folder, "hearken", "config.toml")
            configuration.parent.mkdir()
            configuration.write_text("[audio]\npre_capture = 10\n")
        desktop = Desktop(folder)
        try:
            measure(desktop, Path(folder), arguments)
        finally:
            desktop.end()


def measure(desktop, folder, arguments):
    client = Client(desktop.environment["DBUS_SESSION_BUS_ADDRESS"], arguments.language)
    print("| Stop after the last syllable | utterances | Start to open microphone, p50 | Stop to final, p50 / p95 | last word lost |")
    print("|---|---|---|---|---|")
    for later in arguments.later:
        opened, times, lost = [], [], []
        for recording in arguments.recordings:
            path = folder / "speech.wav"
            if cut(recording, path) > LONGEST_S:
                continue
            text, open_s, final_s = client.utterance(path, later, desktop.environment)
            expected = last_word(transcript(path, arguments.language))
            if expected and not text:
                lost.append(recording.stem)
                continue
            opened.append(open_s)
            times.append(final_s)
            if expected and expected != last_word(text):
                lost.append(f"{recording.stem} ({last_word(text)} for {expected})")
        print(f"| {later} s | {len(times)} | {rank(opened, 0.5):.2f} s | {rank(times, 0.5):.2f} / {rank(times, 0.95):.2f} s | {len(lost)} |", flush=True)
        for name in lost:
            print(f"last word lost or heard otherwise: {name}", file=sys.stderr)


class Client:
    """A client with one session."""

    def __init__(self, address, language):
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self.bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        self.bus.signal_subscribe(NAME, None, None, None, None, 0, self.note)
        self.finals, self.state = [], None
        options = GLib.Variant("(a{sv})", ({"language": GLib.Variant("s", language)},))
        self.path, = self.call(ROOT, NAME + ".Manager", "CreateSession", options)

    def note(self, bus, sender, path, interface, name, arguments):
        if name == "Final":
            self.finals.append(arguments[2])
        elif name == "PropertiesChanged" and arguments[0] == SESSION:
            self.state = arguments[1].get("State", self.state)

    def call(self, path, interface, method, arguments=None):
        return self.bus.call_sync(NAME, path, interface, method, arguments, None, 0, 10000, None).unpack()

    def until(self, condition, seconds=10.0):
        """Waits for a condition; returns how long that took."""
        begun = time.monotonic()
        while not condition() and time.monotonic() - begun < seconds:
            GLib.MainContext.default().iteration(False) or time.sleep(0.001)
        return time.monotonic() - begun

    def utterance(self, path, later, environment):
        """Plays a recording while the key is held. Returns the text, the seconds until the microphone was open, and those
        from Stop to the last text."""
        self.finals.clear()
        self.call(self.path, SESSION, "Start")
        open_s = self.until(lambda: self.state == 3)
        subprocess.run(["paplay", "--latency-msec=30", path], env=environment, check=True)
        time.sleep(later)
        self.call(self.path, SESSION, "Stop")
        # Utterances that ended before Stop have their text already; the state is idle after the last one.
        final_s = self.until(lambda: self.state == 1)
        return " ".join(self.finals), open_s, final_s


def cut(recording, path):
    """Writes a recording up to its last syllable; returns its length in seconds."""
    with wave.open(str(recording)) as source:
        rate, samples = source.getframerate(), array.array("h", source.readframes(source.getnframes()))
    frame = rate // 100
    power = [sum(x * x for x in samples[i:i + frame]) for i in range(0, len(samples) - frame, frame)]
    loud = sorted(power)[int(0.95 * len(power))]
    end = (max(i for i, p in enumerate(power) if p > loud / 100) + 1) * frame
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", None))
        out.writeframes(samples[:end].tobytes())
    return end / rate


def transcript(path, language):
    """The text of the same recording as a file."""
    given = ["--language", language] if language else []
    done = subprocess.run([HEARKEN, "--file", path, *given], capture_output=True, text=True, check=True)
    return done.stdout


def last_word(text):
    words = text.split()
    return "".join(c for c in words[-1].lower() if c.isalnum()) if words else ""


def rank(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


if __name__ == "__main__":
    main()
