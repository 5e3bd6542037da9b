"""``audiozoo embed``: write the embeddings of sound files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from audiozoo.cli.console import (
    HOP_HELP,
    JOBS_HELP,
    RESUME_HELP,
    STRICT_HELP,
    out,
    progress_bar,
    quiet_backend,
    report_failures,
    sounds_of,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.recorded import AnswerFile, record
from audiozoo.embeddings import SUFFIXES, EmbeddingFacts, embed_files, suffix_of, write_embeddings
from audiozoo.files import check_target

if TYPE_CHECKING:
    import numpy as np

    from audiozoo.classifier import Answering, Failure

EXAMPLE = "audiozoo embed my.audiozoo sounds/ -o embeddings.npz"


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    files: Annotated[list[Path], typer.Argument(help="Sound files or folders of them.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .parquet or .npz, which appears when it is complete, or .csv or .jsonl with each at once.",
        ),
    ],
    statistic: Annotated[
        Literal["mean", "max", "deviation", "all"],
        typer.Option(help="Statistic over the windows of a file; all joins the three."),
    ] = "mean",
    resume: Annotated[bool, typer.Option("--resume", help=RESUME_HELP)] = False,
    hop: Annotated[float | None, typer.Option(help=HOP_HELP)] = None,
    jobs: Annotated[int, typer.Option(help=JOBS_HELP)] = -1,
    strict: Annotated[bool, typer.Option(help=STRICT_HELP)] = False,
) -> None:
    """Embed sound files: one vector for each.

    A .npz file has the arrays `files` and `embeddings`, a .parquet file the columns `file` and `embedding`. Both state the
    model, and `audiozoo similar` and `audiozoo map` read both. Writing a .parquet file takes little memory.

    Files that cannot be used are listed at the end, and the exit status is then 1.
    """
    stored = output.suffix.lower() in SUFFIXES
    if stored and resume:
        raise ValueError("--resume needs a file that grows with each answer: name a .csv or .jsonl file with -o")
    if stored:
        suffix_of(output)  # before the network is loaded
    check_target(output)
    quiet_backend()
    from audiozoo.classifier import load_classifier

    sounds, loaded = sounds_of(files), load_classifier(classifier)
    how: dict[str, Any] = {"statistic": statistic, "hop": hop, "jobs": jobs, "strict": strict}
    if stored:
        failures = _write_store(output, sounds, loaded, classifier.as_posix(), how)
    else:
        failures = _write_each(output, sounds, loaded, how, resume=resume)
    used = len(sounds) - len(failures)
    if used:
        out.print(f"saved {output} (embeddings of {used} files)", soft_wrap=True)
    report_failures([failure.error for failure in failures], used=used)


def _write_store(output: Path, sounds: Sequence[str], classifier: Answering, model: str, how: dict[str, Any]) -> list[Failure]:
    facts = EmbeddingFacts.of(classifier, model, statistic=how["statistic"], hop=how["hop"])
    failures: list[Failure] = []
    kept = "nothing was saved; -o with a .csv or .jsonl file writes each embedding at once"
    with keeping(kept), progress_bar() as show:
        collected = None if how["strict"] else failures
        rows = embed_files(classifier, sounds, facts, failures=collected, jobs=how["jobs"], progress=show)
        write_embeddings(output, rows, facts)
    return failures


def _write_each(
    output: Path, sounds: Sequence[str], classifier: Answering, how: dict[str, Any], *, resume: bool
) -> list[Failure]:
    width = _width(classifier, how["statistic"])
    file = AnswerFile(output, ["file", *[f"e{number}" for number in range(width)]], resume=resume)
    kept = f"the embeddings so far are in {output}, and the same command with --resume continues"
    with keeping(kept), progress_bar() as show:
        return record(file, sounds, lambda names: classifier.embed_many(names, progress=show, **how), _forms)


def _width(classifier: Answering, statistic: str) -> int:
    import numpy as np

    from audiozoo.classifier.embedding import STATISTICS

    mean = classifier.embed(np.zeros(16_000, np.float32), sample_rate=16_000)
    return len(mean) * len(STATISTICS[statistic](np.zeros((1, 1))))


def _forms(name: str, vector: np.ndarray) -> tuple[list[list[str]], dict[str, Any]]:
    return [[name, *map(str, vector)]], {"file": name, "embedding": vector.tolist()}
