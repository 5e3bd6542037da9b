"""Load classifiers from files that `Classifier.save` writes, or from published weights."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from audiozoo.bounded import MIB, BoundedZip, parse_json, read_npz, refusing
from audiozoo.checks import suggestion, unknown_name
from audiozoo.classifier.card import LARGEST_DEPTH, MOST_CARD_BYTES, Card
from audiozoo.classifier.classifier import Classifier
from audiozoo.classifier.ensemble import Ensemble
from audiozoo.classifier.ensemblecard import MEMBER_NAMES, EnsembleCard, is_ensemble
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.classifier.probe import ProbeScorer
from audiozoo.classifier.scorers import KerasScorer, Scorer
from audiozoo.download import hub_file, local_path, revision_of
from audiozoo.features import Scaler
from audiozoo.files import checksum
from audiozoo.registry import build, list_models, model_info, shipped_classifiers, split_weights

_MOST_SCALER_BYTES = 64 * MIB

SCORERS: dict[str, type[Scorer]] = {scorer.kind: scorer for scorer in (KerasScorer, ProbeScorer)}
"""Scorers that a saved classifier can have, by name."""


def load_classifier(path: str | os.PathLike[str]) -> Classifier | Ensemble:
    """Load a classifier that `Classifier.save` wrote, or an ensemble that `Ensemble.save` wrote.

    Loading is safe for files of unknown origin: sizes and values are checked before memory is allocated, and no code in the
    file is run.

    Args:
        path: Path of the file, or its address on the Hugging Face hub, ``"hf://org/name@revision/file"``. If there is no such
            file, the name of a classifier that comes with the package, such as "house_cnn/esc10", or a name from
            ``list_models(pretrained=True)``, see `pretrained_classifier`.

    Returns:
        The `Classifier` or `Ensemble`.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: The file cannot be opened.
        ValueError: The file is not a classifier that this version reads: it is something else, is damaged, declares sizes or
            values beyond the limits, or has a newer schema.
    """
    path = local_path(path)
    if not path.is_file():
        name = path.as_posix()
        if name in list_models(pretrained=True):
            return pretrained_classifier(name)
        if name in (shipped := shipped_classifiers()):
            return load_classifier(shipped[name])
        hint = suggestion(name, [*shipped, *list_models(pretrained=True)]) or "`audiozoo train DIR -o FILE` saves one"
        raise FileNotFoundError(f"{path}: no such file, and no classifier of this name; {hint}")
    with open(path, "rb") as file, refusing(path, "not a classifier that this version reads"):
        card = _card_in(file)
        return _read_ensemble(file, card) if is_ensemble(card) else _read(file)


def saved_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the card of a saved classifier or ensemble as JSON data, without its weights.

    Args:
        path: Path of the file, or the name of a classifier that comes with the package, such as "house_cnn/esc10".

    Returns:
        The card: among others its labels, its origin ("about", see `TrainingFacts.to_dict`) and the versions that wrote it.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is not a classifier that this version reads.
    """
    if not Path(path).is_file():
        path = shipped_classifiers().get(os.fspath(path), Path(path))
    with open(path, "rb") as file, refusing(path, "not a classifier that this version reads"):
        content = _card_in(file)
        (EnsembleCard if is_ensemble(content) else Card).parse(content)
        return dict(parse_json(content, most=MOST_CARD_BYTES, depth=LARGEST_DEPTH))


def _card_in(file: BinaryIO) -> bytes:
    with BoundedZip(file, _limits() | _member_limits(MEMBER_NAMES)) as archive:
        return archive.read("card.json")


def _limits() -> dict[str, int]:
    limits = {"card.json": MOST_CARD_BYTES, "scaler.npz": _MOST_SCALER_BYTES}
    for kind in SCORERS.values():
        limits |= kind.files
    return limits


