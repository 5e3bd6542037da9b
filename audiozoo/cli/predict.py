"""``audiozoo predict``: classify sound files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.answers import PREDICTION_COLUMNS, Columns, plain, prediction_rows
from audiozoo.cli.console import (
    open_classifier,
    out,
    print_answer,
    progress_bar,
    report_failures,
    sounds_of,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.folders import AnswerFolder, is_folder, model_identity
from audiozoo.cli.options import PART_SIZE, Files, FilesFrom, Hop, PartSize, ReadingJobs, Resume, Strict
from audiozoo.cli.place import LOCAL, On, file_executor
from audiozoo.cli.recorded import AnswerFile, csv_text, record
from audiozoo.cli.windows import Form, answer_windows, check_windows

if TYPE_CHECKING:
    from audiozoo.classifier import Answering, Failure, Prediction

EXAMPLE = "audiozoo predict my.audiozoo door.wav street.ogg"

_NONE_PRINTED = "no predictions were printed; --jsonl prints each one at once"

_Answers = Iterator["Prediction | Failure"]
_Printer = Callable[[_Answers], Iterator["Failure"]]


_Model = Annotated[
    Path,
    typer.Argument(
        help="Classifier saved by `audiozoo train`, an exported .onnx or .tflite file, or a name from "
        "`audiozoo list --pretrained`."
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write, .csv or .jsonl, to which each answer is added at once; or a folder (a name without suffix) of "
        "Parquet files, for millions of sounds.",
    ),
]


def run(
    classifier: _Model,
    files: Files = None,
    top: Annotated[int, typer.Option(min=1, help="Number of classes to show for each file.")] = 3,
    output: _Output = None,
    files_from: FilesFrom = None,
    resume: Resume = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of predictions with all scores.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON object for each file, on a line each.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with the columns file, rank, label and score, file by file.")
    ] = False,
    hop: Hop = None,
    jobs: ReadingJobs = -1,
    strict: Strict = False,
    on: On = LOCAL,
    part_size: PartSize = PART_SIZE,
    windows: Annotated[
        bool, typer.Option("--windows", help="Classify each window instead of the file, for recordings.")
    ] = False,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="With --windows, give the scores of all classes.")] = False,
) -> None:
    """Classify sound files. Each answer is printed or written at once, except with --json.

    A classifier of several labels lists each class whose score reaches its threshold, whatever their number; if none does, the
    label is empty and the score is the highest.

    With --windows, there is an answer for each window, with its start and end in seconds. The windows of a recording of hours
    are printed while it is read; a file (-o) appears when it is complete.

    Files that cannot be used are listed at the end, and the exit status is then 1.
    """
    chosen = {"--json": as_json, "--jsonl": as_jsonl, "--csv": as_csv, "-o": bool(output)}
    _check_choice(chosen, resume=resume)
    if windows or all_scores:
        check_windows(windows, chosen | {"--resume": resume, "--on": on != LOCAL})
    sounds, loaded = sounds_of(files, files_from), open_classifier(classifier)
    how: dict[str, Any] = {"hop": hop, "jobs": jobs, "strict": strict, "executor": file_executor(on)}
    if windows:
        form: Form = "jsonl" if as_jsonl else "csv" if as_csv else "table"
        failures = answer_windows(loaded, sounds, output or form, hop=hop, all_scores=all_scores, strict=strict)
    elif output and is_folder(output):
        failures = _write_parts(loaded, sounds, classifier, AnswerFolder(output, part_size, resume), how)
    elif output:
        failures = _write(loaded, sounds, output, top=min(top, len(loaded.labels)), resume=resume, how=how)
    else:
        printer = _all_json if as_json else _jsonl if as_jsonl else _csv(top) if as_csv else _table(loaded, sounds, top)
        failures = _print(loaded, sounds, printer, how)
    report_failures([failure.error for failure in failures], used=len(sounds) - len(failures))


def _print(classifier: Answering, sounds: Sequence[str], printer: _Printer, how: dict[str, Any]) -> list[Failure]:
    kept = _NONE_PRINTED if printer is _all_json else "the predictions printed so far are complete"
    with keeping(kept), progress_bar("", among_answers=True) as show:
        return list(printer(classifier.predict_many(sounds, progress=show, **how)))


def _check_choice(chosen: dict[str, bool], *, resume: bool) -> None:
    if len(names := [name for name, given in chosen.items() if given]) > 1:
        raise ValueError(f"{' and '.join(names)} cannot be combined: choose one")
    if resume and not chosen["-o"]:
        raise ValueError("--resume continues a file of answers: name it with -o, such as -o answers.csv")


def _write(
    classifier: Answering, sounds: Sequence[str], output: Path, *, top: int, resume: bool, how: dict[str, Any]
) -> list[Failure]:
    each = top if classifier.thresholds is None else None
    file = AnswerFile(output, PREDICTION_COLUMNS, rows_each=each, resume=resume)
    with keeping(f"the answers so far are in {output}, and the same command with --resume continues"), progress_bar() as show:
        failures = record(
            file,
            sounds,
            lambda names: classifier.predict_many(names, progress=show, **how),
            lambda _, answer: (prediction_rows(answer, top), plain(answer)),
        )
    out.print(f"saved {output} (answers for {len(sounds) - len(failures)} files)", soft_wrap=True)
    return failures


def _write_parts(
    classifier: Answering, sounds: Sequence[str], path: Path, folder: AnswerFolder, how: dict[str, Any]
) -> list[Failure]:
    from audiozoo.shards import PredictionTable

    labels = list(classifier.labels)
    request = {"verb": "predict", "model": model_identity(path), "hop": how["hop"], "labels": labels}
    table = PredictionTable(labels, several=classifier.thresholds is not None)
    with progress_bar() as show:
        return folder.write(sounds, request, table, lambda names: classifier.predict_many(names, progress=show, **how))


def _table(classifier: Answering, sounds: Sequence[str], top: int) -> _Printer:
    from audiozoo.classifier.prediction import UNKNOWN

    shown = min(top, len(classifier.labels))
    columns = Columns(sounds, [*classifier.labels, UNKNOWN], top=shown, widest=out.width // 2)
    return _below(columns.header() + "\n", lambda answer: columns.line(answer) + "\n")


def _csv(top: int) -> _Printer:
    return _below(csv_text([PREDICTION_COLUMNS]), lambda answer: csv_text(prediction_rows(answer, top)))


def _below(header: str, text: Callable[[Any], str]) -> _Printer:
    """Return a function that prints each prediction at once below a header, and yields the failures."""

    def printed(answers: _Answers) -> Iterator[Failure]:
        for number, answer in enumerate(answers):
            if not number:
                print_answer(header)
            if isinstance(answer, tuple):  # a Failure is listed at the end
                yield answer
            else:
                print_answer(text(answer))

    return printed


def _jsonl(answers: _Answers) -> Iterator[Failure]:
    for answer in answers:
        print_answer(json.dumps(plain(answer)) + "\n")
        if isinstance(answer, tuple):
            yield answer


def _all_json(answers: _Answers) -> Iterator[Failure]:
    every = list(answers)
    print(json.dumps([plain(answer) for answer in every], indent=1))
    yield from (answer for answer in every if isinstance(answer, tuple))
