"""Training loop: the only module that seeds, compiles and fits models."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from audiozoo.augment import ByClass
from audiozoo.checks import refuse_unknown
from audiozoo.classifier import Classifier
from audiozoo.classifier.facts import fingerprints_of
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache, Frontend, extract
from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import ModelSpec, checked_options, model_info, recipe_for, split_weights
from audiozoo.training.budget import Budget, Clock
from audiozoo.training.devices import Devices, chosen_devices
from audiozoo.training.examples import Examples, check_classes, check_present, frontend_for, targets_of
from audiozoo.training.optimization import LOSSES
from audiozoo.training.resuming import Checkpoints
from audiozoo.training.run import Run
from audiozoo.training.start import Registered


def train(
    name: str,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    budget: Budget | None = None,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    unknown: float | None = None,
    strict: bool = True,
    workers: int = 2,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
    devices: str | int | None = None,
    **options: Any,
) -> Classifier:
    """Train a model of the zoo on clips.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        clips: Labelled clips, for example from `audiozoo.load_dataset`. If any of them has several labels, the model has
            independent outputs (a sigmoid), and the classifier a threshold for each class.
        recipe: Training settings; `None` uses the model's own, `recipe_for(name)`.
        budget: Time that the training may take, ``Budget(minutes=5)``, with the computation of features; `None` trains the
            recipe in full. ``classifier.about.recipe`` is the recipe that fitted, which gives the same training again.
        labels: Names of the classes in the order of the outputs; `None` sorts all labels that occur.
        frontend: Frontend that computes the features; `None` uses the model's own, adapted to the clips (`frontend_for`).
        weights: Name of published initial weights, see ``model_info(name).weights``. With another number of classes than the
            published one, the last layer starts from random weights. Published weights expect features that are not
            standardised, so the recipes of their models have ``standardize=None``.
        weights_file: Path of a file of initial weights, as for `build`.
        unknown: Share of the known clips to keep when the classifier answers "unknown" for the least familiar sounds, such as
            0.95; `None` answers every sound with a class. The level comes from the held-out recordings.
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about.failures``.
        workers: Number of threads that prepare augmented batches ahead; 0 prepares them in the training thread. The number
            changes only the time of the training, not its result.
        cache: Cache that keeps computed features between runs; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.
        stop: Function that training calls after each step; when it returns true, training ends and keeps the best epoch so
            far, or the weights of that step in the first epoch. `None` never ends training.
        checkpoints: Folder from which an interrupted training continues, ``Checkpoints("my.checkpoints")``: the same call gives
            the same classifier as one without interruption. Call its `remove` when the classifier is saved. `None` keeps none.
        devices: "all", or the number of devices (GPUs if the backend has any, else processors) that share each batch, on JAX
            and TensorFlow. The batch size stays that of the recipe, and the losses those of one device if all batches are full.
            `None` uses one, or all devices after `join_hosts`.
        **options: Options of the builder. Models with auxiliary outputs train with them.

    Returns:
        The classifier with the history of its training. Its weights are those of the epoch with the lowest validation loss.
        With ``refit=True``, the model trains once more on all clips, for as many epochs. If the refit is cut short by `stop` or
        the budget, the classifier is the one before it, and ``classifier.about.stopped`` tells.

    Raises:
        ValueError: There are fewer than two classes, a class has no clips, a clip cannot be read, or the name or an option is
            unknown. With `unknown`, there are too few held-out clips, or a class has this name. With `checkpoints`, there is a
            budget of time, or the folder has those of another training. With `devices`, there are fewer, the backend is another
            one, or the batch size is not a multiple of their number.
    """
    clock = Clock(budget, stop)
    options = checked_options(model_info(name), options)
    weights, weights_file = split_weights(weights, weights_file, model_info(name).weights)
    frontend = frontend or frontend_for(name, clips)
    classes = tuple(sorted({label for clip in clips for label in clip.labels})) if labels is None else tuple(labels)
    targets = targets_of(clips, classes)
    check_classes(classes, targets)
    features = extract(clips, frontend, cache=cache, progress=progress)
    if strict:
        features.raise_failures()
    how: dict[str, Any] = {"weights": weights, "weights_file": weights_file, "unknown": unknown, "workers": workers}
    how |= {"options": options, "progress": progress, "checkpoints": checkpoints, "devices": chosen_devices(devices)}
    examples = Examples(clips, features, targets, features.readable)
    classifier = train_examples(name, examples, classes, recipe or recipe_for(name), frontend, clock=clock, **how)
    failures, learnt = tuple(features.failures.values()), fingerprints_of(clip.path for clip in clips)
    classifier.about = replace(classifier.about, failures=failures, fingerprints=learnt)
    return classifier


def train_examples(
    name: str,
    examples: Examples,
    classes: Sequence[str],
    recipe: Recipe,
    frontend: Frontend,
    *,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    unknown: float | None = None,
    workers: int = 2,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
    checkpoints: Checkpoints | None = None,
    devices: Devices | None = None,
) -> Classifier:
    """Train on examples with features; `train` computes these first.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        examples: Clips with features and targets.
        classes: Names of the classes in the order of the outputs.
        recipe: Training settings.
        frontend: Frontend that computed the features.
        weights: Initial weights, as for `train`.
        unknown: Share of the known clips to keep, as for `train`.
        workers: Number of threads that prepare augmented batches ahead.
        options: Options of the builder.
        progress: Callback, see `audiozoo.progress`.
        clock: Clock that may end the training, see `train`; `None` never ends it.
        checkpoints: Folder from which an interrupted training continues, as for `train`.
        devices: Devices that share each batch; `None` for one.

    Returns:
        The trained classifier.

    Raises:
        ValueError: There are fewer than two classes, a class has no examples, `workers` is negative, the activation has no
            loss, or the augmentation names an unknown class. With `unknown`, as for `train`.
    """
    check_present(classes, examples.targets[examples.index], examples.features)
    spec = model_info(name)
    options = {**_activation(examples), **(options or {})}
    _check_activation(examples, options)
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    for change in filter(None, (recipe.augment_wave, recipe.augment_features)):
        for part in change.parts():
            refuse_unknown("class in ByClass", part.transforms if isinstance(part, ByClass) else (), classes)
            if isinstance(part, ByClass) and examples.multilabel:
                raise ValueError("ByClass needs one label for each clip, and some clips have several: use other transforms")
    # The options of the caller come last, so they can switch the auxiliary outputs off.
    used = {**_auxiliary(spec), **checked_options(spec, options)}
    start = Registered(spec, used, len(classes), frontend.shape, recipe.seed, weights, weights_file)
    clock = clock or Clock()
    run = Run(start, recipe, frontend, tuple(classes), workers, unknown, progress, clock, checkpoints, devices)
    return run.fit(examples)


def _activation(examples: Examples) -> dict[str, Any]:
    # For one label a clip, the model keeps its own activation.
    return {"activation": "sigmoid"} if examples.multilabel else {}


def _check_activation(examples: Examples, options: Mapping[str, Any]) -> None:
    given = options.get("activation", "softmax")
    if given not in LOSSES:
        raise ValueError(f"training needs activation='softmax' or 'sigmoid', got {given!r}")
    if examples.multilabel and given != "sigmoid":
        raise ValueError(
            f"clips with several labels need activation='sigmoid', got {given!r}, whose scores exclude each other: leave the "
            "option out, or give each clip one label"
        )


def trained_options(spec: ModelSpec) -> dict[str, Any]:
    """Return the builder options with which `train` builds a model: the builder's defaults, auxiliary outputs switched on."""
    return {**spec.options, **_auxiliary(spec)}


def _auxiliary(spec: ModelSpec) -> dict[str, Any]:
    return {"auxiliary": True} if "auxiliary" in spec.options else {}
