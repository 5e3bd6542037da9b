"""A job of a benchmark: one model, trained on all folds but one and tested on that one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from audiozoo.config import revive
from audiozoo.crossval.identity import Request, content_of, differing
from audiozoo.datasets import Clip
from audiozoo.download import local_path
from audiozoo.features import Frontend
from audiozoo.files import checksum
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, model_info
from audiozoo.training import Transfer, titled, trained_options


@dataclass(frozen=True, eq=False)
class FoldJob:
    """Training of a model on all folds but one, and test on that one.

    Args:
        dataset: Name of the dataset.
        metric: Metric of the dataset.
        labels: Classes in the order of the model's outputs.
        fold: Number of the test fold.
        train: Training clips.
        test: Test clips.
        model: Name of the model.
        options: Options of the model's builder.
        transfer: Way to transfer the pretrained network of the model; `None` trains from random weights.
        weights_file: Path of a file of weights for the transfer; `None` downloads the published ones once. The path is not part
            of the request, but other content than the published one is.
        frontend: Frontend of the model.
        recipe: Recipe of the training.
    """

    dataset: str
    metric: str
    labels: tuple[str, ...]
    fold: int
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]
    model: str
    frontend: Frontend
    recipe: Recipe
    options: dict[str, Any] = field(default_factory=dict)
    transfer: Transfer | None = None
    weights_file: Path | None = None

    @property
    def title(self) -> str:
        """Name of the model, with the way of a transfer, see `Request.title`."""
        return titled(self.model, self.transfer)

    @property
    def featured(self) -> tuple[Clip, ...]:
        """Clips whose features the job takes from a bank. A transfer reads those of its training clips itself."""
        return self.test if self.transfer else (*self.train, *self.test)

    @cached_property  # the hash of the sounds reads every file
    def request(self) -> Request:
        """Request of the job, as saved in its row."""
        spec = model_info(self.model)
        return Request(
            dataset=self.dataset,
            content=content_of(self.labels, self.train, self.test),
            fold=self.fold,
            model=spec.name,
            options=revive(differing(self.options, trained_options(spec))),
            defaults=trained_options(spec),
            frontend=self.frontend,
            recipe=self.recipe,
            transfer=self.transfer,
            weights=self._weights,
        )

    @property
    def _weights(self) -> str:
        if not (self.transfer and self.weights_file):
            return ""
        return _content(local_path(self.weights_file), model_info(self.model).weights[self.transfer.weights])

    @property
    def key(self) -> str:
        """Hash of the request, the same in every process and for every location of the files."""
        return self.request.key

    @property
    def file_name(self) -> str:
        """File name of the job's row, which ends with the key."""
        return self.request.file_name


@cache  # all folds use the same file, which may be large
def _content(file: Path, published: PretrainedWeights) -> str:
    return "" if published.is_copy(file) else checksum(file)[:16]
