"""The compared programs: commands for transcription and stages, and how to read their output."""

import json
import os
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import install
import run

HERE = Path(__file__).resolve().parent
BEAMS = {"greedy": 1, "beam 5": 5}
# Windows in log-mel frames of 10 ms: Hearken's own and OpenAI's.
WINDOWS = (1024, 3000)
# Hearken's last line on standard error.
CLOSING_LINE = r"s of audio in ([0-9.]+) s"


@dataclass
class Settings:
    """The settings that all programs share."""

    hearken: Path
    peers: install.Peers
    recording: Path
    threads: int


@dataclass
class Transcription:
    """A program with a kind of decoding, and its runs so far."""

    program: str
    decoding: str
    command: list
    environment: dict
    # Makes {"load_s", "transcribe_s", "text"} of a finished run.
    read: callable
    runs: list = field(default_factory=list)

    @property
    def label(self):
        return f"{self.program}, {self.decoding}"

    def measure(self):
        finished = run.measured(self.command, self.environment)
        own = ("seconds", "processor_s", "peak_mb", "others")
        self.runs.append({key: getattr(finished, key) for key in own} | self.read(finished))
        return f"{finished.seconds:.2f} s, {100 * finished.others:.0f} % of the processor time went elsewhere"

    def result(self):
        """Medians over the runs, and the runs; the text is the last run's."""
        runs = [{key: value for key, value in one.items() if key != "text"} for one in self.runs]
        return {
            "program": self.program,
            "decoding": self.decoding,
            **medians(runs),
            "runs": runs,
            "text": self.runs[-1]["text"],
        }


@dataclass
class Stages:
    """A program's encoder and decoder step on a window, and the runs so far."""

    program: str
    frames: int
    # Gives {"encoder_ms", "step_ms"}.
    times: callable
    runs: list = field(default_factory=list)

    @property
    def label(self):
        return f"{self.program}, window of {self.frames} frames"

    def measure(self):
        times = self.times(self.frames)
        self.runs.append(times)
        return f"encoder {times['encoder_ms']:.1f} ms, step {times['step_ms']:.1f} ms"

    def result(self):
        return {"program": self.program, "frames": self.frames, **medians(self.runs), "runs": self.runs}


def medians(runs):
    return {key: statistics.median([one[key] for one in runs]) for key in runs[0]}


def transcriptions(settings):
    """Every program with every kind of decoding."""
    return [one for decoding in BEAMS for one in programs(settings, decoding)]


def programs(settings, decoding):
    peers, recording, threads, beams = settings.peers, settings.recording, settings.threads, BEAMS[decoding]
    hearken = [settings.hearken, "--config", os.devnull, "--file", recording, "--model", install.MODEL, "--compute", "int8"]
    hearken += ["--language", "en", "--temperature", "0", "--threads", threads, "--beam-size", beams]
    yield Transcription("Hearken int8", decoding, hearken, dict(os.environ), read_hearken)
    environment = peers.environment(threads)
    for pipeline in ("plain", "batched"):
        script = [peers.python, HERE / "transcribe_ctranslate2.py", peers.ctranslate2]
        command = [*script, recording, threads, beams, pipeline]
        yield Transcription(f"faster-whisper int8, {pipeline}", decoding, command, environment, read_json)
    for kind, model in ggml_models(peers):
        command = [peers.python, HERE / "transcribe_whisper_cpp.py", model, recording, threads, beams]
        yield Transcription(f"whisper.cpp {kind}", decoding, command, environment, read_json)


def ggml_models(peers):
    return [("f16", peers.ggml_f16), ("q8_0", peers.ggml_q8_0)]


def read_json(finished):
    return json.loads(finished.out.splitlines()[-1])


def read_hearken(finished):
    """Hearken reports the time of transcription; model load and start are the difference."""
    match = re.search(CLOSING_LINE, finished.err)
    if not match:
        raise run.Failed(f"Hearken did not say how long it took: {run.last_line(finished.err)}")
    seconds = float(match.group(1))
    text = " ".join(finished.out.split())
    return {"load_s": finished.seconds - seconds, "transcribe_s": seconds, "text": text}


def stages(settings):
    """Encoder and decoder step of every program that reports them."""
    peers, rest = settings.peers, [settings.recording, settings.threads]
    environment = peers.environment(settings.threads)

    def script(name, model):
        command = [peers.python, HERE / name, model, *rest]
        return lambda frames: json.loads(run.check([*command, frames], environment).splitlines()[-1])

    times = {"Hearken int8": lambda frames: hearken_stages(settings, frames)}
    times["CTranslate2 int8"] = script("stages_ctranslate2.py", peers.ctranslate2)
    for kind, model in ggml_models(peers):
        times[f"whisper.cpp {kind}"] = script("stages_whisper_cpp.py", model)
    return [Stages(program, frames, times[program]) for frames in WINDOWS for program in times]


def hearken_stages(settings, frames):
    options = ["--json", "--model", install.MODEL, "--compute", "int8", "--threads", settings.threads]
    options += ["--window", frames / 100]

    def bench(stage):
        return json.loads(run.check([settings.hearken, "bench", stage, *options], os.environ))

    encoder, decoder = bench("encoder"), bench("decoder")
    step = next(one for one in decoder["passes"] if one["windows"] == 1 and one["tokens"] == 1)
    return {"encoder_ms": encoder["median_ms"], "step_ms": step["median_ms"]}
