"""Tables of the colours that stand for classes in coloured label maps, in the layouts that other tools write."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8, UInt16

from ahs_seg.documents import MAX_YAML_BYTES, DocumentError, parse_json, read_text
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.vocabulary.vocabulary import Vocabulary

Colour = tuple[int, int, int]

VOC: Final = "voc"
"""Name of the table of Pascal VOC: index k has the k-th colour of its palette, the last one marks contours (void)."""
NO_CLASS: Final = 65_535
"""Value of a pixel that shows no class of the table; a table has fewer classes."""

_LABELMAP: Final = re.compile(r"(?P<name>[^:]*):(?P<colour>\d{1,3},\d{1,3},\d{1,3})(:.*)?")
_BEFORE: Final = re.compile(r"(?P<colour>\d{1,3}[\s,]+\d{1,3}[\s,]+\d{1,3})[\s,]+(?P<name>\S.*)")
_AFTER: Final = re.compile(r"(?P<name>.*[^\s,])[\s,]+(?P<colour>\d{1,3}[\s,]+\d{1,3}[\s,]+\d{1,3})")
_CHANNEL: Final = re.compile(r"\d{1,3}")
_HEX: Final = re.compile("#([0-9a-fA-F]{6})")
_WEIGHTS: Final = (1, 256, 65536)


class ColourTableError(AhsSegError, ValueError):
    """A file is no table of colours, or its table is ambiguous; the message says what is allowed."""


@dataclass(frozen=True)
class ColourTable:
    """Colours of classes: `names` has each class once, `colours` gives each colour the index of its class."""

    names: tuple[str, ...]
    colours: Mapping[Colour, int]
    source: str

    @classmethod
    def read(cls, path: Path) -> ColourTable:
        """The table of a file.

        Allowed are `name:r,g,b:parts:actions` a line (`labelmap.txt` of CVAT), `r g b name` a line (`label_colors.txt`
        of CamVid), a CSV table with the columns name, r, g, b (`class_dict.csv`), and a JSON mapping of names to
        `[r, g, b]` or `"#rrggbb"`. A class may have several colours.

        Raises:
            ColourTableError: the file is none of these, or two classes have one colour.
        """
        try:
            text = read_text(path, MAX_YAML_BYTES).removeprefix("\ufeff")
            pairs = list(_of_json(text, path) if path.suffix.lower() == ".json" else _of_lines(text, path))
        except (OSError, DocumentError, csv.Error) as error:
            raise ColourTableError(f"{path}: not readable as a table of colours (utf-8 text): {error}") from None
        return cls.of(pairs, str(path))

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Colour]], source: str) -> ColourTable:
        """The table of these names and colours.

        Raises:
            ColourTableError: there is none, a colour is outside of 0..255, or two classes have one colour.
        """
        names: dict[str, int] = {}
        colours: dict[Colour, int] = {}
        for name, colour in pairs:
            if max(colour) > 255 or min(colour) < 0:
                raise ColourTableError(f"{source}: class {name!r} has the colour {colour}; allowed are 0..255.")
            label = names.setdefault(name, len(names))
            if colours.setdefault(colour, label) != label:
                first = list(names)[colours[colour]]
                raise ColourTableError(f"{source}: {first!r} and {name!r} have the colour {colour}; give each its own.")
        if not 0 < len(names) < NO_CLASS:
            raise ColourTableError(f"{source}: {len(names)} classes; allowed are 1 to {NO_CLASS - 1}.")
        return cls(tuple(names), colours, source)

    @classmethod
    def voc(cls) -> ColourTable:
        """The table of Pascal VOC: background, the 20 classes, and void for contours.

        Source: the VOC development kit, VOCcode/VOClabelcolormap.m.
        """
        names = ["background", *Vocabulary.known("pascal-voc-20").labels]
        pairs = [*((name, _voc_colour(index)) for index, name in enumerate(names)), ("void", _voc_colour(255))]
        return cls.of(pairs, "the table of Pascal VOC")

    def decode(self, colours: UInt8[np.ndarray, "H W 3"], name: str) -> UInt16[np.ndarray, "H W"]:
        """Class indices of a coloured label map; `name` stands for it in messages.

        Raises:
            SampleError: it has a colour that is not in the table.
        """
        numbers = colours.astype(np.int32) @ np.array(_WEIGHTS, np.int32)
        found, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        known = {int(np.dot(colour, _WEIGHTS)): label for colour, label in self.colours.items()}
        labels = np.array([known.get(number, NO_CLASS) for number in found.tolist()], np.uint16)
        unknown = labels == NO_CLASS
        if unknown.any():
            most = int(found[unknown][counts[unknown].argmax()])
            shown = tuple(most // weight % 256 for weight in _WEIGHTS)
            raise SampleError(
                f"{name}: {counts[unknown].sum():,} pixels have {unknown.sum():,} colours that are not in "
                f"{self.source}, most often {shown}. Add the class, or export again without smoothing and as PNG."
            )
        return labels[inverse].reshape(numbers.shape)


def _voc_colour(index: int) -> Colour:
    """Bits 0, 3 and 6 of the index are the highest bits of red, bits 1, 4, 7 of green, bits 2 and 5 of blue."""
    red, green, blue = (
        sum((index >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


def _of_lines(text: str, path: Path) -> Iterator[tuple[str, Colour]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    header = [cell.strip().casefold() for cell in next(csv.reader([lines[0][1]]))] if lines else []
    if {"name", "r", "g", "b"} <= set(header):
        for number, line in lines[1:]:
            cells = dict(zip(header, (cell.strip() for cell in next(csv.reader([line]))), strict=False))
            if not all(_CHANNEL.fullmatch(cells.get(key, "")) for key in "rgb") or not cells.get("name"):
                raise ColourTableError(f"{path}, line {number}: {line[:60]!r}; allowed are a name and r, g, b.")
            yield cells["name"], (int(cells["r"]), int(cells["g"]), int(cells["b"]))
        return
    for number, line in lines:
        found = next((match for form in (_LABELMAP, _BEFORE, _AFTER) if (match := form.fullmatch(line))), None)
        if found is None or not found["name"].strip():
            raise ColourTableError(
                f"{path}, line {number}: {line[:60]!r}; allowed are lines such as 'road:128,64,128' and "
                "'128 64 128 road'."
            )
        red, green, blue = map(int, re.split(r"[\s,]+", found["colour"]))
        yield found["name"].strip(), (red, green, blue)


def _of_json(text: str, path: Path) -> Iterator[tuple[str, Colour]]:
    values = parse_json(text, source=str(path))
    if not isinstance(values, dict):
        raise ColourTableError(f"{path}: holds a {type(values).__name__}; allowed is a mapping of names to colours.")
    for name, value in values.items():
        found = _HEX.fullmatch(value) if isinstance(value, str) else None
        parts = list(bytes.fromhex(found[1])) if found else value
        if not isinstance(parts, list) or len(parts) != 3 or not all(type(part) is int for part in parts):
            raise ColourTableError(f'{path}: class {name!r} has no colour; allowed are [r, g, b] and "#rrggbb".')
        yield name, (parts[0], parts[1], parts[2])
