#!/usr/bin/env python3
"""Makes harder versions of a manifest's recordings, with a manifest of their own for accuracy.py.

    degrade.py MANIFEST FOLDER KIND [DECIBELS]

`white` and `babble` add white noise, or six other recordings of the manifest at once, at a signal-to-noise ratio of
DECIBELS (10 unless given) over the whole recording. `telephone` leaves 300 to 3,400 Hz at 8 kHz in G.711 µ-law. `pauses`
cuts each pause to 80 ms, as people who talk fast speak. `quiet` brings the speech to -50 dB of full scale. `clipped`
amplifies until a twentieth of the samples is cut off. `reverb` adds a room with a reverberation time of 0.8 s. `clicks` puts
clicks of 10 to 300 ms at full scale before speech of -40 dB and every 0.7 to 3 s within it. The same arguments give the
same sound. Needs ffmpeg and the package `numpy`.
"""

import random
import subprocess
import sys
from pathlib import Path

import numpy

import manifest

RATE = 16_000
# Frames of 10 ms that are left of a pause.
PAUSE_FRAMES = 8
# Voices of the babble.
VOICES = 6
TELEPHONE = ["-af", "highpass=f=300:poles=2,lowpass=f=3400:poles=2", "-ar", "8000", "-c:a", "pcm_mulaw"]


def samples(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    return numpy.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, numpy.float32)


def babble(clips, count, chance):
    """Mixes `count` samples of several recordings, equally loud, each repeated as needed."""
    voices = [samples(clip.path) for clip in chance.sample(clips, VOICES)]
    return sum(numpy.resize(voice / max(level(voice), 1e-6), count) for voice in voices)


def without_pauses(speech):
    """Cuts what is quieter than the loud parts by 30 dB to 80 ms; what remains fades for 5 ms at each cut."""
    frame = RATE // 100
    frames = speech[: len(speech) // frame * frame].reshape(-1, frame)
    power = numpy.convolve(numpy.mean(numpy.square(frames, dtype=numpy.float64), axis=1), numpy.ones(3) / 3, "same")
    quiet = power < numpy.quantile(power, 0.95) * 1e-3
    parts, run = [], 0
    for i, is_quiet in enumerate(quiet):
        run = run + 1 if is_quiet else 0
        if run <= PAUSE_FRAMES:
            parts.append(frames[i])
        elif run == PAUSE_FRAMES + 1:
            parts[-1] = parts[-1] * numpy.linspace(1, 0, frame)
    return numpy.concatenate(parts)


def quiet(speech):
    return speech * (10 ** (-50 / 20) / level(speech))


def clipped(speech):
    limit = numpy.quantile(numpy.abs(speech), 0.95)
    return numpy.clip(speech / max(limit, 1e-6), -1, 1)


def reverberant(speech, seed):
    """Convolves speech with exponentially decaying noise, 12 dB below the direct sound."""
    count = int(0.8 * RATE)
    decay = 10 ** (-3 * numpy.arange(count) / count)
    room = numpy.random.default_rng(seed).standard_normal(count) * decay
    room *= 10 ** (-6 / 20) / numpy.sqrt(numpy.sum(room**2))
    room[0] += 1
    size = 1 << (len(speech) + count).bit_length()
    wet = numpy.fft.irfft(numpy.fft.rfft(speech, size) * numpy.fft.rfft(room, size))[: len(speech)]
    return wet / max(1.0, float(numpy.abs(wet).max()))


def with_clicks(speech, chance):
    """Quiet speech with bursts of noise at full scale, the first one before it."""
    signal = numpy.concatenate([numpy.zeros(RATE // 2), speech * (10 ** (-40 / 20) / level(speech))])
    noise = numpy.random.default_rng(chance.randrange(1 << 30))
    at = RATE // 10
    while at < len(signal):
        count = min(int(chance.choice([0.01, 0.03, 0.1, 0.3]) * RATE), len(signal) - at)
        # In the pause before the speech a burst may be long; within it, it must not hide words.
        count = count if at + count < RATE // 2 else min(count, RATE // 100)
        signal[at : at + count] += noise.uniform(-0.9, 0.9, count)
        at += int(chance.uniform(0.7, 3) * RATE)
    return numpy.clip(signal, -1, 1)


def level(signal):
    """Root mean square."""
    return float(numpy.sqrt(numpy.mean(numpy.square(signal, dtype=numpy.float64))))


def with_noise(speech, noise, decibels):
    mixed = speech + noise * (level(speech) / level(noise) / 10 ** (decibels / 20))
    return mixed / max(1.0, float(numpy.abs(mixed).max()))


def write(path, signal, options):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-i", "-", *options, path]
    subprocess.run(command, check=True, input=signal.astype(numpy.float32).tobytes())


def main():
    clips, folder, kind = manifest.read(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    decibels = float(sys.argv[4]) if len(sys.argv) > 4 else 10.0
    clips = [clip for clip in clips if clip.language != manifest.NO_SPEECH]
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["id", "path", "seconds", "language", "category", "reference"]
    lines = ["\t".join(columns)]
    for i, clip in enumerate(clips):
        # Seeded by the recording's position, so the other recordings do not matter.
        chance = random.Random(i)
        speech = samples(clip.path)
        if kind == "babble":
            others = [other for other in clips if other.language == clip.language] or clips
            speech = with_noise(speech, babble(others if len(others) >= VOICES else clips, len(speech), chance), decibels)
        elif kind == "white":
            noise = numpy.random.default_rng(i).standard_normal(len(speech))
            speech = with_noise(speech, noise, decibels)
        elif kind == "pauses":
            speech = without_pauses(speech)
        elif kind == "quiet":
            speech = quiet(speech)
        elif kind == "clipped":
            speech = clipped(speech)
        elif kind == "reverb":
            speech = reverberant(speech, i)
        elif kind == "clicks":
            speech = with_clicks(speech, chance)
        elif kind != "telephone":
            sys.exit(f"degrade.py: {kind} is no kind of sound; README.md lists them")
        name = f"{i:04}.wav"
        write(folder / name, speech, TELEPHONE if kind == "telephone" else ["-c:a", "pcm_s16le"])
        lines.append("\t".join([clip.id, name, f"{len(speech) / RATE:.2f}", clip.language, clip.category, clip.reference]))
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
