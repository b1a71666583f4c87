"""Items read by threads: order, bounds, errors, and nothing left running."""

import time

import pytest

from ahs_seg.io.read_ahead import read_ahead

pytestmark = pytest.mark.usefixtures("no_thread_stays")


def test_the_order_is_kept_and_nothing_is_far_ahead() -> None:
    taken = []

    def items():
        for index in range(20):
            taken.append(index)
            yield index

    def slow(index):
        time.sleep(0.002 * (index % 3))
        return index * 10

    results = read_ahead(items(), slow, workers=3, ahead=4)
    for index, value in enumerate(results):
        assert value == index * 10
        assert len(taken) <= index + 5 + 1


def test_what_the_work_raises_is_raised() -> None:
    results = read_ahead(range(5), lambda index: 1 // (2 - index), workers=2, ahead=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_what_has_not_begun() -> None:
    begun: list[int] = []
    results = read_ahead(range(100), begun.append, workers=1, ahead=3)
    next(results)
    results.close()
    assert len(begun) <= 1 + 3
