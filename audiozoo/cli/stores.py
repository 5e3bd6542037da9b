"""Embeddings for several verbs: read from a file, or computed from a folder of sounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import progress_bar, quiet_backend, report_failures, sounds_of
from audiozoo.cli.errors import keeping
from audiozoo.parts import has_manifest

if TYPE_CHECKING:
    import numpy as np

    from audiozoo.classifier import Answering, Failure
    from audiozoo.embeddings import EmbeddingFacts, Embeddings
    from audiozoo.embeddings.store import Row

StorePath = Annotated[
    Path, typer.Argument(help="Embeddings that `audiozoo embed` wrote (.npz or .parquet), or a folder of sounds.")
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`; by default the one of the "
        "embeddings.",
    ),
]
"""Arguments that `Source` takes."""


class Source:
    """Embeddings and the classifier that computed them, which is loaded when it is needed.

    Args:
        path: Path of the file or folder of embeddings, or folder of sounds.
        model: Name of the classifier, or path of its file; `None` takes the one that the embeddings state.
        jobs: Number of threads that read files; -1 uses one per core.

    Raises:
        ValueError: A folder is named without a model, or the embeddings cannot be read.
        OSError: The path does not exist.
    """

    def __init__(self, path: Path, model: str | None, *, jobs: int = -1) -> None:
        self.path, self._model, self._jobs = path, model, jobs
        self._loaded: Answering | None = None
        self._failures: list[Failure] = []
        self._used = 0
        self.store: Embeddings = self._embedded() if path.is_dir() and not has_manifest(path) else self._read()

    def _read(self) -> Embeddings:
        from audiozoo.embeddings import read_embeddings

        return read_embeddings(self.path)

    def _embedded(self) -> Embeddings:
        from audiozoo.embeddings import EmbeddingFacts, Embeddings

        if self._model is None:
            raise ValueError(
                f"{self.path}: a folder is embedded first, so name a model, such as --model house_cnn/esc10 or yamnet"
            )
        sounds = sounds_of([self.path])
        facts = EmbeddingFacts.of(self._load(self._model), self._model)
        rows = self._embed(sounds, facts)
        if not rows:
            self.report()
        return Embeddings.of(rows, facts)

    def _embed(self, sounds: Sequence[str], facts: EmbeddingFacts) -> list[Row]:
        from audiozoo.embeddings import embed_files

        assert self._loaded is not None
        with keeping("nothing was saved; `audiozoo embed` writes a file of embeddings"), progress_bar() as show:
            rows = list(embed_files(self._loaded, sounds, facts, failures=self._failures, jobs=self._jobs, progress=show))
        self._used += len(rows)
        return rows

    def report(self) -> None:
        """List the files that could not be used on standard error, and exit with status 1 if there are any."""
        report_failures([failure.error for failure in self._failures], used=self._used)

    def _load(self, name: str) -> Answering:
        if self._loaded is None:
            quiet_backend()
            from audiozoo.classifier import load_classifier

            self._loaded = load_classifier(name)
        return self._loaded

    def embed(self, sounds: Sequence[str]) -> dict[str, np.ndarray]:
        """Embed sounds with the classifier of the embeddings; those that cannot be used are left out.

        Raises:
            ValueError: No classifier is known, or it gives other embeddings.
        """
        from audiozoo.embeddings import EmbeddingFacts

        name, facts = self._named(), self.store.facts
        classifier = self._load(name)
        if facts is None:
            facts = EmbeddingFacts.of(classifier, name)
        else:
            facts.check(classifier, name)
        return dict(self._embed(sounds, facts))

    def _named(self) -> str:
        """Return the name of the classifier: the user's, or the one that the file states, if it is one of this computer."""
        stated = self.store.facts.model if self.store.facts else ""
        if self._model is not None:
            return self._model
        from audiozoo.registry import list_models, shipped_classifiers

        # A file from elsewhere must not choose what is downloaded.
        if stated in (*list_models(pretrained=True), *shipped_classifiers()) or (stated and Path(stated).is_file()):
            return stated
        raise ValueError(f"{self.path}: its model, {stated or 'unknown'}, is not here; name it with --model")
