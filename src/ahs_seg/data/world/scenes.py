"""Scenes with several objects on one to three backgrounds, generated from a seed and an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ahs_seg.data.shuffled_stream import ShuffledStream
from ahs_seg.data.world.canvas import draw, finish, place
from ahs_seg.data.world.names import COLOURS, STUFF, Thing, WorldError, things
from ahs_seg.data.world.stuff import DrawnImage, crop, mean_colour

SIZE: Final = 96
RADIUS: Final = (0.11, 0.26)
OBJECTS: Final = (2, 3, 4, 5)
REGIONS: Final = 3
_CONTRAST: Final = 0.22
"""Minimum RGB distance between the colour of an object and the mean colour of its background."""
_ATTEMPTS: Final = 16


@dataclass(frozen=True, slots=True)
class Scene:
    """Synthetic image and its label map; a label is an index into the class names of the source."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]


class SceneSource:
    """Source of scenes with the given class names, by index; scene i depends only on the seed and i.

    Names are taken from shuffled streams, so that each occurs equally often among the objects or among the background
    candidates. A scene contains only the given names, so every pixel has a label.
    """

    def __init__(self, seed: int, names: Sequence[str], *, size: int = SIZE, hard: float = 1.0) -> None:
        self.seed = seed
        self.names = tuple(names)
        self.size = size
        self.hard = hard
        known = things()
        unknown = [name for name in names if name not in known and name not in STUFF]
        if unknown:
            raise WorldError(f"the drawn world has no class {unknown[0]!r}; see ahs_seg.data.world.names")
        self._label = {name: index for index, name in enumerate(self.names)}
        self._things = ShuffledStream([known[name] for name in names if name in known], (seed, 1))
        self._stuff = ShuffledStream([name for name in names if name in STUFF], (seed, 2))

    def __getitem__(self, index: int) -> Scene:
        rng = np.random.default_rng((self.seed, 0, index))
        dealt = self._deal(index)
        image, labels, regions = self._ground(index, dealt, rng)
        radii = rng.uniform(*RADIUS, len(dealt)).astype(np.float32) * self.size
        taken: list[tuple[float, float, float]] = []
        for thing, radius in sorted(zip(dealt, map(float, radii), strict=True), key=lambda pair: -pair[1]):
            row, column = self._spot(thing, radius, taken, labels, regions, rng)
            taken.append((row, column, radius))
            drawn = draw(image, place(thing, row, column, radius, rng, self.hard))
            if drawn is not None:
                box, opacity = drawn
                labels[box][opacity > 0.5] = self._label[thing.name]
        return Scene(finish(image, rng, self.hard), labels)

    def _deal(self, index: int) -> list[Thing]:
        """Objects of a scene; of every four consecutive scenes, one has 2 objects, one 3, one 4 and one 5."""
        block, place_in_block = divmod(index, len(OBJECTS))
        counts = np.random.default_rng((self.seed, 3, block)).permutation(OBJECTS)
        start = block * sum(OBJECTS) + int(counts[:place_in_block].sum())
        return self._things.take(start, int(counts[place_in_block]))

    def _ground(
        self, index: int, dealt: list[Thing], rng: np.random.Generator
    ) -> tuple[DrawnImage, NDArray[np.int32], list[str]]:
        count = int(rng.integers(1, REGIONS + 1))
        kinds = list(dict.fromkeys(self._stuff.take(index * REGIONS, REGIONS)))
        # Backgrounds with enough contrast to all objects come first.
        kinds.sort(key=lambda kind: sum(not has_contrast(thing.colour, kind) for thing in dealt) > 0)
        image = crop(kinds[0], self.size, self.size, rng).copy()
        labels = np.full((self.size, self.size), self._label[kinds[0]], np.int32)
        for kind in kinds[1:count]:
            field = _wavy_field(self.size, rng)
            weight = np.clip(field + 0.5, 0, 1)[..., None]
            image += weight * (crop(kind, self.size, self.size, rng) - image)
            labels[field > 0] = self._label[kind]
        return image, labels, kinds[:count]

    def _spot(
        self,
        thing: Thing,
        radius: float,
        taken: list[tuple[float, float, float]],
        labels: NDArray[np.int32],
        regions: list[str],
        rng: np.random.Generator,
    ) -> tuple[float, float]:
        """Position where the object has contrast to the background and occludes as little as possible."""
        best, best_score = (0.0, 0.0), -np.inf
        hidden = [self._label[kind] for kind in regions if not has_contrast(thing.colour, kind)]
        for row, column in rng.uniform(0.13, 0.87, (_ATTEMPTS, 2)) * self.size:
            gaps = [np.hypot(row - y, column - x) / (radius + r) for y, x, r in taken]
            score = min([*gaps, 1.0]) - 2 * (labels[int(row), int(column)] in hidden)
            if score > best_score:
                best, best_score = (float(row), float(column)), float(score)
            if score >= 1:
                break
        return best


@cache
def has_contrast(colour: str, kind: str) -> bool:
    """Whether a thing of this colour has enough contrast to this background."""
    distance = np.linalg.norm(np.array(COLOURS[colour]) - mean_colour(kind))
    return bool(distance >= _CONTRAST)


def _wavy_field(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Signed distance in pixels to a wavy line across the image."""
    angle, offset, phase, waves, height = rng.random(5)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = axis[:, None], axis[None]
    cosine, sine = np.cos(angle * 2 * np.pi), np.sin(angle * 2 * np.pi)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    wave = (0.02 + 0.06 * height) * np.sin(2 * np.pi * (1 + 2 * waves) * along + 2 * np.pi * phase)
    return np.asarray((across - (offset - 0.5) * 0.5 + wave) * size, np.float32)
