"""Endless shuffled stream with random access, used to order training images and the contents of drawn scenes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class ShuffledStream(Generic[T]):
    """Endless stream of items, reshuffled after each pass over all of them.

    Every complete pass contains each item exactly once, and an item depends only on `key` and its position.
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
        """Items `start` to `start + count` (exclusive) of the stream."""
        return [self[position] for position in range(start, start + count)]


@lru_cache(maxsize=16)
def _order(key: tuple[int, ...], turn: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng((*key, turn)).permutation(size)
