"""Walks through the graph of a Keras model: the last tensors with bands or frames, and the two parts of the model there."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from audiozoo.checks import refuse_unknown
from audiozoo.explain.targets import Target
from audiozoo.layers import keras

_LEAST_CELLS = 8  # the last maps of some networks have two or four, which tell nothing about the place


class Cut(NamedTuple):
    """A network that is cut into two parts.

    Args:
        names: Names of the layers at the cut.
        head: Model from the input to the outputs of these layers.
        tail: Model from these outputs, and the input if it is needed, to the tensor of a target.
        needs_input: Whether the tail takes the input of the network last.
    """

    names: tuple[str, ...]
    head: Any
    tail: Any
    needs_input: bool


def cut_at(target: Target, layer: str | None) -> Cut:
    """Cut a network at a layer, or at the last tensors that have bands and frames.

    Without a name, the last outputs of rank four with at least eight cells are taken, or else smaller ones, or those of rank
    three. A network of parallel branches has several.

    Args:
        target: Target that the tail computes.
        layer: Name of a layer; `None` chooses.

    Returns:
        The parts of the network.

    Raises:
        ValueError: There is no such layer, it gives vectors, or the target does not depend on it; or the network has no layer
            with a time axis.
    """
    found, inputs = _named(target, layer) if layer is not None else _last(target)
    names = tuple(tensor._keras_history.operation.name for tensor in found)
    head = keras.Model(target.model.inputs[0], found)
    return Cut(names, head, keras.Model([*found, *inputs], target.tensor), bool(inputs))


def _named(target: Target, layer: str) -> tuple[list[Any], list[Any]]:
    refuse_unknown("layer", [layer], [one.name for one in target.model.layers])
    chosen = target.model.get_layer(layer).output
    if not _is_spatial(chosen, (3, 4)):
        raise ValueError(
            f"Grad-CAM needs a layer with a time axis, and {layer} gives {tuple(chosen.shape[1:])}: "
            "name one before it, or choose method='gradient'"
        )
    found, inputs = _behind(target.tensor, lambda tensor: tensor is chosen)
    if not found:
        raise ValueError(f"the score of the class does not depend on the layer {layer}: name one on its way")
    return found, inputs


def _last(target: Target) -> tuple[list[Any], list[Any]]:
    for ranks, cells in (((4,), _LEAST_CELLS), ((4,), 2), ((3,), 2)):
        found, inputs = _behind(target.tensor, partial(_is_candidate, ranks=ranks, cells=cells))
        if found:
            return found, inputs
    raise ValueError(
        f"Grad-CAM needs a layer with a time axis, and {target.model.name} has none after its input: choose method='gradient'"
    )


def _behind(tensor: Any, stop: Callable[[Any], bool]) -> tuple[list[Any], list[Any]]:
    """Walk back from a tensor. Return the first tensors on each way that fulfil a condition, and the inputs on other ways."""
    found, inputs, seen, pending = [], [], set(), [tensor]
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if not (before := _before(tensor)):
            inputs.append(tensor)
        elif stop(tensor):
            found.append(tensor)
        else:
            pending += before
    return found[::-1], inputs


def _before(tensor: Any) -> list[Any]:
    operation, node, _ = tensor._keras_history
    return list(operation._inbound_nodes[node].input_tensors)


def _is_spatial(tensor: Any, ranks: tuple[int, ...], cells: int = 2) -> bool:
    shape = tensor.shape
    # An axis of unknown size adapts to the input, which has many frames.
    return len(shape) in ranks and (None in shape[1:-1] or math.prod(shape[1:-1]) >= cells)


def _is_candidate(tensor: Any, ranks: tuple[int, ...], cells: int) -> bool:
    return _is_spatial(tensor, ranks, cells) and _is_learnt(tensor)


def _is_learnt(tensor: Any) -> bool:
    """Return whether a layer with weights lies between the input and a tensor; a transposed input is no layer of its own."""
    seen, pending = set(), [tensor]
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if getattr(tensor._keras_history.operation, "weights", ()):
            return True
        pending += _before(tensor)
    return False
