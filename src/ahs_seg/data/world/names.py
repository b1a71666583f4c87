"""Attributes, class names, splits and vocabularies of the drawn world."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

from ahs_seg.errors import AhsSegError

COLOURS: Final = {
    "red": (0.85, 0.12, 0.12),
    "orange": (0.97, 0.53, 0.10),
    "yellow": (0.96, 0.88, 0.16),
    "green": (0.12, 0.62, 0.18),
    "cyan": (0.15, 0.85, 0.88),
    "blue": (0.12, 0.24, 0.85),
    "purple": (0.52, 0.14, 0.70),
    "pink": (0.98, 0.52, 0.75),
    "brown": (0.45, 0.25, 0.10),
    "white": (0.96, 0.96, 0.95),
    "gray": (0.52, 0.52, 0.54),
    "black": (0.07, 0.07, 0.08),
}
TEXTURES: Final = ("plain", "striped", "checkered", "dotted", "ringed", "speckled", "framed")
SHAPES: Final = (
    "circle", "square", "triangle", "star", "ring", "cross", "heart", "crescent", "flower", "arrow", "diamond", "house",
)  # fmt: skip
STUFF: Final = (
    "sky", "grass", "sand", "water", "brick wall", "wood floor", "snow", "gravel", "carpet", "lava", "leaves", "metal",
)  # fmt: skip

SYNONYMS: Final = {
    "red": "scarlet", "orange": "tangerine", "yellow": "golden", "green": "emerald", "cyan": "turquoise",
    "blue": "azure", "purple": "violet", "pink": "rose", "brown": "chocolate", "white": "ivory", "gray": "grey",
    "black": "ebony", "plain": "solid", "striped": "banded", "checkered": "chequered", "dotted": "spotted",
    "ringed": "concentric", "speckled": "grainy", "framed": "outlined", "circle": "disc", "square": "box",
    "triangle": "wedge", "star": "pentagram", "ring": "hoop", "cross": "plus", "heart": "valentine",
    "crescent": "moon", "flower": "blossom", "arrow": "pointer", "diamond": "rhombus", "house": "hut",
    "sky": "heavens", "grass": "lawn", "sand": "beach", "water": "sea", "brick wall": "bricks",
    "wood floor": "wooden planks", "snow": "fresh snow", "gravel": "pebbles", "carpet": "rug", "lava": "magma",
    "leaves": "foliage", "metal": "steel",
}  # fmt: skip
"""One synonym for each attribute and each stuff, used in captions."""

NOVEL_ATTRIBUTES: Final = frozenset({"purple", "cyan", "brown", "checkered", "heart", "arrow", "house"})
NOVEL_STUFF: Final = frozenset({"lava", "leaves", "metal"})
SEEN_THINGS: Final = 160
FEW_THINGS: Final = 31
NEVER_TRAINED: Final = 142
VOCABULARY_SIZES: Final = (20, 59, 150, 459, 847)
_SMALL_STUFF: Final = ("grass", "sand", "water", "brick wall", "lava", "metal")

NameSplit = Literal["seen", "combination", "novel"]


class WorldError(AhsSegError, ValueError):
    """Error for a vocabulary or class name that the drawn world does not have."""


class Thing(NamedTuple):
    """Object class, defined by three attributes; its name lists them in this order."""

    colour: str
    texture: str
    shape: str

    @property
    def name(self) -> str:
        """Class name, e.g. "red striped star"."""
        return f"{self.colour} {self.texture} {self.shape}"


@cache
def things() -> dict[str, Thing]:
    """All 1008 object classes by name."""
    every = (Thing(c, t, s) for c in COLOURS for t in TEXTURES for s in SHAPES)
    return {thing.name: thing for thing in every}


@cache
def splits() -> dict[str, NameSplit]:
    """Split of every thing and stuff name: "seen", "combination" or "novel" with respect to segmentation training.

    "seen" names are trained on; "combination" names are new combinations of known attributes; "novel" names have an
    attribute (or are a stuff) that never occurs in segmentation training.
    """
    known = [name for name, thing in things().items() if NOVEL_ATTRIBUTES.isdisjoint(thing)]
    seen = set(_shuffled(known, "seen")[:SEEN_THINGS])
    result: dict[str, NameSplit] = {}
    for name, thing in things().items():
        novel = not NOVEL_ATTRIBUTES.isdisjoint(thing)
        result[name] = "novel" if novel else "seen" if name in seen else "combination"
    for name in STUFF:
        result[name] = "novel" if name in NOVEL_STUFF else "seen"
    return result


@cache
def seen_names() -> tuple[str, ...]:
    """The 169 class names of segmentation training: stuff first, then things."""
    return tuple(name for name in (*STUFF, *things()) if splits()[name] == "seen")


@cache
def few_names() -> tuple[str, ...]:
    """40 of the `seen_names`, for training with a small vocabulary: all stuff, and 31 things."""
    stuff = tuple(name for name in seen_names() if name in STUFF)
    return (*stuff, *_shuffled([name for name in seen_names() if name not in STUFF], "few")[:FEW_THINGS])


@cache
def never_trained() -> frozenset[str]:
    """The 142 combinations held out from pre-training of the tiny CLIP; each of their attributes occurs in others."""
    unseen = [name for name in things() if splits()[name] != "seen"]
    return frozenset(_shuffled(unseen, "pre-training")[:NEVER_TRAINED])


@cache
def vocabulary_names(size: int) -> tuple[str, ...]:
    """Class names of the vocabulary with `size` classes; a smaller vocabulary is a subset of every larger one.

    Things are taken alternately from the three splits until a split is exhausted.

    Raises:
        WorldError: the drawn world has no vocabulary of this size.
    """
    if size not in VOCABULARY_SIZES:
        allowed = ", ".join(map(str, VOCABULARY_SIZES))
        raise WorldError(f"the drawn world has no vocabulary of {size} names; choose one of {allowed}")
    stuff = _SMALL_STUFF if size == min(VOCABULARY_SIZES) else STUFF
    return (*stuff, *_thing_order()[: size - len(stuff)])


@cache
def _thing_order() -> tuple[str, ...]:
    groups = [
        _shuffled([name for name in things() if splits()[name] == split], f"vocabulary {split}")
        for split in ("seen", "combination", "novel")
    ]
    longest = max(map(len, groups))
    return tuple(group[index] for index in range(longest) for group in groups if index < len(group))


def _shuffled(names: Iterable[str], salt: str) -> Sequence[str]:
    """Names in a pseudo-random order that depends only on the names and the salt, not on a random generator."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}: {name}".encode()).digest())
