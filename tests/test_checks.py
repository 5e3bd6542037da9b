import pytest

from audiozoo.checks import (
    refuse_unknown,
    require_all,
    require_choice,
    require_count,
    require_counts,
    require_number,
    require_path,
    require_range,
    require_weights,
    require_whole,
    unknown_name,
)


def test_nearest_names_or_all_of_them():
    assert "did you mean 'dog'" in str(unknown_name("label", "dgo", ["cat", "dog"]))
    assert "choose from cat, dog" in str(unknown_name("label", "xyzzy", ["dog", "cat"]))
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        refuse_unknown("field", ["epoch"], ["epochs", "seed"])


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_whole_numbers_are_integers_and_no_booleans(value):
    require_whole(count=3)
    with pytest.raises(ValueError, match="count must be a whole number, got"):
        require_whole(count=value)


@pytest.mark.parametrize("value", [True, -1, float("nan"), float("inf"), "1", None])
def test_numbers_are_finite_and_within_limits(value):
    require_number("p", 0.5, 0, 1)
    with pytest.raises(ValueError, match="p must be a number at least 0, got"):
        require_number("p", value, 0)


@pytest.mark.parametrize("value", [(1, 0), (0,), 3, (0, float("nan")), (-1, 0.5), (0, 2)])
def test_ranges_are_ordered_pairs_within_limits(value):
    require_range("rate", (0, 1), 0, 1)
    with pytest.raises(ValueError, match=r"rate must be a range \(low, high\) with low <= high within 0 to 1, got"):
        require_range("rate", value, 0, 1)


def test_a_choice_is_one_of_those_named():
    require_choice("pad", "zero", ("zero", "repeat"))
    with pytest.raises(ValueError, match="pad must be one of 'zero', 'repeat', got 'none'"):
        require_choice("pad", "none", ("zero", "repeat"))


@pytest.mark.parametrize(("value", "reason"), [(1.5, "whole"), (True, "whole"), (0, "from 1 to 3"), (4, "from 1 to 3")])
def test_counts_are_whole_and_within_limits(value, reason):
    require_count("copies", 2, 1, 3)
    with pytest.raises(ValueError, match=f"copies must be a .*{reason}"):
        require_count("copies", value, 1, 3)


@pytest.mark.parametrize(
    ("value", "reason"), [((1, 2.5), "whole"), ((True, 2), "whole"), ((2, 1), "range"), ((0, 9), "range"), (1, "range")]
)
def test_ranges_of_counts_have_whole_ends(value, reason):
    require_counts("knots", (1, 2), 1, 3)
    with pytest.raises(ValueError, match=f"knots must be .*{reason}"):
        require_counts("knots", value, 1, 3)


@pytest.mark.parametrize("value", [[1], [1, "a"], [-1, 2], [0, 0], 3, [1, float("inf")]])
def test_weights_are_as_many_numbers_as_there_are_choices(value):
    require_weights("weights", (1, 0), 2)
    with pytest.raises(ValueError, match="weights must be 2 numbers of at least 0, not all 0, got"):
        require_weights("weights", value, 2)


def test_paths_and_items_have_their_types(tmp_path):
    require_path("folder", tmp_path)
    require_path("folder", "sounds")
    with pytest.raises(ValueError, match="folder must be a path, got 3"):
        require_path("folder", 3)
    require_all("Sum", [1, 2], int, "[1, 2]")
    for value in ([1, "a"], 3):
        with pytest.raises(ValueError, match=r"Sum takes a list of ints such as \[1, 2\], got"):
            require_all("Sum", value, int, "[1, 2]")
