"""Plots of figures by class, for classifiers that give several labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from audiozoo.report.figures import new_figure, save_figure


def label_picture(
    figures: Mapping[str, Sequence[float | None]], labels: Sequence[str], path: str | os.PathLike[str], *, title: str = ""
) -> Path:
    """Plot figures of each class from 0 to 1 as horizontal bars, the best class at the top.

    Args:
        figures: Values of each class by the name of the figure, such as "average precision" and "F1". The first figure sets
            the order. `None` and NaN, for a class without positive clips, give no bar.
        labels: Class names, in the order of the values.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the bars.

    Returns:
        The path of the picture.
    """
    values = {name: np.array(each, float) for name, each in figures.items()}  # None becomes NaN
    order = np.argsort(np.nan_to_num(next(iter(values.values())), nan=-1), kind="stable")
    figure = new_figure(7, 1.6 + 0.32 * len(labels))
    axes = figure.add_subplot()
    height = 0.8 / len(values)
    places = np.arange(len(labels))
    for number, (name, each) in enumerate(values.items()):
        axes.barh(places + 0.4 - (number + 0.5) * height, each[order], height, label=name)
    axes.set_yticks(places, [labels[place] for place in order])
    axes.set(xlim=(0, 1), title=title)
    axes.grid(axis="x", alpha=0.4)
    figure.legend(loc="outside lower center", ncols=len(values))
    return save_figure(figure, path)
