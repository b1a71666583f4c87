"""Colours of classes: the same in every image, frame, report and page, because they come from the names.

A name gives a hue and one of five shades of it: well-known classes by a table (sky is blue, grass is green), all others
by the SHA-256 digest of the name. Two classes of a vocabulary that would look alike are told apart by the shade: the
later one in the list takes another of its five. So a word that is added at the end changes no colour before it.

Where it is known what is seen together, classes that touch one another and still look alike take other shades: in a
single image (`ClassColours.for_image`), and once for all frames of a film (`ClassColours.for_images`). Elsewhere, such
as in label maps, for tools, and in overlays of single frames, a colour depends on the names only (`ClassColours.of`).

"Alike" is measured as CIEDE2000, both for usual vision and as seen with deuteranopia. All colours are of medium
lightness, so that they are seen on light and on dark pages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8

from ahs_seg.io.blocks import blocks
from ahs_seg.output.colour_distance import ciede2000, encoded, lab_of, linear_of_lab, with_deuteranopia
from ahs_seg.output.palette import Colour, areas, by_area
from ahs_seg.types import IGNORE

SHADES: Final = 5
"""Shades of a hue."""
TOUCHING: Final = 12.0
"""Difference that classes get which touch one another in an image, if possible: CIEDE2000 of what people with
deuteranopia see, or `USUAL` of that for usual vision where this is less."""
USUAL: Final = 0.6
APART: Final = 5.0
"""The same for classes that are in one image without touching."""
NAMED: Final = 3.0
"""The same for classes of one vocabulary, whatever the image."""
SPREAD: Final = 0.5
"""The same for well-known classes, whose table has them spread already: they move from the same colour only."""

_LIGHTNESS: Final = np.linspace(34, 82, SHADES)
_VIVID: Final = 32
_MUTED: Final = 16
_CHROMA: Final = (72.0, 30.0)
_SWEEPS: Final = 8
_MOST: Final = 1000
"""Classes of one image, largest first, that are told apart."""
_GAPS: Final = re.compile(r"[\s_-]+")


class ClassColours:
    """Colours of the classes of a vocabulary, given by their names (labels), in order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._cells = _cells_of(tuple(names))

    def of(self, label: int) -> Colour:
        """Colour of class `label`, the same in all images; for films, label maps, and tools that show many images."""
        return _colour(self._cells[label])

    def every(self) -> dict[int, Colour]:
        """Colour of every class, as `of`."""
        return {label: _colour(cell) for label, cell in enumerate(self._cells)}

    def for_image(self, *maps: Integer[np.ndarray, "_ _"]) -> dict[int, Colour]:
        """Colours of the labels present in label maps that are seen together, those of the largest area first.

        They are those of `of`; but where two classes look alike and touch one another in a map, or look the same and
        are both present, one of them takes another shade of its hue.
        """
        found = self.for_images(maps)
        return {label: found[label] for label in by_area(*maps)} if len(maps) > 1 else found

    def for_images(self, maps: Iterable[Integer[np.ndarray, "_ _"]]) -> dict[int, Colour]:
        """Colours for many label maps, such as the frames of a film, of which one at a time is in memory.

        As `for_image`, for all labels present in any of them.
        """
        pixels: Counter[int] = Counter()
        pairs: set[tuple[int, int]] = set()
        for labels in maps:
            pixels.update(areas(labels))
            pairs |= touching(labels)
        present = sorted(pixels, key=lambda label: (-pixels[label], label))
        cells = [self._cells[label] for label in present]
        _tell_apart(cells, _who_touches(present[:_MOST], pairs))
        return {label: _colour(cell) for label, cell in zip(present, cells, strict=True)}


def touching(labels: Integer[np.ndarray, "H W"]) -> set[tuple[int, int]]:
    """Pairs of different labels (the smaller first) that touch, side by side or one above the other."""
    found: set[tuple[int, int]] = set()
    for rows, columns in blocks(labels.shape):
        part = np.ascontiguousarray(labels[rows.start : rows.stop + 1, columns.start : columns.stop + 1])
        flat, width = part.ravel(), part.shape[1]
        beside = np.flatnonzero(flat[:-1] != flat[1:])  # few pixels: all further work is done for these only
        beside = beside[(beside + 1) % width != 0]  # the end of a row does not touch the start of the next
        below = np.flatnonzero(flat[:-width] != flat[width:])
        first = flat[np.concatenate([beside, below])].astype(np.int64)
        second = flat[np.concatenate([beside + 1, below + width])].astype(np.int64)
        codes = np.minimum(first, second) << 32 | np.maximum(first, second)
        codes = np.unique(codes[(first != IGNORE) & (second != IGNORE)])
        found.update(zip((codes >> 32).tolist(), (codes & 0xFFFFFFFF).tolist(), strict=True))
    return found


