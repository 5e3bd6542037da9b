import pytest

from audiozoo.checks import refuse_unknown, require_choice, require_number, require_range, require_whole, unknown_name


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
