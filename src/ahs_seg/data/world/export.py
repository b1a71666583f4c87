"""Export of scenes of the drawn world as a folder dataset, as an example of the folder layout."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.io.atomic import write_bytes, write_png, write_text
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.types import IGNORE

_IGNORED = 65535


def export_folder(dataset: SegmentationDataset, directory: Path, *, split: str) -> Path:
    """Directory with the written `images/SPLIT`, `annotations/SPLIT` (16-bit, 65535 is ignored) and `classes.txt`.

    Raises:
        OverwriteError: the directory holds a dataset with other classes.
    """
    classes, path = "\n".join(dataset.vocabulary.labels) + "\n", directory / "classes.txt"
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != classes:
        raise OverwriteError(f"{directory}: holds a dataset with other classes ({path}). Give another folder with -o.")
    write_text(path, classes)
    for index in range(len(dataset)):
        sample = dataset[index]
        write_png(directory / "images" / split / f"{sample.name}.png", sample.image)
        labels = np.where(sample.labels == IGNORE, _IGNORED, sample.labels).astype(np.uint16)
        buffer = io.BytesIO()
        Image.fromarray(labels).save(buffer, "PNG")
        write_bytes(directory / "annotations" / split / f"{sample.name}.png", buffer.getvalue())
    return directory
