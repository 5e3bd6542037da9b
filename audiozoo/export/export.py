"""Export of a classifier to a file of another library, with a comparison before the file appears."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from audiozoo.classifier import Classifier, Ensemble
from audiozoo.datasets import Clip
from audiozoo.export.card import ExportCard, card_for
from audiozoo.export.formats import FORMATS, Format, format_named
from audiozoo.export.graph import exported_model, is_exact
from audiozoo.export.proof import MOST_DIFFERENCE, Proof, prove, synthetic_clips
from audiozoo.export.runtime import scoring
from audiozoo.files import replacing, replacing_folder
from audiozoo.progress import Progress


class Exported(NamedTuple):
    """An exported file.

    Args:
        path: Path of the file or folder.
        format: Name of the format.
        card: Metadata in it.
        proof: Comparison with the classifier.
        exact: Whether the scores of a clip follow from those of its windows; those of a probe do not.
    """

    path: Path
    format: str
    card: ExportCard
    proof: Proof
    exact: bool


def export_classifier(
    classifier: Classifier | Ensemble,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    features: bool = False,
    clips: Sequence[Clip] = (),
    progress: Progress | None = None,
) -> Exported:
    """Export a classifier as one file, and compare the file with the classifier before it appears at its path.

    Args:
        classifier: Classifier or ensemble.
        path: Path of the file, or of the folder for "saved_model". An older file is replaced only by a proven one.
        format: "onnx", "litert", "saved_model", "torchscript" or "keras"; `None` takes it from the suffix.
        features: Whether the model takes features instead of a waveform.
        clips: Clips for the comparison; by default synthetic sounds. Their labels give the accuracy.
        progress: Callback, see `audiozoo.progress`; the stage is "compare" and a step is a clip.

    Returns:
        The path with its metadata and the comparison.

    Raises:
        ImportError: A package that writes or runs the format is missing; the message has the command that installs it.
        OSError: The file cannot be written, or a clip cannot be opened.
        ValueError: The classifier cannot be exported (see `waveform_model`), the format does not fit the suffix or the backend,
            a clip cannot be used, or a probability differs by more than 0.001 from that of Keras.
    """
    name = format_named(format, path)
    kind, pools = FORMATS[name], FORMATS[name].members and is_exact(classifier)
    model = exported_model(classifier, features=features, members=kind.members)
    card = card_for(classifier, model.name, features=features, members=kind.members)
    writing = replacing(path) if kind.suffix else replacing_folder(path, mark="saved_model.pb")
    with writing as temporary:
        kind.write(model, card, temporary)
        exported = opened(temporary, kind, card)
        chosen = list(clips) or synthetic_clips(classifier.window_frontend)
        proof = prove(classifier, exported, chosen, pools=pools, size=_size(temporary), progress=progress)
        _check(proof, path)
    return Exported(Path(path), name, card, proof, is_exact(classifier))


def opened(path: Path, kind: Format, card: ExportCard) -> Classifier:
    """Return an exported file as a classifier.

    Args:
        path: Path of the file.
        kind: Format.
        card: Metadata of the file.

    Returns:
        The classifier, which runs the file.
    """
    return scoring(path, card.to_json(), lambda: kind.open(path))


def _check(proof: Proof, path: str | os.PathLike[str]) -> None:
    if not proof.difference <= MOST_DIFFERENCE:
        raise ValueError(
            f"{path}: not written, because a probability of the exported model differs by {proof.difference:.2g} from that of "
            f"Keras on {proof.clips} clips, and at most {MOST_DIFFERENCE:g} is allowed: try another format, or --features"
        )


def _size(path: Path) -> int:
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files)
