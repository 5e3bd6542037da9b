"""Settings of Keras for training: losses, optimisers, learning-rate schedules, precision and random seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from audiozoo.layers import keras
from audiozoo.recipe import Recipe

LOSSES: dict[str, Callable[[float], Any]] = {
    "softmax": lambda smoothing: keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
    "sigmoid": lambda smoothing: keras.losses.BinaryCrossentropy(label_smoothing=smoothing),
}
"""The loss for each activation of the output, given the label smoothing."""


@contextmanager
def own_dropout() -> Iterator[None]:
    """Context manager in which `seed_dropout` can be called; it restores the global random state afterwards."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng():
        yield


def seed_dropout(seed: int, epoch: int, step: int) -> None:
    """Make the dropout of a step repeatable, also in a training that starts with this step.

    Args:
        seed: Random seed of the training.
        epoch: Number of the epoch, from 0.
        step: Number of the step in the epoch, from 0.
    """
    # On TensorFlow and JAX, each dropout layer has a seed of its own. On PyTorch, Keras draws from the global generator.
    if keras.backend.backend() != "torch":
        return
    import torch

    torch.manual_seed(int(np.random.SeedSequence([seed, epoch, step]).generate_state(1)[0]))


@contextmanager
def precision(mixed: bool) -> Iterator[None]:
    """Context manager that sets mixed precision if `mixed`, and restores the policy.

    The weights stay in float32. The layers compute in float16 on a GPU, and in bfloat16 on a processor, where float16 is slow.
    """
    before = keras.config.dtype_policy()
    if mixed:
        keras.config.set_dtype_policy("mixed_float16" if _on_gpu() else "mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _on_gpu() -> bool:
    if keras.backend.backend() != "torch":
        # JAX raises an error for a kind of device that is not there, so all devices are listed.
        return any(name.lower().startswith(("gpu", "cuda")) for name in keras.distribution.list_devices())
    import torch

    return bool(torch.cuda.is_available())


def optimizer(recipe: Recipe, steps: int, epochs: int) -> Any:
    """Create the optimiser of a recipe.

    Args:
        recipe: Recipe with the optimiser, its learning rate and its schedule.
        steps: Number of steps in an epoch.
        epochs: Number of epochs, which the schedule needs.

    Returns:
        The Keras optimiser.
    """
    rate = _schedule(recipe, steps, epochs)
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    made = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    # As in timm, only kernels decay: biases and normalisation parameters keep their scale.
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def _schedule(recipe: Recipe, steps: int, epochs: int) -> Any:
    # At least one epoch must remain after the warm-up, or the model would never train at its full rate.
    warmup = min(recipe.warmup, epochs - 1) * steps
    if recipe.schedule == "constant" and not warmup:
        return recipe.learning_rate
    decay = epochs * steps - warmup
    return keras.optimizers.schedules.CosineDecay(
        # The warm-up starts at a hundredth of the learning rate, because a first step at a rate of 0 has no effect.
        recipe.learning_rate * (0.01 if warmup else 1),
        decay,
        # With alpha=1, the cosine is flat: a constant rate after the warm-up.
        alpha=0.0 if recipe.schedule == "cosine" else 1.0,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
