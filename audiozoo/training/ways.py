"""Ways to transfer a pretrained network to other classes, as values that the request of a benchmark can save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from audiozoo.checks import unknown_name
from audiozoo.classifier import Classifier
from audiozoo.config import Configured
from audiozoo.datasets import Clip
from audiozoo.recipe import Recipe
from audiozoo.registry import model_info
from audiozoo.training.finetuning import FINETUNING, finetune
from audiozoo.training.probes import probe


@dataclass(frozen=True, kw_only=True)
class Transfer(Configured, ABC):
    """Way to transfer a pretrained network.

    Args:
        weights: Name of the published weights that the training starts from; "" for the first ones of the model.
    """

    WORD: ClassVar[str]
    """Word that names the way after the name of a model, as in "yamnet:probe"."""
    RECIPE: ClassVar[Recipe]
    """Training settings by default."""

    weights: str = ""

    def train(self, model: str, clips: Sequence[Clip], recipe: Recipe, **shared: Any) -> Classifier:
        """Train a classifier.

        Args:
            model: Name of the model.
            clips: Training clips.
            recipe: Training settings.
            **shared: Further arguments of `probe` and `finetune`, such as `labels`, `weights_file` and `cache`.

        Returns:
            The classifier.
        """
        return self._train(model, clips, recipe, weights=self.weights, **shared)

    @abstractmethod
    def _train(self, model: str, clips: Sequence[Clip], recipe: Recipe, **shared: Any) -> Classifier:
        """Train a classifier from these weights."""

    def of(self, model: str) -> Transfer:
        """Return the way with the name of the weights, which are the first ones of the model by default.

        Raises:
            ValueError: The model has no such published weights.
        """
        published = model_info(model).weights
        chosen = self.weights or next(iter(published), "")
        if chosen not in published:
            raise ValueError(f"{model}:{self.WORD} needs a model with published weights; see `audiozoo list --pretrained`")
        return replace(self, weights=chosen)


@dataclass(frozen=True, kw_only=True)
class Probe(Transfer):
    """Logistic regression on the embeddings, see `probe`. Of the recipe, only the seed and the validation count."""

    WORD = "probe"
    RECIPE = Recipe(standardize=None)

    def _train(self, model: str, clips: Sequence[Clip], recipe: Recipe, **shared: Any) -> Classifier:
        how: dict[str, Any] = {"seed": recipe.seed, "validation": recipe.validation, "class_weight": recipe.class_weight}
        return probe(model, clips, **how, **shared)


@dataclass(frozen=True, kw_only=True)
class Finetune(Transfer):
    """Further training of the network, see `finetune`.

    Args:
        unfreeze: Layers that train besides the last one.
    """

    WORD = "finetune"
    RECIPE = FINETUNING

    unfreeze: str | float = 0.3

    def _train(self, model: str, clips: Sequence[Clip], recipe: Recipe, **shared: Any) -> Classifier:
        return finetune(model, clips, recipe, unfreeze=self.unfreeze, **shared)


WAYS: dict[str, type[Transfer]] = {way.WORD: way for way in (Probe, Finetune)}


def titled(model: str, transfer: Transfer | None) -> str:
    """Return the name of a model, with the way after a colon for a transfer, as in "yamnet:probe"; see `split_way`."""
    return f"{model}:{transfer.WORD}" if transfer else model


def split_way(name: str) -> tuple[str, type[Transfer] | None]:
    """Split a name such as "yamnet:probe" into the model and the way to transfer it.

    Args:
        name: Name of a model, with the word of a way after a colon for a transfer.

    Returns:
        The name of the model and the class of the way; `None` for a training from random weights.

    Raises:
        ValueError: There is no such way.

    >>> split_way("yamnet:probe")[0]
    'yamnet'
    """
    model, colon, word = name.partition(":")
    if colon and word not in WAYS:
        raise unknown_name(f"way to transfer {model}", word, WAYS)
    return model, WAYS.get(word)
