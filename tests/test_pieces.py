"""The executor of this machine for independent pieces of work."""

import os
from contextlib import closing
from functools import partial
from itertools import count

import pytest

from audiozoo.pieces import LocalPieces


def power(base, exponent):
    return base**exponent, os.getpid()


def refuse(item):
    if item == 3:
        raise ValueError("not 3")
    return item


@pytest.mark.parametrize("threads", [True, False])
def test_results_come_in_order(threads):
    found = list(LocalPieces(2, threads=threads).mapped(partial(power, exponent=2), range(20)))
    assert [value for value, _ in found] == [number**2 for number in range(20)]
    assert ({process for _, process in found} == {os.getpid()}) == threads


def test_an_endless_row_of_items_is_drawn_little_ahead():
    drawn = count()
    with closing(LocalPieces(2, threads=True).mapped(refuse, (-next(drawn) for _ in count()))) as results:
        assert [next(results) for _ in range(5)] == [0, -1, -2, -3, -4]
    assert next(drawn) < 10_000


def test_the_functions_own_error_is_raised():
    results = LocalPieces(1).mapped(refuse, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="not 3"):
        next(results)
