"""Training batches for the tiny CLIP: mosaics of captioned photographs, and captioned scenes.

A mosaic combines several captioned photographs in one image. The image region of every caption is known from the
layout of the mosaic, without any mask annotation, so that a model can learn to localise what a caption describes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from ahs_seg.config import Config
from ahs_seg.data.world.captions import Phrase, hard_negative, phrase
from ahs_seg.data.world.names import COLOURS, SHAPES, STUFF, TEXTURES, Thing, never_trained, things
from ahs_seg.data.world.photos import ground_for, take_photo
from ahs_seg.data.world.scenes import SceneSource

PATCH: Final = 8
NOWHERE: Final = -1
WORDS: Final = (len(STUFF), len(COLOURS), len(TEXTURES), len(SHAPES))
"""Numbers of stuff classes, colours, textures and shapes that a phrase can state."""
PRETRAINING_SEED: Final = 404
_LEAST_CELL: Final = 28
_LEAST_VISIBLE: Final = 40
"""Minimum number of visible pixels of a thing in a window for its caption to mention it."""


class Mix(Config):
    """Composition of a training batch.

    A batch has `count` images of `size` pixels: a fraction `scenes`, a fraction `whole` of single photographs, the rest
    mosaics. Of the photographs, a fraction `stuff_alone` shows no object and a fraction `flat` has a background of one
    colour. `radius` is the range of object radii. Scenes are windows of larger ones of `scene_size`, if given. Each
    phrase gets `negatives` copies with one attribute changed, as negatives.
    """

    size: PositiveInt
    count: PositiveInt
    scenes: float = 0.0
    whole: float = 0.0
    flat: float = 0.0
    stuff_alone: float = 0.1
    hard: float = 1.0
    radius: tuple[float, float] = (8.5, 26.0)
    negatives: int = 2
    scene_size: PositiveInt | None = None


@dataclass(frozen=True, slots=True)
class CaptionBatch:
    """Batch of images, and for each region of an image the phrases that describe it.

    `part` gives the region of each patch (`NOWHERE` if the patch crosses a seam); regions are numbered over the whole
    batch. `said[part]` holds indices into `phrases`, padded with `NOWHERE`.
    """

    images: NDArray[np.uint8]
    part: NDArray[np.int64]
    said: NDArray[np.int64]
    phrases: tuple[Phrase, ...]

    @property
    def words(self) -> NDArray[np.int64]:
        """Indices of the stuff, colour, texture and shape that each phrase states (`NOWHERE` where it states none)."""
        return np.array([_codes(phrase) for phrase in self.phrases], np.int64)

    @property
    def compatible(self) -> NDArray[np.bool_]:
        """Matrix of phrase pairs whose stated attributes do not contradict each other."""
        codes = self.words
        open_ = (codes[:, None] < 0) | (codes[None] < 0)
        same = ((codes[:, None] == codes[None]) | open_)[..., 1:].all(-1)
        return np.asarray(same & (codes[:, None, 0] == codes[None, :, 0]))


@cache
def trained_things() -> tuple[Thing, ...]:
    """Things that may occur in pre-training."""
    return tuple(thing for name, thing in things().items() if name not in never_trained())


def caption_batch(seed: int, step: int, mix: Mix) -> CaptionBatch:
    """Batch of one training step, deterministic in its arguments."""
    rng = np.random.default_rng((seed, step))
    names: dict[Phrase, int] = {}
    images, parts = [], []
    said: list[list[int]] = []
    for _ in range(mix.count):
        draw = rng.random()
        if draw < mix.scenes:
            image, cells = _scene(rng, mix)
        elif draw < mix.scenes + mix.whole:
            image, cells = _mosaic(rng, mix, [0, mix.size], [0, mix.size])
        else:
            image, cells = _mosaic(rng, mix, _cuts(rng, mix.size), _cuts(rng, mix.size))
        part = np.full((mix.size // PATCH, mix.size // PATCH), NOWHERE, np.int64)
        for (rows, columns), phrases in cells:
            part[_inside(rows), _inside(columns)] = len(said)
            said.append([names.setdefault(item, len(names)) for item in phrases])
        images.append(image)
        parts.append(part)
    for item in list(names):
        for _ in range(mix.negatives):
            other = hard_negative(item, rng)
            if f"{other.colour} {other.texture} {other.shape}" not in never_trained():
                names.setdefault(other, len(names))
    width = max(map(len, said))
    padded = [[*row, *[NOWHERE] * (width - len(row))] for row in said]
    return CaptionBatch(
        np.stack(images).transpose(0, 3, 1, 2).copy(), np.stack(parts), np.array(padded, np.int64), tuple(names)
    )


MosaicCell = tuple[tuple[slice, slice], list[Phrase]]


def _mosaic(
    rng: np.random.Generator, mix: Mix, rows: Sequence[int], columns: Sequence[int]
) -> tuple[NDArray[np.uint8], list[MosaicCell]]:
    image = np.empty((mix.size, mix.size, 3), np.uint8)
    cells: list[MosaicCell] = []
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            shape = (bottom - top, right - left)
            thing, kind = _subject(rng, mix)
            low, high = mix.radius
            radius = float(rng.uniform(low, max(low + 2, min(high, 0.46 * min(shape)))))
            image[top:bottom, left:right] = take_photo(thing, kind, shape, radius, rng, hard=mix.hard).image
            subjects = [subject for subject in (thing, kind) if subject is not None]
            cells.append(((slice(top, bottom), slice(left, right)), [phrase(subject, rng) for subject in subjects]))
    return image, cells


def _subject(rng: np.random.Generator, mix: Mix) -> tuple[Thing | None, str | None]:
    draw = rng.random()
    if draw < mix.stuff_alone:
        return None, STUFF[rng.integers(len(STUFF))]
    thing = trained_things()[rng.integers(len(trained_things()))]
    return thing, None if draw < mix.stuff_alone + mix.flat else ground_for(thing, rng)


def _scene(rng: np.random.Generator, mix: Mix) -> tuple[NDArray[np.uint8], list[MosaicCell]]:
    source = _scenes(mix.scene_size or mix.size, mix.hard)
    scene = source[int(rng.integers(2**40))]
    image, labels, least = scene.image, scene.labels, 1
    if mix.scene_size is not None:
        top, left = rng.integers(mix.scene_size - mix.size + 1, size=2)
        window = slice(top, top + mix.size), slice(left, left + mix.size)
        image, labels, least = image[window], labels[window], _LEAST_VISIBLE
    found, pixels = np.unique(labels, return_counts=True)
    present = [source.names[index] for index in found[pixels >= least]]
    subjects = [things().get(name, name) for name in present]
    whole = slice(0, mix.size)
    return image, [((whole, whole), [phrase(subject, rng) for subject in subjects])]


@cache
def _scenes(size: int, hard: float) -> SceneSource:
    return SceneSource(PRETRAINING_SEED, [*STUFF, *(thing.name for thing in trained_things())], size=size, hard=hard)


def _cuts(rng: np.random.Generator, size: int) -> list[int]:
    """Random borders of 1 to 3 rows or columns, none narrower than `_LEAST_CELL` pixels."""
    most = min(3, size // _LEAST_CELL)
    count = int(rng.integers(1, most + 1))
    spare = size - count * _LEAST_CELL
    shares = np.sort(rng.integers(0, spare + 1, count - 1))
    inner = [int(share) + (index + 1) * _LEAST_CELL for index, share in enumerate(shares)]
    return [0, *inner, size]


def _inside(span: slice) -> slice:
    """Patches that lie within a span of pixels, with a tolerance of one pixel."""
    return slice((span.start + PATCH - 2) // PATCH, (span.stop + 1) // PATCH)


@cache
def _codes(item: Phrase) -> tuple[int, int, int, int]:
    if item.stuff is not None:
        return STUFF.index(item.stuff), -1, -1, -1
    colour = -1 if item.colour is None else list(COLOURS).index(item.colour)
    texture = -1 if item.texture is None else TEXTURES.index(item.texture)
    shape = -1 if item.shape is None else SHAPES.index(item.shape)
    return -1, colour, texture, shape
