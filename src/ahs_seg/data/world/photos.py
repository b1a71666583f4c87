"""Synthetic photographs of one thing on one background, generated from a seed and an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ahs_seg.data.shuffled_stream import ShuffledStream
from ahs_seg.data.world.canvas import draw, finish, place
from ahs_seg.data.world.names import STUFF, Thing, things
from ahs_seg.data.world.scenes import has_contrast
from ahs_seg.data.world.stuff import crop

PHOTO_SIZE: Final = 64
PHOTO_RADIUS: Final = (0.22, 0.42)


@dataclass(frozen=True, slots=True)
class Photo:
    """Synthetic photograph of a thing on a background; `thing` None is no object, `kind` None is one flat colour."""

    image: NDArray[np.uint8]
    thing: Thing | None
    kind: str | None


class PhotoSource:
    """Source of photographs of the named things, each equally often; photograph i depends only on the seed and i."""

    def __init__(self, seed: int, names: Sequence[str], *, size: int = PHOTO_SIZE, hard: float = 1.0) -> None:
        self.seed = seed
        self.size = size
        self.hard = hard
        self._things = ShuffledStream([things()[name] for name in names], (seed, 1))

    def __getitem__(self, index: int) -> Photo:
        rng = np.random.default_rng((self.seed, 0, index))
        thing = self._things[index]
        radius = float(rng.uniform(*PHOTO_RADIUS)) * self.size
        return take_photo(thing, ground_for(thing, rng), (self.size, self.size), radius, rng, hard=self.hard)


def ground_for(thing: Thing, rng: np.random.Generator) -> str:
    """Random background on which the thing has enough contrast."""
    kinds = [kind for kind in STUFF if has_contrast(thing.colour, kind)]
    return kinds[rng.integers(len(kinds))]


def take_photo(
    thing: Thing | None,
    kind: str | None,
    shape: tuple[int, int],
    radius: float,
    rng: np.random.Generator,
    *,
    hard: float = 1.0,
) -> Photo:
    """Photograph of `shape` (height, width) with the thing at a random position, almost fully visible."""
    height, width = shape
    if kind is None:
        flat = rng.uniform(0.15, 0.85, 3).astype(np.float32)
        image = np.broadcast_to(flat, (height, width, 3)).copy()
    else:
        image = crop(kind, height, width, rng).copy()
    if thing is not None:
        down, right = rng.uniform(-1, 1, 2)
        row = height / 2 + down * max(0.0, height / 2 - 0.8 * radius)
        column = width / 2 + right * max(0.0, width / 2 - 0.8 * radius)
        draw(image, place(thing, row, column, radius, rng, hard))
    return Photo(finish(image, rng, hard), thing, kind)
