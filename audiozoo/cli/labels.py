"""Output of several verbs for classifiers that give several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from audiozoo.cli.console import out

if TYPE_CHECKING:
    from audiozoo.crossval import LabelMeasures
    from audiozoo.datasets import Clip


def several_note(clips: Sequence[Clip]) -> str:
    """Return a note about clips with several labels, or "" if each clip has one."""
    most = max((len(clip.labels) for clip in clips), default=0)
    return f"clips have up to {most} labels: the classifier gets a threshold for each class" if most > 1 else ""


def validation_text(validation: Mapping[str, float]) -> str:
    """Return the validation metric as text: the mAP for several labels, otherwise the accuracy."""
    if "val_map" in validation:
        return f"mAP {validation['val_map']:.3f}"
    return f"{100 * validation['val_accuracy']:.1f} %"


def print_labels(measures: LabelMeasures, labels: Sequence[str], *, clips: int) -> None:
    """Print the metrics of clips with several labels, and a table with a line for each class.

    Args:
        measures: Metrics of the test.
        labels: Class names, in the order of the measures.
        clips: Number of clips tested.
    """
    from rich.table import Table

    out.print(
        f"{clips} clips: mAP {measures.mean_average_precision:.3f}, micro F1 {measures.micro_f1:.3f}, "
        f"macro F1 {measures.macro_f1:.3f}, ROC-AUC {_text(measures.roc_auc)}"
    )
    heads = ("class", "positives", "threshold", "precision", "recall", "F1", "AP")
    table = Table(*heads, box=None, header_style="bold", pad_edge=False)
    for label, figures in measures.by_label(labels).items():
        names = ("threshold", "precision", "recall", "f1", "average_precision")
        table.add_row(label, f"{figures['positives']}", *[_text(figures[name]) for name in names])
    out.print(table)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
