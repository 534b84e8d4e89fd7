"""Measures dictation into a window: how soon words stand in the field, what the agent takes of the machine, whether the
keyboard waits, and whether a thousand utterances with focus changes arrive. X server, IBus, sound server and window are
real and of its own.

    python3 benches/desktop/desktop.py RECORDING...      # WAV files, 16 bit, mono, up to 10 s

Needs what the tests need (`make test` installs it). Prints a table.
"""

import argparse
import json
import os
import queue
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from gi.repository import Gio, GLib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches" / "daemon"))
from measure import HEARKEN, TICKS, Desktop  # noqa: E402
from push_to_talk import LONGEST_S, cut, rank  # noqa: E402

PYTHON = "/usr/bin/python3"
PROGRAMS = ROOT / "tests" / "desktop" / "programs"
CONFIGURATION = '[text]\nlanguage = "en"\n[hotkey]\nvia = "x11"\nkeys = "F9"\nmode = "hold"\n[type]\ncase = "keep"\n'
FLAGS = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION


class Program:
    """A program of the tests that obeys lines and tells events."""

    def __init__(self, session, name):
        self.process = session.start(PYTHON, "-u", PROGRAMS / name, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.wait(lambda event: event["event"] == "ready")

    def read(self):
        for line in self.process.stdout:
            self.events.put((time.monotonic(), json.loads(line)))

    def wait(self, wanted, seconds=20):
        """Waits for an event; returns it and those before it."""
        seen = []
        until = time.monotonic() + seconds
        while True:
            seen.append(self.events.get(timeout=max(0.01, until - time.monotonic())))
            if wanted(seen[-1][1]):
                return seen

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.wait(lambda event: event["event"] == "done" and event["text"] == line)

    def rest(self):
        """Events that have come."""
        seen = []
        while not self.events.empty():
            seen.append(self.events.get())
        return seen


class Window(Desktop):
    """A session with a window in it; `is_spoken` has the daemon, otherwise a stand-in says what is spoken."""

    def __init__(self, folder, is_spoken):
        configuration = Path(folder, "hearken", "config.toml")
        configuration.parent.mkdir()
        configuration.write_text(CONFIGURATION)
        if is_spoken:
            super().__init__(folder)
        else:
            self.programs = []
            self.environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": folder}
            bus = self.start("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", stdout=subprocess.PIPE)
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
            self.speaker = Program(self, "daemon.py")
        display = self.start("Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp",
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.readline().decode().strip()
        components = f"{ROOT / 'packaging' / 'ibus'}:/usr/share/ibus/component"
        self.environment.pop("WAYLAND_DISPLAY", None)
        self.environment |= {"DISPLAY": f":{display}", "GDK_BACKEND": "x11", "GTK_IM_MODULE": "ibus", "NO_AT_BRIDGE": "1",
                             "GSETTINGS_BACKEND": "memory", "IBUS_COMPONENT_PATH": components}
        self.start("ibus-daemon", "--panel", "disable", stderr=subprocess.DEVNULL)
        self.until(lambda: self.run("ibus", "engine", "xkb:us::eng").returncode == 0)
        self.window = Program(self, "gtk3.py")
        self.until(lambda: self.run("xdotool", "search", "--name", "hearken-target", "windowfocus").returncode == 0)
        self.log = tempfile.TemporaryFile()
        self.agent = self.start(HEARKEN, "desktop", stderr=self.log)
        self.wait_for_state(1)

    def run(self, *command):
        return subprocess.run([str(part) for part in command], env=self.environment, capture_output=True, text=True)

    def wait_for_state(self, state):
        place = ["org.hearken.Desktop1", "/org/hearken/Desktop1", "org.hearken.Desktop1.Dictation", "State"]
        self.until(lambda: self.run("busctl", "--user", "get-property", *place).stdout == f"u {state}\n")

    def ask(self, method, state):
        self.run("busctl", "--user", "call", "org.hearken.Desktop1", "/org/hearken/Desktop1", "org.hearken.Desktop1.Dictation", method)
        self.wait_for_state(state)

    def say(self, utterance, committed, interim="", is_final=False):
        line = {"final": [utterance, committed]} if is_final else {"partial": [utterance, committed, interim]}
        self.speaker.tell(json.dumps(line))


def main():
    parser = argparse.ArgumentParser(description="Measure dictation into a window.")
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="WAV file; longer than 10 s is skipped")
    parser.add_argument("--utterances", type=int, default=1000, metavar="N", help="utterances with focus changes [1000]")
    arguments = parser.parse_args()
    print("| | p50 | p95 | p99 | n |\n|---|---|---|---|---|")
    with session(True) as window:
        words, last = spoken(window, arguments.recordings)
        row("word spoken to word in the field", words, "s")
        row("key released to last word in the field", last, "s")
    with session(False) as window:
        print(f"| agent idle: processor, memory | {idle(window)} | | | |", flush=True)
        window.ask("Start", 2)
        row("commit to text in the field", [1000 * x for x in commits(window, 200)], "ms")
        row("key through IBus, both cores busy", [1000 * x for x in keys(window, 1000)], "ms")
        print(f"| {arguments.utterances} utterances with focus changes | {focus_changes(window, arguments.utterances)} | | | |")


class session:
    def __init__(self, is_spoken):
        self.is_spoken = is_spoken

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hearken-measure-")
        self.window = Window(self.folder.name, self.is_spoken)
        return self.window

    def __exit__(self, *_):
        self.window.end()
        self.folder.cleanup()


def row(name, values, unit):
    ranks = " | ".join(f"{rank(values, share):.2f} {unit}" for share in (0.5, 0.95, 0.99))
    print(f"| {name} | {ranks} | {len(values)} |", flush=True)


def plain(text):
    return ["".join(c for c in word.lower() if c.isalnum()) for word in text.split()]


def spoken(window, recordings):
    """Seconds from the end of each word to its text, and from the release of the key to the last text."""
    words, last = [], []
    for recording in recordings:
        path = Path(window.environment["XDG_RUNTIME_DIR"], "speech.wav")
        if cut(recording, path) > LONGEST_S:
            continue
        done = window.run(HEARKEN, "--file", path, "--language", "en", "--word-timestamps", "--format", "json")
        timed = [word for segment in json.loads(done.stdout)["segments"] for word in segment["words"]]
        window.window.tell("set ")
        window.run("xdotool", "keydown", "F9")
        window.wait_for_state(2)
        player = window.start("paplay", "--latency-msec=30", path)
        begun = time.monotonic()
        player.wait()
        released = time.monotonic()
        window.run("xdotool", "keyup", "F9")
        window.wait_for_state(1)
        texts = [(at, plain(event["text"])) for at, event in window.window.rest() if event["event"] == "text"]
        if not texts:
            continue
        last.append(texts[-1][0] - released)
        for i, word in enumerate(timed):
            arrived = next((at for at, text in texts if len(text) > i and text[i:i + 1] == plain(word["word"])), None)
            if arrived:
                words.append(arrived - begun - word["end"])
    return words, last


def idle(window):
    def ticks():
        fields = Path(f"/proc/{window.agent.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(20)
    share = 100 * (ticks() - before) / TICKS / 20
    memory = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{window.agent.pid}/status").read_text())
    return f"{share:.1f} %, {int(memory[1]) * 1024 / 1e6:.0f} MB"


def commits(window, n):
    """Seconds from a partial with new committed text to the field."""
    times, text = [], ""
    for i in range(n):
        text += f" word{i}"
        begun = time.monotonic()
        window.say(1, text, " and")
        seen = window.window.wait(lambda event: event["event"] == "text" and event["text"].endswith(f"word{i}"))
        times.append(seen[-1][0] - begun)
    window.say(1, text, is_final=True)
    return times


def keys(window, n):
    """Seconds that a program waits for the answer to a key while somebody dictates and both cores are busy."""
    address = window.run("ibus", "address").stdout.strip()
    bus = Gio.DBusConnection.new_for_address_sync(address, FLAGS, None, None)
    def call(path, interface, method, arguments):
        return bus.call_sync("org.freedesktop.IBus", path, "org.freedesktop.IBus" + interface, method, arguments, None, 0, 5000, None)
    path = call("/org/freedesktop/IBus", "", "CreateInputContext", GLib.Variant("(s)", ("bench",))).unpack()[0]
    call(path, ".InputContext", "SetCapabilities", GLib.Variant("(u)", (9,)))
    call(path, ".InputContext", "FocusIn", None)
    load = [window.start("sh", "-c", "while :; do :; done") for _ in range(os.cpu_count())]
    times = []
    try:
        for i in range(n):
            if i % 10 == 0:
                window.say(2, "", f"interim {i}")
            begun = time.monotonic()
            call(path, ".InputContext", "ProcessKeyEvent", GLib.Variant("(uuu)", (0x61, 30, 0)))
            times.append(time.monotonic() - begun)
            time.sleep(0.005)
    finally:
        for program in load:
            program.kill()
    window.say(2, "", is_final=True)
    window.run("xdotool", "search", "--name", "hearken-target", "windowfocus")
    return times


def focus_changes(window, n):
    """Speaks numbers while the focus moves at random; returns what is wrong."""
    random.seed(1)
    fields, texts = ["view", "second", "secret", "button"], {"view": "", "second": "", "secret": ""}
    window.window.tell("set ")
    wrong = 0
    for i in range(1, n + 1):
        number = i + 10
        if random.random() < 0.5:
            window.window.tell(f"focus {random.choice(fields)}")
        window.say(number, f"<{i}a>")
        if random.random() < 0.5:
            window.window.tell(f"focus {random.choice(fields)}")
        window.say(number, f"<{i}a> <{i}b>")
        window.say(number, f"<{i}a> <{i}b> <{i}c>", is_final=True)
    window.ask("Stop", 1)
    time.sleep(1)
    for _, event in window.window.rest():
        if event["event"] == "text":
            texts[event["field"]] = event["text"]
    found = [int(part[0]) for text in texts.values() for part in re.findall(r"<(\d+)a>", text)]
    for name, text in texts.items():
        parts = [(int(number), letter) for number, letter in re.findall(r"<(\d+)([abc])>", text)]
        wrong += parts != sorted(set(parts))
    return f"{len(found)} begun in a field, {len(found) - len(set(found))} doubled, {wrong} fields out of order, password: {texts['secret']!r}"


if __name__ == "__main__":
    main()
