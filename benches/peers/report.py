"""The results as Markdown tables."""

import os
import platform
import statistics


def machine():
    """The processor's name and how many cores it has."""
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"


def markdown(results):
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    others = [run["others"] for row in results["transcription"] for run in row["runs"]]
    lines = [
        f"{results['audio_s']:.1f} s of audio, {results['threads']} threads, medians of {results['runs']} runs.",
        f"{results['machine']}. {versions}.",
        f"Other work took {100 * statistics.median(others):.0f} % of the processor time during the median run, "
        f"{100 * max(others):.0f} % at most.",
        "",
        *transcription_table(results),
        "",
        *stage_table(results["stages"]),
    ]
    return "\n".join(lines)


def transcription_table(results):
    """Time is from process start to end; the ratio is the program's time over Hearken's with the same decoding."""
    names = ["program", "decoding", "s", "× realtime", "ratio to Hearken", "load s", "transcribe s"]
    names += ["processor s", "peak MB", "WER %"]
    rows = results["transcription"]
    ours = {row["decoding"]: row["seconds"] for row in rows if row["program"].startswith("Hearken")}
    yield from heading(names, text_columns=2)
    for row in rows:
        rate = row.get("word_error_rate")
        cells = [
            row["program"],
            row["decoding"],
            f"{row['seconds']:.2f}",
            f"{results['audio_s'] / row['seconds']:.1f}",
            f"{row['seconds'] / ours[row['decoding']]:.2f}",
            f"{row['load_s']:.2f}",
            f"{row['transcribe_s']:.2f}",
            f"{row['processor_s']:.1f}",
            f"{row['peak_mb']:.0f}",
            "–" if rate is None else f"{rate:.2f}",
        ]
        yield line(cells)


def stage_table(stages):
    """A row for each program, with its encoder's and its decoder step's time for each window."""
    windows = sorted({stage["frames"] for stage in stages})
    names = [f"{stage}, {frames / 100:g} s window, ms" for frames in windows for stage in ("encoder", "step")]
    yield from heading(["program", *names], text_columns=1)
    for program in dict.fromkeys(stage["program"] for stage in stages):
        found = {stage["frames"]: stage for stage in stages if stage["program"] == program}
        times = [found[frames][key] for frames in windows for key in ("encoder_ms", "step_ms")]
        yield line([program, *(f"{time:.1f}" for time in times)])


def heading(names, text_columns):
    yield line(names)
    yield line(["---" if i < text_columns else "---:" for i in range(len(names))])


def line(cells):
    return f"| {' | '.join(cells)} |"
