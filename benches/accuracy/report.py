"""Tables of one run, or of two runs side by side."""

from collections import defaultdict

from manifest import NO_SPEECH
from score import Errors, score, words

# Shortest clip, in seconds, that counts for language detection.
DETECTION_SECONDS = 3.0
# Number of words of a text to show.
SHOWN = 100


def scored(run, clips):
    """Each clip of the run, with its errors."""
    return {
        clip.id: score(clip.reference, run["clips"][clip.id]["text"], clip.language)
        for clip in clips
        if clip.id in run["clips"]
    }


def groups(clips):
    """Clips by set, category and language, and all of them."""
    by = defaultdict(list)
    for clip in clips:
        if clip.language != NO_SPEECH:
            by["set", clip.set].append(clip)
            by["category", clip.category].append(clip)
            by["language", clip.language].append(clip)
        by["all", ""].append(clip)
    order = ["set", "category", "language", "all"]
    return sorted(by.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))


def total(clips, scores):
    errors = Errors()
    for clip in clips:
        if clip.id in scores:
            errors.add(scores[clip.id].errors)
    return errors


def detection(run, clips):
    """Clips of 3 s or more by language, and how many of them were detected as it: {language: (clips, right)}."""
    counts = defaultdict(lambda: [0, 0])
    for clip in clips:
        told = run["clips"].get(clip.id, {}).get("language")
        if clip.language != NO_SPEECH and clip.seconds >= DETECTION_SECONDS and told:
            counts[clip.language][0] += 1
            counts[clip.language][1] += told == clip.language
    return dict(counts)


def figures(run, clips):
    """All counts of a run, for JSON."""
    scores = scored(run, clips)
    return {
        "groups": [
            {"by": by, "name": name, **vars(errors), "rate": errors.rate}
            for (by, name), members in groups(clips)
            for errors in [total(members, scores)]
        ],
        "detection": detection(run, clips),
        "real_time_factor": run["seconds"] / run["audio_s"] if run["audio_s"] else None,
    }


def rate(errors):
    return "–" if errors.rate is None else f"{errors.rate:.2f}"


def markdown(run, clips, other=None):
    """The tables. `other` is a run to show beside it, over the clips that both have."""
    if other:
        clips = [clip for clip in clips if clip.id in other["clips"]]
    scores = scored(run, clips)
    beside = scored(other, clips) if other else {}
    title = f"{run['system']} {' '.join(run['options'])}".strip()
    lines = [f"{title}, language {run['language']}" + (f", beside {other['system']}" if other else ""), ""]
    heads = ["", "", "clips", "words", "WER %", "S", "D", "I", "loops", "empty", "first lost", "last lost"]
    heads += ["other WER %", "S", "D", "I", "loops", "first lost", "last lost"] if other else []
    lines += [row(heads), row(["---"] * len(heads))]
    for (by, name), members in groups(clips):
        own = total(members, scores)
        cells = [by, name, own.clips, own.words, rate(own), own.substitutions, own.deletions, own.insertions]
        cells += [own.loops, own.empty, own.first_lost, own.last_lost]
        if other:
            its = total(members, beside)
            cells += [rate(its), its.substitutions, its.deletions, its.insertions]
            cells += [its.loops, its.first_lost, its.last_lost]
        lines.append(row(cells))
    lines += ["", *remarks(run, clips, scores, "")]
    if other:
        lines += [*remarks(other, clips, beside, "other: "), differing(run, other, clips)]
    return "\n".join(lines)


def remarks(run, clips, scores, who):
    everything = total(clips, scores)
    if everything.non_speech_clips:
        yield f"{who}words from {everything.non_speech_clips} recordings without speech: {everything.words_from_non_speech}"
    counts = detection(run, clips)
    if counts and run["language"] != "given":
        right, all_ = (sum(column) for column in zip(*[(c[1], c[0]) for c in counts.values()]))
        of = ", ".join(f"{language} {c[1]}/{c[0]}" for language, c in sorted(counts.items()))
        yield f"{who}language detected in {right} of {all_} clips of {DETECTION_SECONDS:g} s or more ({of})"
    if run["seconds"]:
        factor = run["seconds"] / run["audio_s"]
        yield f"{who}real-time factor {factor:.4f}: {run['audio_s']:.0f} s in {run['seconds']:.1f} s"


def differing(run, other, clips):
    """How far the two texts differ, regardless of the reference."""
    edits = count = 0
    for clip in clips:
        if clip.language == NO_SPEECH or clip.id not in run["clips"]:
            continue
        its = other["clips"][clip.id]["text"]
        edits += score(its, run["clips"][clip.id]["text"], clip.language).errors.errors
        count += len(words(its, clip.language))
    return f"words that differ between the two: {edits} of {count}, {100 * edits / max(count, 1):.2f} %"


def worst(run, clips, count, other=None):
    """The clips with the most errors, or the most additional errors compared with another run, with their texts."""
    scores, beside = scored(run, clips), scored(other, clips) if other else {}

    def surplus(clip):
        errors = scores[clip.id].errors
        return errors.errors + errors.words_from_non_speech - (beside[clip.id].errors.errors if other else 0)

    judged = [clip for clip in clips if clip.id in scores and (not other or clip.id in beside)]
    ranked = sorted((clip for clip in judged if surplus(clip) > 0), key=surplus, reverse=True)[:count]
    for clip in ranked:
        yield f"\n{clip.id} ({clip.seconds:g} s, {clip.language}): {surplus(clip):+d}"
        if run["clips"][clip.id]["language"]:
            yield f"  language:  {run['clips'][clip.id]['language']}"
        yield f"  reference: {shortened(scores[clip.id].reference)}"
        yield f"  text:      {shortened(scores[clip.id].words)}"
        if other:
            yield f"  other:     {shortened(beside[clip.id].words)}"


def shortened(text):
    return " ".join(text[:SHOWN]) + (" …" if len(text) > SHOWN else "")


def hotwords(run, clips, phrases):
    """How many of the phrases that were said are found in the text, and how many are found that were not said."""
    said = found = invented = from_silence = 0
    for clip in clips:
        text = run["clips"].get(clip.id, {}).get("text", "")
        for phrase in phrases:
            in_reference = occurrences(words(phrase, clip.language), words(clip.reference, clip.language))
            in_text = occurrences(words(phrase, clip.language), words(text, clip.language))
            said += in_reference
            found += min(in_reference, in_text)
            if clip.language == NO_SPEECH:
                from_silence += in_text
            else:
                invented += max(0, in_text - in_reference)
    recall = 100 * found / max(1, said)
    return (
        f"hotwords: {found} of {said} found ({recall:.1f} %), {invented} written where something else was said, "
        f"{from_silence} where nobody spoke"
    )


def occurrences(phrase, text):
    """How often one list of words occurs in another."""
    return sum(text[i : i + len(phrase)] == phrase for i in range(len(text) - len(phrase) + 1)) if phrase else 0


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
