"""Spreads well-known classes over the palette: `python -m benchmarks.colour_table` writes `assets/colours.json`.

Some classes are given the colours that people expect. Every other name takes, in the order of the vocabularies below,
the colour that differs most from those of all vocabularies it occurs in, as usual and with deuteranopia.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np

from ahs_seg.data.world.names import vocabulary_names
from ahs_seg.io.atomic import write_text
from ahs_seg.output.colours import SHADES, differences, palette, plain_name
from ahs_seg.vocabulary.vocabulary import Vocabulary

CITYSCAPES = [
    *["road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"],
    *["terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"],
]
KNOWN = ("pascal-voc-20b", "coco-stuff-171", "ade20k-150", "pascal-context-59")
EXPECTED = {
    "sky": (23, 3), "sky-other": (23, 3), "clouds": (43, 4), "cloud": (43, 4), "fog": (45, 4), "grass": (12, 3),
    "tree": (13, 1), "vegetation": (13, 1), "bush": (38, 1), "plant": (15, 2), "potted plant": (15, 2),
    "plant-other": (16, 2), "terrain": (37, 3), "water": (21, 1), "water-other": (21, 1), "sea": (24, 0),
    "river": (20, 2), "lake": (22, 0), "road": (47, 0), "pavement": (30, 3), "sidewalk": (30, 3), "path": (32, 3),
    "person": (2, 1), "rider": (1, 3), "car": (26, 0), "truck": (27, 2), "bus": (18, 2), "train": (17, 0),
    "motorcycle": (28, 0), "bicycle": (31, 0), "building": (34, 1), "building-other": (34, 1), "house": (33, 1),
    "wall": (36, 4), "wall-other": (36, 4), "fence": (35, 3), "pole": (40, 3), "traffic light": (7, 4),
    "traffic sign": (9, 3), "floor": (35, 2), "floor-other": (35, 2), "ceiling": (44, 4), "ceiling-other": (44, 4),
    "mountain": (34, 0), "earth": (35, 0), "dirt": (35, 0), "ground": (35, 0), "ground-other": (35, 0), "sand": (7, 4),
    "snow": (42, 4), "cat": (5, 2), "dog": (6, 1), "lava": (4, 1), "leaves": (12, 1), "brick wall": (33, 1),
    "wood floor": (35, 2), "metal": (43, 2), "background": (40, 0), "fire": (4, 1),
}  # fmt: skip
"""Number of the hue, and of its shade, by name."""


def vocabularies() -> dict[str, list[str]]:
    """The lists of names whose classes are spread, each within itself."""
    found = {"cityscapes-19": CITYSCAPES}
    found |= {name: Vocabulary.known(name).labels for name in KNOWN}
    found["drawn-world-150"] = list(vocabulary_names(150))
    return {key: list(dict.fromkeys(map(plain_name, names))) for key, names in found.items()}


def table() -> dict[str, int]:
    """Number of the colour in the palette by name."""
    colours = palette()
    distance = differences()
    lists = list(vocabularies().values())
    cells = {plain_name(name): hue * SHADES + shade for name, (hue, shade) in EXPECTED.items()}
    for names in lists:
        for name in names:
            if name in cells:
                continue
            others = [cells[one] for list_ in lists if name in list_ for one in list_ if one in cells]
            nearest = distance[:, others].min(1) if others else np.zeros(len(colours))
            crowd = 1 / (1 + distance[:, others] ** 2)
            cells[name] = int((nearest - 1e-3 * crowd.sum(1)).argmax())
    return cells


def main() -> None:
    path = Path(str(resources.files("ahs_seg").joinpath("assets/colours.json")))
    write_text(path, json.dumps(dict(sorted(table().items())), ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
