"""Shuffled stream of items with random access to any position."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Deck(Generic[T]):
    """Endless stream of items, reshuffled after each pass over all of them.

    Every complete pass contains each item (`cards`) exactly once, and an item depends only on `key` and its position.
    """

    def __init__(self, cards: Sequence[T], key: tuple[int, ...]) -> None:
        if not cards:
            raise ValueError("a deck needs at least one card")
        self.cards = tuple(cards)
        self.key = key

    def deal(self, start: int, count: int) -> list[T]:
        """Items `start` to `start + count` (exclusive) of the stream."""
        places = (divmod(place, len(self.cards)) for place in range(start, start + count))
        return [self.cards[_order(self.key, turn, len(self.cards))[place]] for turn, place in places]


@lru_cache(maxsize=64)
def _order(key: tuple[int, ...], turn: int, size: int) -> tuple[int, ...]:
    return tuple(int(place) for place in np.random.default_rng((*key, turn)).permutation(size))
