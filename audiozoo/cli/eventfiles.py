"""Files that ``audiozoo events`` writes: one with all events, or one for each recording, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audiozoo.checks import require_choice
from audiozoo.cli.console import err, out, print_answer
from audiozoo.cli.plot import pictures_of
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.classifier import Answering, Timeline
    from audiozoo.events import Event


@dataclass(frozen=True)
class Targets:
    """Paths of the files to write.

    Args:
        together: File of the events of all recordings; `None` for none.
        each: File of the events of each recording.
        pictures: Picture of each recording.
    """

    together: Path | None = None
    each: Mapping[str, Path] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)


def check_targets(sounds: Sequence[str], output: Path | None, *, form: str | None, picture: Path | None) -> Targets:
    """Return the paths of the files that the options of the user ask for, before anything is computed.

    Args:
        sounds: Names of the recordings.
        output: File, or with `form` the folder, of events.
        form: Format of the files in the folder.
        picture: Picture, or folder of pictures.

    Returns:
        The paths.

    Raises:
        ValueError: The options do not go together, a format is unknown, or two recordings would have the same file.
    """
    from audiozoo.events import FORMATS, format_of

    pictures = dict(zip(sounds, pictures_of([Path(sound) for sound in sounds], picture), strict=True)) if picture else {}
    if form is not None:
        require_choice("--format", form, FORMATS)
        return Targets(None, _each(sounds, output, dict(FORMATS)[form]), pictures)  # type: ignore[index]
    if output and format_of(output) in ("audacity", "raven") and len(sounds) > 1:
        raise ValueError(
            f"{output}: a label track or a selection table belongs to one recording, got {len(sounds)} recordings; name a "
            "folder and add --format, or choose .csv or .jsonl"
        )
    if output:
        check_target(output)
    return Targets(output, {}, pictures)


def _each(sounds: Sequence[str], folder: Path | None, suffix: str) -> dict[str, Path]:
    if folder is None:
        raise ValueError("--format is for the files in a folder: name the folder with -o, such as -o labels/")
    each = {sound: folder / f"{Path(sound).stem}{suffix}" for sound in sounds}
    if len(set(each.values())) < len(each):
        raise ValueError("several recordings have the same name: write their events in separate runs with different -o")
    return each


class EventFiles:
    """Output of ``audiozoo events``; events that go to no file are printed.

    Args:
        classifier: Classifier or ensemble.
        targets: Paths of the files.
    """

    def __init__(self, classifier: Answering, targets: Targets) -> None:
        self._classifier, self._targets = classifier, targets
        self.printed = not (targets.together or targets.each)
        self._widest = max(map(len, classifier.labels))

    def add(self, sound: str, timeline: Timeline, events: Sequence[Event]) -> None:
        """Print or write the events of a recording, and draw its picture.

        Args:
            sound: Name of the recording.
            timeline: Scores of its windows.
            events: Its events.

        Raises:
            OSError: A file cannot be written.
        """
        if self.printed:
            print_answer("".join(self._line(event) for event in events))
        if sound in self._targets.each:
            self._write(events, self._targets.each[sound])
        if sound in self._targets.pictures:
            from audiozoo.report import timeline_picture

            path = timeline_picture(sound, timeline, self._classifier.labels, self._targets.pictures[sound], events=events)
            out.print(f"saved {path}", soft_wrap=True)

    def finish(self, events: Sequence[Event]) -> None:
        """Write the file with the events of all recordings, if there is one, or say that there are no events.

        Raises:
            OSError: The file cannot be written.
        """
        if self._targets.together:
            self._write(events, self._targets.together)
        elif not events:
            err.print("no event reaches --high; `audiozoo predict --windows` shows the scores")

    def _write(self, events: Sequence[Event], path: Path) -> None:
        from audiozoo.events import write_events

        write_events(events, path, highest=self._classifier.window_frontend.sample_rate / 2)
        out.print(f"saved {path} ({len(events)} events)", soft_wrap=True)

    def _line(self, event: Event) -> str:
        return f"{event.file}  {event.start:9.2f} {event.end:9.2f}  {event.label:<{self._widest}} {100 * event.score:6.1f} %\n"