def _who_touches(labels: Sequence[int], pairs: Iterable[tuple[int, int]]) -> Bool[np.ndarray, "n n"]:
    """Which of these labels touch which."""
    place = {label: index for index, label in enumerate(labels)}
    found = np.zeros((len(labels), len(labels)), np.bool_)
    for one, other in pairs:
        if one in place and other in place:
            found[place[one], place[other]] = found[place[other], place[one]] = True
    return found


def _tell_apart(cells: list[int], touch: Bool[np.ndarray, "n n"]) -> None:
    """Change the shades in `cells`: those that touch look different, then all others, and the first change least."""
    table, count = differences(), len(touch)
    known = np.array(cells[:count], np.intp)
    for sweep in range(_SWEEPS):
        before = known.copy()
        for index in range(count):
            others = np.arange(count) < index if sweep == 0 else np.arange(count) != index
            shades = _shades(cells[index])
            near = table[shades][:, known[others & touch[index]]].min(1, initial=np.inf)
            far = table[shades][:, known[others & ~touch[index]]].min(1, initial=np.inf)
            known[index] = _chosen(cells[index], shades, near / TOUCHING, far / APART)
        if np.array_equal(known, before):
            break
    cells[:count] = known.tolist()


def _chosen(own: int, shades: Integer[np.ndarray, " s"], *margins: Float[np.ndarray, " s"]) -> int:
    """The shade nearest to one's own of those that are different enough: each margin is 1, the first counts most."""
    ranks = zip(shades.tolist(), *(-margin.clip(max=1).round(6) for margin in margins), strict=True)
    return min(ranks, key=lambda rank: (*rank[1:], abs(rank[0] - own), rank[0]))[0]


def _shades(cell: int) -> Integer[np.ndarray, " s"]:
    first = cell - cell % SHADES
    return np.arange(first, first + SHADES)


@lru_cache(64)
def _cells_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """Hue and shade of every name, told apart in the order of the list."""
    table = differences()
    used: Bool[np.ndarray, " n"] = np.zeros(len(table), np.bool_)
    cells: dict[str, int] = {}
    for name in map(plain_name, names):
        if name not in cells:
            own = _cell(name)
            shades, needed = _shades(own), SPREAD if name in _known() else NAMED
            cells[name] = _chosen(own, shades, table[shades][:, used].min(1, initial=np.inf) / needed)
            used[cells[name]] = True
    return tuple(cells[plain_name(name)] for name in names)


def plain_name(name: str) -> str:
    """The name that the colour is found by: case, and the kind of gaps between words, make no difference."""
    return _GAPS.sub(" ", name).strip().casefold()


def _cell(name: str) -> int:
    if (known := _known().get(name)) is not None:
        return known
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % len(palette())


@cache
def _known() -> dict[str, int]:
    """Colours of well-known classes, spread by `benchmarks/colour_table.py`."""
    text = resources.files("ahs_seg").joinpath("assets/colours.json").read_text(encoding="utf-8")
    return {name: int(cell) for name, cell in json.loads(text).items()}


def _colour(cell: int) -> Colour:
    red, green, blue = palette()[cell].tolist()
    return red, green, blue


@cache
def palette() -> UInt8[np.ndarray, "n 3"]:
    """The colours: the shades of each hue follow one another, from dark to light."""
    hues = [
        (360 * index / count, chroma)
        for count, chroma in zip((_VIVID, _MUTED), _CHROMA, strict=True)
        for index in range(count)
    ]
    return np.stack([_in_gamut(light, hue, chroma) for hue, chroma in hues for light in _LIGHTNESS])


def _in_gamut(lightness: float, hue: float, chroma: float) -> UInt8[np.ndarray, " 3"]:
    """The colour of this lightness and hue with this chroma, or the highest below it that sRGB has."""
    steps = np.linspace(chroma, 0, 200)
    angle = np.radians(hue)
    lab = np.stack([np.full_like(steps, lightness), steps * np.cos(angle), steps * np.sin(angle)], -1)
    linear = linear_of_lab(lab)
    inside = ((linear >= 0) & (linear <= 1)).all(-1)
    return encoded(linear[int(inside.argmax())])


@cache
def differences() -> Float[np.ndarray, "n n"]:
    """Difference of every pair of colours of the palette, as in `TOUCHING`."""
    usual, blind = (_every_pair(lab_of(colours)) for colours in (palette(), with_deuteranopia(palette())))
    return np.minimum(USUAL * usual, blind)


def _every_pair(lab: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n n"]:
    return ciede2000(lab[:, None].repeat(len(lab), 1), lab[None].repeat(len(lab), 0))
