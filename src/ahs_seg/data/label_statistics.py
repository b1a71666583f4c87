"""Counts of what the label maps of a dataset hold, from a bounded number of its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32, Integer, UInt

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.io.failures import failure_of
from ahs_seg.types import IGNORE

MAX_FILES: Final = 1000
"""Label maps that are read alone, without their images, at most; evenly spaced over the dataset."""
MAX_SAMPLES: Final = 32
"""Samples that are made in full at most, where labels cannot be read alone; drawn scenes take 40 ms each."""


@runtime_checkable
class StoredLabels(SegmentationDataset, Protocol):
    """Dataset whose label maps lie in files of their own; `ignore` is the value of no class, None: the default."""

    @property
    def ignore(self) -> int | None:
        """Stored value of pixels without a class that was asked for."""

    @property
    def first_value(self) -> int | None:
        """Stored value of the first class; None: values mean classes by a table."""

    def stored_labels(self, index: int) -> UInt[np.ndarray, "H W"]:
        """Label values of sample `index` exactly as stored."""

    def size_fault(self, index: int, size: tuple[int, int], label_size: tuple[int, ...]) -> str | None:
        """Message that the (height, width) of image `index` is not that of its label map; None: it is."""

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of image `index`, from the header of its file."""

    def layout_faults(self) -> Iterator[str]:
        """Files that do not fit together or are not read, one message each."""

    def class_labels(self, values: UInt[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
        """Class indices of stored values, `IGNORE` without a class; indices without a name are allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStatistics:
    """What was counted in `read` of `images` samples of a dataset.

    `pixels` and `maps` have one entry per class: its labelled pixels, and the label maps that show it. `unlabelled`
    are pixels without a class; `values` counts pixels by stored value (empty: labels do not come from files),
    `outside` those whose index has no name. `border` are pixels with another value beside them; `blurred` those of them
    that no drawn border has: a value between its two neighbours, or different from all four. `faults` has one message
    per sample that cannot be used, `layout` one per file that belongs to no sample. `offset` is the stored value of the
    first class (None: stored values are no class indices, or there are none).
    """

    title: str
    classes: tuple[str, ...]
    images: int
    read: int
    pixels: tuple[int, ...]
    maps: tuple[int, ...]
    unlabelled: int
    values: dict[int, int]
    outside: dict[int, int]
    border: int
    blurred: int
    faults: tuple[str, ...]
    layout: tuple[str, ...] = ()
    ignore: int | None = None
    offset: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every sample of the dataset was read."""
        return self.read == self.images

    @property
    def extent(self) -> str:
        """How much was read, for messages."""
        number = f"{self.images:,}" if self.complete else f"{self.read:,} of {self.images:,}"
        return f"{number} label map{'s' * (self.images != 1)} read"


@dataclass(frozen=True, slots=True)
class _Counts:
    stored: Counter[int]
    labels: Counter[int]
    outside: Counter[int]
    border: int = 0
    blurred: int = 0
    fault: str | None = None


def count_labels(dataset: SegmentationDataset, title: str, *, limit: int | None = None) -> LabelStatistics:
    """Statistics of the label maps of a dataset, from at most `limit` samples.

    Default limits: `MAX_FILES` where label maps are files of their own, otherwise `MAX_SAMPLES`.
    """
    files = isinstance(dataset, StoredLabels)
    chosen = spread(len(dataset), (MAX_FILES if files else MAX_SAMPLES) if limit is None else limit)
    if isinstance(dataset, StoredLabels):
        with ThreadPoolExecutor() as pool:
            counts = list(pool.map(lambda index: _count_file(dataset, index), chosen))
    else:
        counts = [_count_sample(dataset, index) for index in chosen]
    classes = tuple(dataset.vocabulary.labels)
    stored, labels, outside, maps = Counter[int](), Counter[int](), Counter[int](), Counter[int]()
    for one in counts:
        stored.update(one.stored)
        labels.update(one.labels)
        outside.update(one.outside)
        maps.update(one.labels.keys())
    return LabelStatistics(
        title=title,
        classes=classes,
        images=len(dataset),
        read=len(chosen),
        pixels=tuple(labels[index] for index in range(len(classes))),
        maps=tuple(maps[index] for index in range(len(classes))),
        unlabelled=labels[IGNORE],
        values=dict(sorted(stored.items())),
        outside=dict(sorted(outside.items())),
        border=sum(one.border for one in counts),
        blurred=sum(one.blurred for one in counts),
        faults=tuple(one.fault for one in counts if one.fault is not None),
        layout=tuple(dataset.layout_faults()) if isinstance(dataset, StoredLabels) else (),
        ignore=dataset.ignore if isinstance(dataset, StoredLabels) else None,
        offset=dataset.first_value if isinstance(dataset, StoredLabels) else None,
    )


def spread(count: int, limit: int) -> list[int]:
    """At most `limit` indices below `count`, evenly spaced, the first and the last among them."""
    if count <= limit:
        return list(range(count))
    return sorted(set(np.linspace(0, count - 1, limit).round().astype(int).tolist()))


def border_pixels(values: Integer[np.ndarray, "H W"]) -> tuple[int, int]:
    """Number of inner pixels with another value beside them, and of those that look blurred or compressed.

    Borders of a drawn label map are steps from one value to another. Resizing with interpolation, smooth brushes and
    JPEG leave values between the two sides, and single pixels that differ from all four neighbours: 40 to 66 % of all
    border pixels, 2 to 4 % in drawn maps of streets, also halved and quartered. JPEG of neighbouring values such as
    0, 1, 2 changes too few pixels to be seen.
    """
    whole = values.astype(np.int32)
    centre, left, right = whole[1:-1, 1:-1], whole[1:-1, :-2], whole[1:-1, 2:]
    above, below = whole[:-2, 1:-1], whole[2:, 1:-1]
    other = [centre != beside for beside in (left, right, above, below)]
    between = (np.minimum(left, right) < centre) & (centre < np.maximum(left, right))
    between |= (np.minimum(above, below) < centre) & (centre < np.maximum(above, below))
    alone = other[0] & other[1] & other[2] & other[3]
    return int((other[0] | other[1] | other[2] | other[3]).sum()), int((between | alone).sum())


def _count_file(dataset: StoredLabels, index: int) -> _Counts:
    try:
        values = dataset.stored_labels(index)
        fault = dataset.size_fault(index, dataset.image_size(index), values.shape)
    except Exception as error:  # noqa: BLE001  # a fault of this file, see `io.failures`
        fault = str(failure_of(error, f"label map {index}"))
    if fault is not None:
        return _fault(fault)
    return _count(values, dataset.class_labels(values), len(dataset.vocabulary))


def _count_sample(dataset: SegmentationDataset, index: int) -> _Counts:
    try:
        sample = dataset[index]
    except Exception as error:  # noqa: BLE001  # as above
        return _fault(str(failure_of(error, f"sample {index}")))
    return _count(None, sample.labels, len(dataset.vocabulary))


def _fault(message: str) -> _Counts:
    return _Counts(Counter(), Counter(), Counter(), fault=message)


def _count(stored: UInt[np.ndarray, "H W"] | None, labels: Int[np.ndarray, "H W"], classes: int) -> _Counts:
    found = _tally(labels)
    known = {label: pixels for label, pixels in found.items() if label == IGNORE or 0 <= label < classes}
    shown = labels if stored is None else stored
    outside = (labels != IGNORE) & ((labels < 0) | (labels >= classes))
    border, blurred = border_pixels(shown)
    values = Counter[int]() if stored is None else _tally(stored)
    return _Counts(values, Counter(known), _tally(shown[outside]), border, blurred)


def _tally(values: Integer[np.ndarray, "*_"]) -> Counter[int]:
    found, pixels = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), pixels.tolist(), strict=True)))
