"""The order of everything that is shuffled."""

from collections import Counter

import numpy as np
import pytest

from ahs_seg.data.shuffled_stream import ShuffledStream


def test_a_stream_can_be_entered_anywhere() -> None:
    stream = ShuffledStream("abcdefg", (1, 2))
    items = stream.take(0, 70)
    assert stream.take(33, 10) == items[33:43]
    assert [stream[position] for position in range(5)] == items[:5]
    assert set(Counter(items).values()) == {10}


def test_every_round_has_an_order_of_its_own_and_so_has_every_key() -> None:
    orders = [ShuffledStream(range(10), (0, 0)).take(10 * turn, 10) for turn in range(3)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 3
    assert len(set(map(tuple, orders))) == 3
    assert orders[0] != ShuffledStream(range(10), (1, 0)).take(0, 10)


def test_a_round_is_numpys_permutation() -> None:
    """Written down, since a run is continued in the same order by any later version."""
    expected = np.random.default_rng([7, 0, 1]).permutation(5).tolist()
    assert ShuffledStream(range(5), (7, 0)).take(5, 5) == expected == [2, 3, 4, 1, 0]


def test_nothing_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ShuffledStream([], (0,))
