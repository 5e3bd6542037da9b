"""Answers of ``audiozoo predict --windows``: one for each window of a recording."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len

from audiozoo.cli.console import out, print_answer, progress_bar
from audiozoo.cli.errors import keeping
from audiozoo.cli.recorded import SUFFIXES, csv_text
from audiozoo.files import replacing

if TYPE_CHECKING:
    from audiozoo.classifier import Answering, Failure, Timeline

Form = Literal["table", "csv", "jsonl"]

COLUMNS = ("file", "start_s", "end_s", "label", "score")
"""Columns of the answers; JSON lines have the same fields."""


def check_windows(windows: bool, chosen: Mapping[str, bool]) -> None:
    """Raise an error for options that do not go together with --windows, or that need it.

    Raises:
        ValueError: --all-scores is given without --windows, or --json, --resume or --on with it.
    """
    if not windows:
        raise ValueError("--all-scores gives the scores of all classes for each window: add --windows")
    for option in ("--json", "--resume"):
        if chosen[option]:
            raise ValueError(f"--windows cannot be combined with {option}: choose --csv, --jsonl or -o")
    if chosen["--on"]:
        raise ValueError("--windows reads one recording after the other, in this process: leave --on out")


def answer_windows(
    classifier: Answering, sounds: Sequence[str], to: Path | Form, *, hop: float | None, all_scores: bool, strict: bool
) -> list[Failure]:
    """Print or write the answers for the windows of sounds, and return the failures.

    Args:
        classifier: Classifier or ensemble.
        sounds: Names of sound files.
        to: File to write, ``.csv`` or ``.jsonl``, atomically; or the form to print.
        hop: Time between window starts (seconds); `None` uses the frontend's own.
        all_scores: Whether to give the scores of all classes.
        strict: Whether to raise an error for the first file that cannot be used.

    Returns:
        The failures.

    Raises:
        ValueError: The suffix of the file is another, or it exists; the hop is out of range; or with `strict`, a file cannot
            be used.
        OSError: The file cannot be written; or with `strict`, a file cannot be opened.
    """
    classifier.window_frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each sound
    printed = isinstance(to, str)
    text = WindowText(to if isinstance(to, str) else _form_of(to), sounds, classifier.labels, all_scores=all_scores)
    kept = "the windows printed so far are complete" if printed else f"{to} was not written"
    failures: list[Failure] = []
    with keeping(kept), progress_bar(among_answers=printed) as show, _writer(to) as write:
        write(text.header())
        for done, sound in enumerate(sounds):
            for part in usable_parts(classifier, sound, failures, hop=hop, strict=strict):
                write(text.lines(sound, part))
                show("windows", done, len(sounds), {"minutes": float(part.ends[-1]) / 60})
    if not printed:
        out.print(f"saved {to} (windows of {len(sounds) - len(failures)} files)", soft_wrap=True)
    return failures


def usable_parts(
    classifier: Answering, sound: str, failures: list[Failure], *, hop: float | None, strict: bool
) -> Iterator[Timeline]:
    """Yield the parts of a sound's timeline, and add a failure to a list if the sound cannot be used, or not to its end.

    Args:
        classifier: Classifier or ensemble.
        sound: Name of the sound file.
        failures: List that grows by the failure.
        hop: Time between window starts (seconds); `None` uses the frontend's own.
        strict: Whether to raise the error instead.

    Yields:
        The parts up to the error.
    """
    from audiozoo.classifier import failure

    try:
        yield from classifier.timeline_parts(sound, hop=hop)
    except (OSError, ValueError) as error:
        failures.append(failure(sound, error, strict=strict))


class WindowText:
    """Text of the answers in one form.

    Args:
        form: "table", "csv" or "jsonl".
        sounds: Names of all sounds.
        labels: Names of the classes.
        all_scores: Whether to give the scores of all classes.
    """

    def __init__(self, form: Form, sounds: Sequence[str], labels: Sequence[str], *, all_scores: bool) -> None:
        self._form, self._labels, self._all = form, labels, all_scores
        # One very long path must not move the other columns off the screen.
        file = min(out.width // 2, max(cell_len(sound) for sound in sounds))
        self._widths = max(file, len("file")), max(map(cell_len, labels))

    def header(self) -> str:
        """Return the text above the answers."""
        if self._form == "csv":
            return csv_text([COLUMNS])
        return self._row("file", "start", "end", "label", "score") if self._form == "table" else ""

    def lines(self, sound: str, part: Timeline) -> str:
        """Return the lines of some windows."""
        return "".join(
            self._window(sound, float(start), float(end), scores.tolist()) for start, end, scores in zip(*part, strict=True)
        )

    def _window(self, sound: str, start: float, end: float, scores: Sequence[float]) -> str:
        best = max(range(len(scores)), key=scores.__getitem__)
        if self._form == "jsonl":
            values = dict(zip(COLUMNS, (sound, start, end, self._labels[best], scores[best]), strict=True))
            every = {"scores": dict(zip(self._labels, scores, strict=True))} if self._all else {}
            return json.dumps(values | every) + "\n"
        chosen = [(self._labels[place], scores[place]) for place in (range(len(scores)) if self._all else [best])]
        if self._form == "csv":
            return csv_text([sound, f"{start:.6f}", f"{end:.6f}", label, f"{score:.6f}"] for label, score in chosen)
        times = f"{start:.2f}", f"{end:.2f}"
        return "".join(self._row(sound, *times, label, f"{100 * score:.1f} %") for label, score in chosen)

    def _row(self, file: str, start: str, end: str, label: str, score: str) -> str:
        file, label = (text + " " * (width - cell_len(text)) for text, width in zip((file, label), self._widths, strict=True))
        return f"{file} {start:>9} {end:>9} {label} {score:>7}\n"


def _form_of(path: Path) -> Form:
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: windows are written as {' or '.join(SUFFIXES)}, choose one of these suffixes")
    if path.exists():
        raise ValueError(f"{path}: the file exists; remove it, or name another file")
    return "csv" if path.suffix.lower() == ".csv" else "jsonl"


@contextmanager
def _writer(to: Path | Form) -> Iterator[Callable[[str], object]]:
    if isinstance(to, str):
        yield print_answer
        return
    with replacing(to) as temporary, open(temporary, "w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        yield file.write
