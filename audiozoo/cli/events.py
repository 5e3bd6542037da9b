"""``audiozoo events``: find sound events in recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.checks import refuse_unknown
from audiozoo.cli.console import progress_bar, quiet_backend, read_object, report_failures, sounds_of
from audiozoo.cli.detection import check_reference, print_detection
from audiozoo.cli.errors import keeping
from audiozoo.cli.eventfiles import EventFiles, check_targets
from audiozoo.cli.options import Hop, Strict
from audiozoo.cli.windows import usable_parts

if TYPE_CHECKING:
    from audiozoo.classifier import Answering, Failure, Timeline
    from audiozoo.events import Event, EventRule

EXAMPLE = "audiozoo events house_cnn/esc10 night.wav --hop 0.5 --smooth 3 -o night.selections.txt --picture night.png"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write: .csv, .jsonl, .txt (label track of Audacity) or .selections.txt (Raven); with --format, a folder "
        "with a file for each recording.",
    ),
]
Form = Annotated[str | None, typer.Option("--format", help="Format of the files in a folder: csv, jsonl, audacity or raven.")]
High = Annotated[
    float | None,
    typer.Option(help="Score that an event reaches once; by default the classifier's threshold for the class, or 0.5."),
]
Low = Annotated[float | None, typer.Option(help="Score that an event keeps throughout; by default 0.6 times --high.")]
Duration = Annotated[float, typer.Option("--min-duration", help="Shortest event (seconds).")]
Gap = Annotated[float, typer.Option("--min-gap", help="Shortest gap between two events of a class (seconds).")]
Smooth = Annotated[int, typer.Option(help="Number of neighbouring windows whose scores are combined, odd; 1 does not smooth.")]
Smoothing = Annotated[str, typer.Option(help="Combination of these scores: median or mean.")]
Rules = Annotated[
    Path | None,
    typer.Option(help='JSON file with rules of single classes: {"dog": {"high": 0.7, "least_duration": 1}, ...}.'),
]
Labels = Annotated[list[str] | None, typer.Option("--label", help="Class to find; may be repeated; by default all classes.")]
Picture = Annotated[
    Path | None, typer.Option(help="Picture of the spectrogram and the scores over time, or a folder for several recordings.")
]
Reference = Annotated[
    Path | None, typer.Option(help="Table of the true events, .csv, .tsv, ...: print F1 and error rate beside it.")
]
Segment = Annotated[float, typer.Option(help="With --reference, length of a segment (seconds).")]
Collar = Annotated[float, typer.Option(help="With --reference, largest distance of the starts of two events (seconds).")]


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    files: Annotated[list[Path], typer.Argument(help="Recordings or folders of them.")],
    output: Output = None,
    form: Form = None,
    hop: Hop = None,
    high: High = None,
    low: Low = None,
    least_duration: Duration = 0.0,
    least_gap: Gap = 0.0,
    smooth: Smooth = 1,
    smoothing: Smoothing = "median",
    rules: Rules = None,
    label: Labels = None,
    picture: Picture = None,
    reference: Reference = None,
    segment: Segment = 1.0,
    collar: Collar = 0.2,
    strict: Strict = False,
) -> None:
    """Find sound events in recordings, with their start and end in seconds.

    The scores of overlapping windows are smoothed. An event begins and ends where the score of its class crosses --low, and
    reaches --high at least once between. An event shorter than a window gets about the length of a window.

    Recordings that cannot be used are listed at the end, and the exit status is then 1.
    """
    sounds = sounds_of(files)
    fields = {"low": low, "least_duration": least_duration, "least_gap": least_gap, "smooth": smooth, "smoothing": smoothing}
    targets = check_targets(sounds, output, form=form, picture=picture)
    truth = check_reference(reference, sounds) if reference else None
    quiet_backend()
    from audiozoo.classifier import load_classifier

    loaded = load_classifier(classifier)
    chosen = _chosen_rules(loaded, {"high": high, **fields}, rules, label or ())
    loaded.window_frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each recording
    found, failures = _find(loaded, sounds, chosen, EventFiles(loaded, targets), hop=hop, strict=strict)
    if truth is not None:
        print_detection([event for event in truth if event.label in chosen], found, segment=segment, collar=collar)
    report_failures([failure.error for failure in failures], used=len(sounds) - len(failures))


def _chosen_rules(
    classifier: Answering, fields: Mapping[str, Any], file: Path | None, labels: Sequence[str]
) -> dict[str, EventRule]:
    """Return the rule of each class that the user wants to find."""
    from audiozoo.events import EventRule, class_rules

    refuse_unknown("class", labels, classifier.labels)
    given = {name: value for name, value in fields.items() if value is not None}
    rule = EventRule(**given)
    rules = dict.fromkeys(classifier.labels, rule) if "high" in given else class_rules(classifier, rule)
    if file:
        own = read_object(file, "file of rules", '{"dog": {"high": 0.7}}')
        refuse_unknown("class", own, classifier.labels)
        if wrong := [label for label, changes in own.items() if not isinstance(changes, dict)]:
            raise ValueError(
                f'{file}: the rule of {wrong[0]!r} must be an object such as {{"high": 0.7}}, got {own[wrong[0]]!r}'
            )
        rules |= {label: EventRule.from_config({**rules[label].to_config(), **own[label]}) for label in own}
    return {label: rules[label] for label in labels or classifier.labels}


def _find(
    classifier: Answering, sounds: Sequence[str], rules: Mapping[str, EventRule], files: EventFiles, **how: Any
) -> tuple[list[Event], list[Failure]]:
    """Find the events of all recordings; print or write them, and draw the pictures."""
    from audiozoo.events import find_events

    found: list[Event] = []
    failures: list[Failure] = []
    kept = "the events printed so far are complete" if files.printed else "files of events are written when they are complete"
    with keeping(kept), progress_bar(among_answers=files.printed) as show:
        for done, sound in enumerate(sounds):
            progress = partial(show, "events", done, len(sounds))
            timeline = _timeline(classifier, sound, failures, progress, **how)
            if timeline is None:
                continue
            events = find_events(timeline, classifier.labels, rules=rules, file=sound)
            events = [event for event in events if event.label in rules]
            files.add(sound, timeline, events)
            found += events
        files.finish(found)
    return found, failures


def _timeline(
    classifier: Answering, sound: str, failures: list[Failure], progress: Callable[[Mapping[str, float]], None], **how: Any
) -> Timeline | None:
    """Compute the timeline of a recording, or add its failure to the list."""
    from audiozoo.classifier import Timeline

    parts, before = [], len(failures)
    for part in usable_parts(classifier, sound, failures, **how):
        parts.append(part)
        progress({"minutes": float(part.ends[-1]) / 60})
    return Timeline.joined(parts) if len(failures) == before else None
