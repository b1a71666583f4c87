"""Files of labels as our exporters write them, with their images, and datasets compared with label maps."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.output.formats import Format, open_format
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item, made

MAPS = {"b": blobs(2), "street one/ü": blobs(1, unknown=True)}
"""Label maps by the names of their images; the image of `b` is `b.png`."""


def save_image(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def exported(kind: Format, folder: Path, maps: Mapping[str, np.ndarray] = MAPS) -> tuple[Path, Path]:
    """The file of labels that our exporter writes, and the folder of the images."""
    exporter = open_format(kind, folder / kind, WORDS)
    exporter.start()
    for name, labels in maps.items():
        path = save_image(folder / "images" / f"{name}.png", made(labels).image)
        exporter.add(item(name, labels, WORDS, path))
    return exporter.finish()[0], folder / "images"


def same_labels(dataset: SegmentationDataset, maps: Mapping[str, np.ndarray], words: Vocabulary = WORDS) -> bool:
    """Whether a dataset has exactly these images and labels; its classes may have another order."""
    order = [*(dataset.vocabulary.labels.index(label) for label in words.labels), IGNORE]
    samples = [dataset[index] for index in range(len(dataset))]
    return [sample.name for sample in samples] == [f"{name}.png" for name in sorted(maps)] and all(
        np.array_equal(np.array(order)[maps[sample.name.removesuffix(".png")]], sample.labels) for sample in samples
    )
