"""Images that a visitor can try: drawn scenes, and a photograph."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.io.atomic import write_bytes
from ahs_seg.types import IGNORE

SCENES: Final = 2
PHOTOGRAPH: Final = "coffee.jpg"
"""`skimage.data.coffee` of scikit-image, as JPEG; see `assets/web/examples/SOURCES.md`."""
PHOTOGRAPH_WORDS: Final = "coffee, cup, saucer, spoon, wooden table"
CREDIT: Final = "Photograph: Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0, from scikit-image."


class Example(NamedTuple):
    """An image file, the class names for it, and whose it is if it is not drawn here."""

    file: str
    words: str
    credit: str = ""


def write_examples(folder: Path) -> list[Example]:
    """Write all examples to a folder: the drawn scenes and the photograph."""
    path = folder / PHOTOGRAPH
    write_bytes(path, resources.files("ahs_seg").joinpath("assets", "web", "examples", PHOTOGRAPH).read_bytes())
    return [*draw_examples(folder), Example(str(path), PHOTOGRAPH_WORDS, CREDIT)]


def draw_examples(folder: Path) -> list[Example]:
    """Write drawn scenes to a folder, with class names some of which are not in the image."""
    scenes = WorldDataset(TEST_SEED, SCENES, names=150)
    labels = scenes.vocabulary.labels
    examples = []
    for index in range(SCENES):
        sample = scenes[index]
        present = [labels[label] for label in np.unique(sample.labels[sample.labels != IGNORE])]
        absent = [name for name in labels[index :: len(labels) // 3] if name not in present][:2]
        path = folder / f"{sample.name}.png"
        Image.fromarray(sample.image).save(path)
        examples.append(Example(str(path), ", ".join([*present, *absent])))
    return examples
