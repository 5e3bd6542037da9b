import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from audiozoo.crossval import LeaderboardEntry
from audiozoo.report import cells, columns, confusion_picture, markdown, measured
from audiozoo.report.figures import new_figure, save_figure, shortened
from audiozoo.report.results import signed

ENTRY = LeaderboardEntry("house_cnn", 763_818, 5, (0.905, 0.042), (0.905, 0.042), 0.9512, 1_234.4, 7.25, np.eye(2), ("a", "b"))


def test_the_table_says_what_the_entry_says():
    assert cells(ENTRY) == ("house_cnn", "763,818", "90.5 ± 4.2 %", "0.951", "1234 s", "7.2 ms")
    lines = markdown([ENTRY, ENTRY]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(columns("accuracy")) + 1}


@pytest.mark.parametrize(
    ("metric", "score", "names", "values"),
    [
        ("map@3", (0.8, 0.01), ("MAP@3", "accuracy"), ("0.800 ± 0.010", "90.5 ± 4.2 %")),
        ("macro_accuracy", (0.8, 0.01), ("macro accuracy", "accuracy", "MAP@3"), ("80.0 ± 1.0 %", "90.5 ± 4.2 %", "0.951")),
    ],
)
def test_a_datasets_own_measure_stands_first(metric, score, names, values):
    entry = replace(ENTRY, metric=metric, score=score)
    assert columns(metric)[2:-2] == names
    assert cells(entry)[2:-2] == values
    assert cells(replace(entry, folds=1))[2] == measured(metric, score[0])


def test_pictures_of_few_and_of_many_classes(tmp_path):
    for classes in (2, 10, 50):
        path = confusion_picture(
            np.eye(classes, dtype=int) * 8, [f"class {i}" for i in range(classes)], tmp_path / f"{classes}.png", title="x"
        )
        assert path.read_bytes()[:4] == b"\x89PNG"
    assert confusion_picture(np.eye(2), ["a", "b"], tmp_path / "a.svg").read_text().count("<svg") == 1


@pytest.mark.parametrize("classes", [2, 4, 10])
def test_strange_labels_give_a_picture_without_warnings(classes, tmp_path):
    labels = ["W" * 40, "a very long name of a class " * 9, "犬の鳴き声", "$x^$", *"abcdef"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = confusion_picture(np.eye(classes, dtype=int), labels[:classes], tmp_path / "a.svg", title="犬 in cost $x^$ y")
    assert path.exists()


def test_a_warning_other_than_that_of_a_missing_glyph_reaches_the_user(tmp_path):
    figure = new_figure(1, 1)
    figure.add_subplot().set_ylabel("W" * 300, rotation=0)
    with pytest.warns(UserWarning, match="constrained_layout not applied"):
        save_figure(figure, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9175, "91.8 %"), (0.9125, "91.2 %"), (0.2345, "23.4 %"), (0.7645, "76.4 %"), (0.6925, "69.2 %"), (math.nan, "nan %")],
)
def test_a_value_in_the_middle_is_rounded_to_the_even_digit_whatever_its_last_bits(value, shown):
    assert measured("accuracy", value) == shown
    if value > 0:
        assert measured("accuracy", np.nextafter(value, 0)) == measured("accuracy", np.nextafter(value, 1)) == shown


def test_a_difference_below_the_last_digit_has_no_minus():
    assert (signed("accuracy", -1e-6), signed("accuracy", 0.0123), signed("map", -0.0123)) == ("+0.0", "+1.2", "-0.012")


def test_a_long_label_ends_with_an_ellipsis():
    assert shortened("dog", 3) == "dog"
    assert shortened("a dog", 4) == "a d…"
