"""Options of ``audiozoo train`` that start from a trained network: ``--probe``, ``--finetune`` and ``--from``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audiozoo.classifier import Classifier
    from audiozoo.datasets import Clip
    from audiozoo.recipe import Recipe

Probe = Annotated[bool, typer.Option("--probe", help="Fit logistic regression on a trained network's embeddings, in seconds.")]
Finetune = Annotated[bool, typer.Option("--finetune", help="Continue the training of a trained network, its last layer first.")]
From = Annotated[
    Path | None, typer.Option("--from", help="Saved classifier to start from, for --probe, --finetune and --extend.")
]
Unfreeze = Annotated[
    str | None,
    typer.Option(help="Layers that --finetune trains: a pattern such as 'layer1[0-4].*', or a share from the top, 0 to 1."),
]
Extend = Annotated[
    bool,
    typer.Option("--extend", help="Add the classes of the folder to those of --from, which stay as they are."),
]


@dataclass(frozen=True)
class Transfer:
    """The way of training that the user chose.

    Args:
        model: Name of the model.
        probe: Whether to fit a probe.
        finetune: Whether to fine-tune.
        extend: Whether to add classes to a saved classifier.
        origin: Saved classifier to start from.
        unfreeze: Layers that fine-tuning trains.
        weights: Name of published weights.
        weights_file: File of weights.

    Raises:
        ValueError: The options contradict each other, or there are no weights to start from.
    """

    model: str
    probe: bool = False
    finetune: bool = False
    extend: bool = False
    origin: Path | None = None
    unfreeze: str | None = None
    weights: str | None = None
    weights_file: Path | None = None

    def __post_init__(self) -> None:
        if self.probe + self.finetune + self.extend > 1:
            raise ValueError("--probe, --finetune and --extend exclude each other: pass one of them")
        if self.unfreeze is not None and not self.finetune and not self.origin:
            raise ValueError("--unfreeze is for --finetune")
        if self.extend and not self.origin:
            raise ValueError("--extend needs the classifier to extend: --from FILE")
        if self.wanted and not self.origin:
            self._check_model()

    def _check_model(self) -> None:
        from audiozoo.registry import list_models, model_info

        spec = model_info(self.model)
        if not spec.weights:
            raise ValueError(
                f"{spec.name} has no published weights to start from: pass --from FILE with a classifier of your own, or "
                f"--model with one of {', '.join(list_models(pretrained=True))}"
            )

    @property
    def wanted(self) -> bool:
        """Whether to start from a trained network; ``--from`` alone means fine-tuning."""
        return self.probe or self.finetune or self.extend or self.origin is not None

    @property
    def title(self) -> str:
        """Name of the model, or of the file to start from."""
        return self.origin.name if self.origin else self.model

    @property
    def recipe(self) -> Recipe:
        """Default recipe."""
        from audiozoo.training import FINETUNING, recipe_for

        return FINETUNING if self.wanted else recipe_for(self.model)

    def run(
        self, clips: Sequence[Clip], recipe: Recipe, *, limits: Mapping[str, Any] | None = None, **shared: Any
    ) -> Classifier:
        """Train.

        Args:
            clips: Training clips.
            recipe: Training settings; a probe takes the seed, the share for validation and the class weights from them.
            limits: Budget, request to stop, checkpoints and devices, for `train` and `finetune`; the others take seconds.
                `None` sets none.
            **shared: Options that `train`, `probe` and `finetune` share, and options of the builder for `train`.

        Returns:
            The classifier.

        Raises:
            ValueError: An option does not apply to this way of training.
        """
        from audiozoo.training import extend, finetune, probe, train

        start: Any = self.origin or self.model
        unused = [name for name in ("checkpoints", "devices") if (limits or {}).get(name)]
        if (self.probe or self.extend) and unused:
            raise ValueError(f"--{unused[0]} is for the training of a network; --probe and --extend take seconds: leave it out")
        if self.wanted and "backbone_weights" in shared:
            raise ValueError("--backbone-weights is for a new network; --probe, --finetune and --from have their own weights")
        if self.extend:
            if shared.get("unknown") is not None:
                raise ValueError("--extend keeps too few clips aside for --unknown: leave it out")
            return extend(start, clips, **{key: shared[key] for key in ("cache", "progress", "strict") if key in shared})
        shared |= {"weights": self.weights, "weights_file": self.weights_file}
        if not self.wanted:
            return train(self.model, clips, recipe, **(limits or {}), **shared)
        if self.probe:
            how: dict[str, Any] = {name: getattr(recipe, name) for name in ("seed", "validation", "class_weight")}
            return probe(start, clips, **how, **shared)
        unfreeze: dict[str, Any] = {} if self.unfreeze is None else {"unfreeze": _layers(self.unfreeze)}
        return finetune(start, clips, recipe, **unfreeze, **(limits or {}), **shared)


def _layers(text: str) -> str | float:
    return float(text) if re.fullmatch(r"[\d.]+", text) else text
