"""Export of a classifier to a file of another library, with a comparison before the file appears."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from audiozoo.classifier import Classifier, Ensemble
from audiozoo.datasets import Clip
from audiozoo.export.card import ExportCard, Precision, card_for
from audiozoo.export.formats import FORMATS, Format, format_named
from audiozoo.export.graph import exported_model, is_exact
from audiozoo.export.header import write_header
from audiozoo.export.proof import MOST_DIFFERENCE, Answers, Proof, prove, synthetic_clips
from audiozoo.export.quantization import check_network, check_precision, of_precision
from audiozoo.export.runtime import scoring
from audiozoo.files import replacing, replacing_folder
from audiozoo.progress import Progress

LEAST_AGREEMENT = 0.9
"""Least share of the clips that get the same class, for models of reduced precision."""


class Exported(NamedTuple):
    """An exported file.

    Args:
        path: Path of the file or folder.
        format: Name of the format.
        card: Metadata in it.
        proof: Comparison with the classifier.
        exact: Whether the scores of a clip follow from those of its windows; those of a probe do not.
        beside: Comparison of a float32 file with the classifier, if the file is of another precision.
    """

    path: Path
    format: str
    card: ExportCard
    proof: Proof
    exact: bool
    beside: Proof | None = None


def export_classifier(
    classifier: Classifier | Ensemble,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    features: bool = False,
    precision: Precision = "float32",
    calibrate: Sequence[Clip] = (),
    header: str | os.PathLike[str] | None = None,
    clips: Sequence[Clip] = (),
    progress: Progress | None = None,
) -> Exported:
    """Export a classifier as one file, and compare the file with the classifier before it appears at its path.

    Args:
        classifier: Classifier or ensemble.
        path: Path of the file, or of the folder for "saved_model". An older file is replaced only by a proven one.
        format: "onnx", "litert", "saved_model", "torchscript" or "keras"; `None` takes it from the suffix.
        features: Whether the model takes features instead of a waveform.
        precision: "float32", or for LiteRT also "float16" (weights) or "int8" (a network that takes features or samples).
        calibrate: Clips that give the ranges of the values for "int8", at most 200 of them; their labels are not used.
        header: Path of a C header to write with a LiteRT model of at most 200,000 bytes.
        clips: Clips for the comparison; by default those of `calibrate`, or synthetic sounds. Their labels give the accuracy.
        progress: Callback, see `audiozoo.progress`; the stage is "compare" and a step is a clip.

    Returns:
        The path with its metadata and the comparison.

    Raises:
        ImportError: A package that writes or runs the format is missing; the message has the command that installs it.
        OSError: The file cannot be written, or a clip cannot be opened.
        ValueError: The classifier cannot be exported (see `waveform_model`), the format does not fit the suffix or the backend,
            the precision does not fit (see `check_precision`), the model is too large for a header, a clip cannot be used, a
            probability of float32 differs by more than 0.001 from that of Keras, or less than 90 % of the clips get the same
            class in another precision.
    """
    name = format_named(format, path)
    check_precision(precision, name, classifier, features=features, calibrate=calibrate)
    if header is not None and name != "litert":
        raise ValueError(f"a C header contains a model of the format litert, got {name}: name a .tflite file")
    kind, pools = FORMATS[name], FORMATS[name].members and is_exact(classifier)
    model = exported_model(classifier, features=features, members=kind.members)
    check_network(model, precision)
    card = card_for(classifier, model.name, features=features, members=kind.members, precision=precision)
    chosen = list(clips) or list(calibrate) or synthetic_clips(classifier.window_frontend)
    # Both precisions are compared with the same answers.
    answers = cache(lambda clip: Answers(classifier.timeline(clip.path).scores, classifier.answer(clip.path).scores))

    def written(precision: str, temporary: Path) -> Proof:
        of = of_precision(kind, precision, card, calibrate)
        of.write(model, card, temporary)
        found = opened(temporary, of, card)
        return prove(answers, found, chosen, pools=pools, size=_size(temporary), progress=progress)

    with replacing(path) if kind.suffix else replacing_folder(path, mark="saved_model.pb") as temporary:
        beside = None if precision == "float32" else written("float32", temporary)
        with _blaming(path, precision):
            proof = written(precision, temporary)
        _check(proof, path, precision)
        if header is not None:
            write_header(header, temporary, card)
    return Exported(Path(path), name, card, proof, is_exact(classifier), beside)


@contextmanager
def _blaming(path: str | os.PathLike[str], precision: str) -> Iterator[None]:
    """Blame the precision for errors in a comparison that float32 has passed on the same clips."""
    try:
        yield
    except ValueError as error:
        if precision == "float32":
            raise
        raise ValueError(
            f"{path}: not written, because the frontend has values beyond the range of {precision} ({error}): add --features"
        ) from error


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


def _check(proof: Proof, path: str | os.PathLike[str], precision: str) -> None:
    if precision == "float32" and not proof.difference <= MOST_DIFFERENCE:
        raise ValueError(
            f"{path}: not written, because a probability of the exported model differs by {proof.difference:.2g} from that of "
            f"Keras on {proof.clips} clips, and at most {MOST_DIFFERENCE:g} is allowed: try another format, or --features"
        )
    if precision != "float32" and not proof.agreement >= LEAST_AGREEMENT:
        raise ValueError(
            f"{path}: not written, because in {precision} only {100 * proof.agreement:.0f} % of {proof.clips} clips get the "
            f"class that Keras gives, and {100 * LEAST_AGREEMENT:.0f} % must: calibrate on more clips, or choose float16"
        )


def _size(path: Path) -> int:
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files)