def _member_limits(names: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(names, sum(_limits().values()))


def _read_ensemble(file: BinaryIO, content: bytes) -> Ensemble:
    card = EnsembleCard.parse(content)
    names = MEMBER_NAMES[: card.members]
    # The limits without the parts of a classifier also keep an ensemble from having more members than its card states.
    with BoundedZip(file, {"card.json": MOST_CARD_BYTES} | _member_limits(names)) as archive:
        members = tuple(_read_member(name, archive.read(name)) for name in names)
    return Ensemble(
        members,
        card.weights,
        temperature=card.temperature,
        thresholds=card.thresholds,
        rejection=card.rejection,
        history=card.history,
        about=card.about,
    )


def _read_member(name: str, content: bytes) -> Classifier:
    # `_read` knows no ensembles, so that ensembles cannot be nested.
    with refusing(name, "not a classifier that this version reads"):
        return _read(io.BytesIO(content))


def _read(file: BinaryIO) -> Classifier:
    with BoundedZip(file, _limits()) as archive:
        card = Card.parse(archive.read("card.json"))
        if card.scorer not in SCORERS:
            raise unknown_name("kind of model", card.scorer, SCORERS)
        kind = SCORERS[card.scorer]
        arrays = read_npz(archive.read("scaler.npz"), {"mean": _MOST_SCALER_BYTES, "deviation": _MOST_SCALER_BYTES})
        if len(arrays) != 2:
            raise ValueError(f"scaler.npz must have mean and deviation, it has {', '.join(arrays) or 'nothing'}")
        scaler = Scaler(arrays["mean"], arrays["deviation"])
        scaler.check(card.frontend.shape)
        names = [name for name in kind.files if name in set(archive) or name not in kind.optional]
        scorer = kind.from_files({name: archive.read(name) for name in names})
    if card.parameters not in (None, scorer.parameters):
        raise ValueError(f"the card states {card.parameters:,} parameters, but the model has {scorer.parameters:,}")
    return Classifier(
        frontend=card.frontend,
        scaler=scaler,
        scorer=scorer,
        labels=card.labels,
        pooling=card.pooling,  # type: ignore[arg-type]  # the classifier checks it
        temperature=card.temperature,
        activation=card.activation,
        thresholds=card.thresholds,
        rejection=card.rejection,
        history=card.history,
        about=card.about,
    )


def pretrained_classifier(
    name: str,
    *,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    duration: float | None = None,
) -> Classifier:
    """Return a classifier with published weights, ready for use without training.

    Args:
        name: Name of a model, see ``list_models(pretrained=True)``.
        weights: Name of published weights from ``model_info(name).weights``; `None` uses the first.
        weights_file: Path of a copy of the published file, or its address on the Hugging Face hub, see `build`; `None`
            downloads the published file once.
        duration: Length of a window (seconds); `None` uses that of the training. Most networks take any length.

    Returns:
        A classifier for the classes that the weights were trained on. The scores of networks that were trained on AudioSet are
        independent; several classes can be present. ``about.notes["weights"]`` tells the origin of the weights.

    Raises:
        ValueError: A name is unknown, the model has no published weights, or the file has other weights.
        OSError: The weights cannot be downloaded; the message says where to put a copy.
    """
    spec = model_info(name)
    if not spec.weights:
        raise ValueError(
            f"{spec.name} has no published weights; models with published weights: {', '.join(list_models(pretrained=True))}"
        )
    weights, weights_file = split_weights(weights, weights_file, spec.weights)
    chosen = next(iter(spec.weights)) if weights is None else weights
    if chosen not in spec.weights:
        raise unknown_name(f"weights of {spec.name}", chosen, spec.weights)
    published = spec.weights[chosen]
    path = None if weights_file is None else local_path(weights_file)
    source: dict[str, Any] = {"weights": chosen} if path is None else {"weights_file": path}
    frontend = spec.frontend if duration is None else spec.frontend.adapt(duration=duration)
    model = build(spec.name, len(published.labels), input_shape=spec.input_shape(frontend), **source)
    about = TrainingFacts(
        model=spec.name,
        weights=chosen,
        licence=published.licence,
        parameters=model.count_params(),
        notes={"weights": published.origin if path is None else _origin(weights_file, path)},
    )
    return Classifier.from_keras(model, frontend, published.labels, about=about)


def _origin(asked: object, path: Path) -> dict[str, str]:
    """Describe a file of weights: the address, or the name without the folders of this computer, and what identifies it."""
    hub = hub_file(asked)
    revision = {} if (commit := revision_of(path)) is None else {"revision": commit}
    return {"url": str(asked) if hub else path.name, **revision, "sha256": checksum(path)}
