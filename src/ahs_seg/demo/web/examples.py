"""Drawn scenes that a visitor can try."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.types import IGNORE

EXAMPLES: Final = 3


def draw_examples(folder: Path) -> list[tuple[str, str]]:
    """Write drawn scenes to a folder; returns pairs of image path and class names, some of them not in the image."""
    scenes = WorldDataset(TEST_SEED, EXAMPLES, names=150)
    labels = scenes.vocabulary.labels
    examples = []
    for index in range(EXAMPLES):
        sample = scenes[index]
        present = [labels[label] for label in np.unique(sample.labels[sample.labels != IGNORE])]
        absent = [name for name in labels[index :: len(labels) // 3] if name not in present][:2]
        path = folder / f"{sample.name}.png"
        Image.fromarray(sample.image).save(path)
        examples.append((str(path), ", ".join([*present, *absent])))
    return examples
