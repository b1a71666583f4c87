"""A dataset that tells its labels by colour, two predictors, and whether a dataset notices a changed file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ahs_seg.data.base import Sample
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.errors import SampleError
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass
class Pictures:
    """Pictures whose red channel spells the labels; those in `broken` cannot be read."""

    count: int = 6
    broken: tuple[int, ...] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.parse("sky, road, car")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise SampleError(f"picture {index}: damaged")
        rng = np.random.default_rng(index)
        labels = rng.integers(0, 3, (5, 4 + index)).astype(np.int32)
        image = np.zeros((*labels.shape, 3), np.uint8)
        image[..., 0] = labels
        return Sample(image, labels, str(index))


def oracle(image: np.ndarray) -> np.ndarray:
    return image[..., 0].astype(np.int64)


def always_sky(image: np.ndarray) -> np.ndarray:
    return np.zeros(image.shape[:2], np.uint8)


def notices(data: DatasetConfig, path: Path) -> bool:
    """Whether the state of the first sample changes with a file, and comes back with its time."""
    earlier, first = path.stat().st_mtime_ns, _state(data)
    os.utime(path, ns=(earlier, earlier + 1_000_000_000))
    changed = _state(data)
    os.utime(path, ns=(earlier, earlier))
    assert _state(data) == first
    return changed != first


def _state(data: DatasetConfig) -> object:
    return getattr(data.open(), "file_state")(0)  # noqa: B009  # not every dataset has it
