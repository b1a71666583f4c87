"""Folders of label maps that are given as arrays, with grey images of their size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ahs_seg.data.folder import FolderDataset


def label_folder(root: Path, maps: Sequence[np.ndarray], classes: str, *, split: str = "train") -> FolderDataset:
    """Dataset of the split `split` below `root`, whose image k has the label map `maps[k]`."""
    for kind in ("images", "annotations"):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(classes.split(", ")), encoding="utf-8")
    for index, values in enumerate(maps):
        Image.new("RGB", values.shape[::-1]).save(root / "images" / split / f"{index:03}.png")
        Image.fromarray(values).save(root / "annotations" / split / f"{index:03}.png")
    return FolderDataset(root, split=split)


def discs(values: Sequence[int], side: int = 64, seed: int = 0) -> np.ndarray:
    """Label map of some discs, one for each value after the first, which is the ground."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    found = np.full((side, side), values[0], np.uint8)
    for value in values[1:]:
        row, column = draw.integers(side // 4, 3 * side // 4, 2)
        found[(rows - row) ** 2 + (columns - column) ** 2 < (side // 5) ** 2] = value
    return found
