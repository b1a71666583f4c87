"""An endless shuffled order that can be entered anywhere: of training images, and of what the drawn world shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class ShuffledStream(Generic[T]):
    """All items in one random order after another.

    Any stretch of whole rounds holds each item equally often, and an item depends on `key` and its position alone.
    """

    def __init__(self, items: Sequence[T], key: tuple[int, ...]) -> None:
        if not items:
            raise ValueError("there are no items to shuffle; give at least one")
        self.items = items
        self.key = key

    def __getitem__(self, position: int) -> T:
        turn, place = divmod(position, len(self.items))
        return self.items[_order(self.key, turn, len(self.items))[place]]

    def take(self, start: int, count: int) -> list[T]:
        """Items `start` to `start + count` of the stream."""
        return [self[position] for position in range(start, start + count)]


@lru_cache(maxsize=16)
def _order(key: tuple[int, ...], turn: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng((*key, turn)).permutation(size)
