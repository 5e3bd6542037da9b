"""``audiozoo embed``: write the embeddings of sound files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from audiozoo.cli.console import (
    out,
    progress_bar,
    quiet_backend,
    report_failures,
    sounds_of,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.folders import AnswerFolder, is_folder, model_identity
from audiozoo.cli.options import PART_SIZE, Files, FilesFrom, Hop, PartSize, ReadingJobs, Resume, Strict
from audiozoo.cli.place import LOCAL, On, file_executor
from audiozoo.cli.recorded import AnswerFile, record
from audiozoo.embeddings import SUFFIXES, EmbeddingFacts, embed_files, suffix_of, write_embeddings
from audiozoo.files import check_target

if TYPE_CHECKING:
    import numpy as np

    from audiozoo.classifier import Answering, Failure

EXAMPLE = "audiozoo embed my.audiozoo sounds/ -o embeddings.npz"


_Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="File to write: .parquet or .npz, which appears when it is complete, or .csv or .jsonl with each at once; or a "
        "folder (a name without suffix) of Parquet files, for millions of sounds.",
    ),
]


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    output: _Output,
    files: Files = None,
    statistic: Annotated[
        Literal["mean", "max", "deviation", "all"],
        typer.Option(help="Statistic over the windows of a file; all joins the three."),
    ] = "mean",
    files_from: FilesFrom = None,
    resume: Resume = False,
    hop: Hop = None,
    jobs: ReadingJobs = -1,
    strict: Strict = False,
    on: On = LOCAL,
    part_size: PartSize = PART_SIZE,
) -> None:
    """Embed sound files: one vector for each.

    A .npz file has the arrays `files` and `embeddings`, a .parquet file the columns `file` and `embedding`. Both state the
    model, and `audiozoo similar` and `audiozoo map` read both. Writing a .parquet file takes little memory.

    Files that cannot be used are listed at the end, and the exit status is then 1.
    """
    stored = output.suffix.lower() in SUFFIXES
    if stored and resume:
        raise ValueError("--resume needs a file that grows with each answer: name a .csv or .jsonl file with -o, or a folder")
    if stored:
        suffix_of(output)  # before the network is loaded
    if not is_folder(output):
        check_target(output)
    quiet_backend()
    from audiozoo.classifier import load_classifier

    sounds, loaded = sounds_of(files, files_from), load_classifier(classifier)
    how: dict[str, Any] = {"statistic": statistic, "hop": hop, "jobs": jobs, "strict": strict, "executor": file_executor(on)}
    if is_folder(output):
        failures = _write_parts(loaded, sounds, classifier, AnswerFolder(output, part_size, resume), how)
    elif stored:
        failures = _write_store(output, sounds, loaded, classifier.as_posix(), how)
    else:
        failures = _write_each(output, sounds, loaded, how, resume=resume)
    used = len(sounds) - len(failures)
    if used and not is_folder(output):
        out.print(f"saved {output} (embeddings of {used} files)", soft_wrap=True)
    report_failures([failure.error for failure in failures], used=used)


def _write_store(output: Path, sounds: Sequence[str], classifier: Answering, model: str, how: dict[str, Any]) -> list[Failure]:
    facts = EmbeddingFacts.of(classifier, model, statistic=how["statistic"], hop=how["hop"])
    failures: list[Failure] = []
    kept = "nothing was saved; -o with a .csv or .jsonl file writes each embedding at once"
    with keeping(kept), progress_bar() as show:
        collected = None if how["strict"] else failures
        where = {name: how[name] for name in ("jobs", "executor")}
        rows = embed_files(classifier, sounds, facts, failures=collected, progress=show, **where)
        write_embeddings(output, rows, facts)
    return failures


def _write_parts(
    classifier: Answering, sounds: Sequence[str], path: Path, folder: AnswerFolder, how: dict[str, Any]
) -> list[Failure]:
    from audiozoo.shards import EmbeddingTable

    facts = EmbeddingFacts.of(classifier, path.as_posix(), statistic=how["statistic"], hop=how["hop"])
    if folder.resume:
        facts = _earlier(folder.path, facts)
    request = {"verb": "embed", "model": model_identity(path), "facts": facts.to_json()}
    with progress_bar() as show:
        return folder.write(
            sounds, request, EmbeddingTable(facts), lambda names: classifier.embed_many(names, progress=show, **how)
        )


def _earlier(folder: Path, facts: EmbeddingFacts) -> EmbeddingFacts:
    """Return the facts of a folder that continues, because another machine rounds the signature differently."""
    from audiozoo.parts import has_manifest, read_manifest

    text = read_manifest(folder).request.get("facts") if has_manifest(folder) else None
    earlier = EmbeddingFacts.parse(text.encode()) if isinstance(text, str) else None
    return earlier if earlier and earlier.agrees(facts) else facts


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
