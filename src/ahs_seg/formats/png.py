"""Label maps as PNG with a palette, and the names of the classes beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool
from PIL import Image

from ahs_seg.files import replacing_file, write_text
from ahs_seg.formats.base import Item, Result
from ahs_seg.palette import areas, by_area, colour, colours_for
from ahs_seg.types import IGNORE

PALETTE_SIZE: Final = 256
UNKNOWN_8_BIT: Final = 255
UNKNOWN_16_BIT: Final = 65535
_GREY: Final = (128, 128, 128)


def names_path(path: Path) -> Path:
    """Where the names of a label map stand: `scene.classes.json` for `scene.png`."""
    return path.with_suffix(".classes.json")


def write_label_map(item: Item, path: Path) -> None:
    """A PNG with the index of the class of every pixel, and the names of the indices beside it as `.classes.json`.

    Up to 256 classes give a coloured palette PNG, more a 16-bit grey one. Unknown pixels are 255 or 65535, as in label
    maps of data sets; the JSON says so. 256 classes and unknown pixels take 16 bits.
    """
    result = item.result
    unknown = result.labels == IGNORE
    wide = len(result.vocabulary) + bool(unknown.any()) > PALETTE_SIZE
    value = UNKNOWN_16_BIT if wide else UNKNOWN_8_BIT
    picture = _picture(result, unknown, value, wide=wide)
    labels = result.vocabulary.labels
    names: dict[str, object] = {
        "classes": labels,
        "pixels": {labels[index]: count for index, count in areas(result.labels).items()},
    }
    if unknown.any():
        names["unknown"] = {"value": value, "pixels": int(unknown.sum())}
    write_text(names_path(path), json.dumps(names, ensure_ascii=False, indent=1) + "\n")
    with replacing_file(path) as file:
        picture.save(file, "PNG")


def _picture(result: Result, unknown: Bool[np.ndarray, "H W"], value: int, *, wide: bool) -> Image.Image:
    values = np.where(unknown, value, result.labels)
    if wide:
        return Image.fromarray(values.astype(np.uint16))
    picture = Image.fromarray(values.astype(np.uint8))
    chosen = colours_for(by_area(result.labels), len(result.vocabulary))
    if unknown.any():
        chosen[value] = _GREY
    picture.putpalette([part for index in range(PALETTE_SIZE) for part in chosen.get(index, colour(index))])
    return picture
