"""What a segmenter gives back: a class for every pixel, and ways to look at it and to keep it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from ahs_seg.formats.base import Item
from ahs_seg.formats.png import write_label_map
from ahs_seg.palette import by_area, colours_for, overlay
from ahs_seg.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The class of every pixel of `image` (an index into `vocabulary`) and its score in [0, 1]."""

    image: UInt8[np.ndarray, "H W 3"] = field(repr=False)
    labels: Int32[np.ndarray, "H W"] = field(repr=False)
    scores: Float[np.ndarray, "H W"] = field(repr=False)
    vocabulary: Vocabulary

    @property
    def classes(self) -> list[str]:
        """The labels of the vocabulary; `classes[labels[y, x]]` is what stands at a pixel."""
        return self.vocabulary.labels

    def areas(self) -> dict[str, int]:
        """The number of pixels of every class that was found, largest first."""
        counts = np.bincount(self.labels.ravel())
        return {self.classes[index]: int(counts[index]) for index in by_area(self.labels)}

    def masks(self) -> dict[str, Bool[np.ndarray, "H W"]]:
        """The pixels of every class that was found, largest first."""
        return {self.classes[index]: self.labels == index for index in by_area(self.labels)}

    def overlay(self, *, strength: float = 0.6) -> UInt8[np.ndarray, "H W 3"]:
        """The picture tinted by its classes."""
        colours = colours_for(by_area(self.labels), len(self.vocabulary))
        return overlay(self.image, self.labels, colours, strength=strength)

    def save(self, path: Path | str) -> Path:
        """Write the label map as a PNG of class indices, and its class names beside it as `.json`.

        Up to 256 classes give a coloured palette PNG, more a 16-bit grey one.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path}: label maps are saved as .png; use {path.with_suffix('.png')}")
        write_label_map(Item(Path(path.stem), self), path)
        return path
