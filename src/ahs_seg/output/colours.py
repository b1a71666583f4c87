"""Colours of classes: the same in every image, frame, report and page, because they come from the names.

A name gives a hue and one of five shades of it: well-known classes by a table (sky is blue, grass is green), all others
by the SHA-256 digest of the name. Two classes of a vocabulary that would look alike are told apart by the shade: the
later one in the list takes another of its five. So a word that is added at the end changes no colour before it.

In a single image, classes that touch one another and still look alike take other shades (`ClassColours.for_image`). In
a film, and in all files that tools read, they do not (`ClassColours.of`): there, a colour depends on the names only.

"Alike" is measured as CIEDE2000, both as usual and as seen with deuteranopia. All colours are of medium lightness, so
that they are seen on light and on dark pages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8

from ahs_seg.io.blocks import blocks
from ahs_seg.output.colour_distance import encoded, linear_of_lab, visible_difference
from ahs_seg.output.palette import Colour, by_area
from ahs_seg.types import IGNORE

SHADES: Final = 5
"""Shades of a hue."""
TOUCHING: Final = 12.0
"""CIEDE2000 difference, also with deuteranopia, that classes get which touch one another in an image, if possible."""
APART: Final = 7.0
"""The same for classes that are in one image, or in one vocabulary, without touching."""

_LIGHTNESS: Final = np.linspace(38, 78, SHADES)
_VIVID: Final = 32
_MUTED: Final = 16
_CHROMA: Final = (72.0, 30.0)
_SWEEPS: Final = 4
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

    def for_image(self, *maps: Integer[np.ndarray, "_ _"]) -> dict[int, Colour]:
        """Colours of the labels present in label maps that are seen together, those of the largest area first.

        They are those of `of`; but where two classes look alike and touch one another in a map, or look the same and
        are both present, one of them takes another shade of its hue.
        """
        labels = by_area(*maps)
        cells = [self._cells[label] for label in labels]
        _tell_apart(cells, _needed(labels[:_MOST], maps))
        return {label: _colour(cell) for label, cell in zip(labels, cells, strict=True)}


def touching(labels: Integer[np.ndarray, "H W"]) -> set[tuple[int, int]]:
    """Pairs of different labels (the smaller first) that touch, side by side or one above the other."""
    found: set[tuple[int, int]] = set()
    for rows, columns in blocks(labels.shape):
        part = labels[rows.start : rows.stop + 1, columns.start : columns.stop + 1].astype(np.int64)
        for one, other in ((part[:, :-1], part[:, 1:]), (part[:-1], part[1:])):
            edge = (one != other) & (one != IGNORE) & (other != IGNORE)
            pairs = np.stack([np.minimum(one[edge], other[edge]), np.maximum(one[edge], other[edge])])
            codes = np.unique(pairs[0] << 32 | pairs[1])
            found.update(zip((codes >> 32).tolist(), (codes & 0xFFFFFFFF).tolist(), strict=True))
    return found


def _needed(labels: Sequence[int], maps: Sequence[Integer[np.ndarray, "_ _"]]) -> Float[np.ndarray, "n n"]:
    """The difference that each pair of these labels should have."""
    place = {label: index for index, label in enumerate(labels)}
    needed = np.full((len(labels), len(labels)), APART)
    for pair in set().union(*map(touching, maps)):
        if pair[0] in place and pair[1] in place:
            one, other = place[pair[0]], place[pair[1]]
            needed[one, other] = needed[other, one] = TOUCHING
    return needed


def _tell_apart(cells: list[int], needed: Float[np.ndarray, "n n"]) -> None:
    """Change the shades in `cells` until every pair is as different as needed, the first ones least."""
    table = _differences()
    count = len(needed)
    known = np.array(cells[:count], np.intp)
    for sweep in range(_SWEEPS):
        for index in range(count):
            others = np.arange(count) < index if sweep == 0 else np.arange(count) != index
            if not others.any():
                continue
            shades = _shades(cells[index])
            margins = (table[np.ix_(shades, known[others])] / needed[index, others]).min(1)
            known[index] = _chosen(known[index] if sweep else cells[index], shades, margins)
        margins = table[np.ix_(known, known)] / needed
        np.fill_diagonal(margins, np.inf)
        if margins.min(initial=np.inf) >= 1:
            break
    cells[:count] = known.tolist()


def _chosen(own: int, shades: Integer[np.ndarray, " s"], margins: Float[np.ndarray, " s"]) -> int:
    """The shade nearest to one's own that is different enough (a margin of 1), else the most different one."""
    enough = margins >= min(1.0, float(margins.max()))
    return int(min(shades[enough], key=lambda cell: (abs(int(cell) - own), cell)))


def _shades(cell: int) -> Integer[np.ndarray, " s"]:
    first = cell - cell % SHADES
    return np.arange(first, first + SHADES)


@lru_cache(64)
def _cells_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """Hue and shade of every name, told apart in the order of the list."""
    table = _differences()
    used: Bool[np.ndarray, " n"] = np.zeros(len(table), np.bool_)
    cells: dict[str, int] = {}
    for name in map(_plain, names):
        if name not in cells:
            own = _cell(name)
            shades = _shades(own)
            cells[name] = _chosen(own, shades, table[shades][:, used].min(1, initial=np.inf) / APART)
            used[cells[name]] = True
    return tuple(cells[_plain(name)] for name in names)


def _plain(name: str) -> str:
    return _GAPS.sub(" ", name).strip().casefold()


def _cell(name: str) -> int:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % len(_palette())


def _colour(cell: int) -> Colour:
    red, green, blue = _palette()[cell].tolist()
    return red, green, blue


@cache
def _palette() -> UInt8[np.ndarray, "n 3"]:
    """The colours: the shades of each hue follow one another, from dark to light."""
    hues = [
        (360 * index / count, chroma)
        for count, chroma in zip((_VIVID, _MUTED), _CHROMA, strict=True)
        for index in range(count)
    ]
    return np.stack([_in_gamut(light, hue, chroma) for hue, chroma in hues for light in _LIGHTNESS])


def _in_gamut(lightness: float, hue: float, chroma: float) -> UInt8[np.ndarray, 3]:
    """The colour of this lightness and hue with this chroma, or the highest below it that sRGB has."""
    steps = np.linspace(chroma, 0, 200)
    angle = np.radians(hue)
    lab = np.stack([np.full_like(steps, lightness), steps * np.cos(angle), steps * np.sin(angle)], -1)
    linear = linear_of_lab(lab)
    inside = ((linear >= 0) & (linear <= 1)).all(-1)
    return encoded(linear[int(inside.argmax())])


@cache
def _differences() -> Float[np.ndarray, "n n"]:
    """Difference of every pair of colours of the palette, the smaller of usual vision and deuteranopia."""
    colours = _palette()
    return visible_difference(colours[:, None].repeat(len(colours), 1), colours[None].repeat(len(colours), 0))
