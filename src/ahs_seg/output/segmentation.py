"""Segmentation result: per-pixel labels and scores, with methods to inspect, draw, export and save them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from ahs_seg.io.overwrite import check_output_file
from ahs_seg.output.calibration import Calibration, CalibrationError
from ahs_seg.output.formats import Format, coco_document, save_result
from ahs_seg.output.formats.base import ExportItem, foreground_classes
from ahs_seg.output.formats.polygons import Polygon, mask_to_polygons
from ahs_seg.output.html import to_html
from ahs_seg.output.palette import areas, by_area, colours_for, overlay
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Class label of every pixel of `image` (an index into `vocabulary`) and its score in [0, 1].

    Pixels with a confidence below `unknown_below` have the label -1 (`IGNORE`) and keep the score of their best class.
    `top_labels` and `top_scores` are the best classes of every pixel, best first (`top_k`), and `logits` the log-odds
    of every class, if requested. `source` is the file of the image, which `save` does not replace. `warnings` say why
    the labels may mean little: the model knows other images, or hardly tells these classes apart.
    """

    image: UInt8[np.ndarray, "H W 3"] = field(repr=False)
    labels: Int32[np.ndarray, "H W"] = field(repr=False)
    scores: Float[np.ndarray, "H W"] = field(repr=False)
    vocabulary: Vocabulary
    top_labels: Int32[np.ndarray, "k H W"] | None = field(default=None, repr=False)
    top_scores: Float[np.ndarray, "k H W"] | None = field(default=None, repr=False)
    logits: Float[np.ndarray, "t H W"] | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    source: Path | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def classes(self) -> list[str]:
        """Class labels of the vocabulary; `classes[labels[y, x]]` is the class of a pixel that is not unknown."""
        return self.vocabulary.labels

    @property
    def unknown(self) -> Bool[np.ndarray, "H W"]:
        """Mask of the unknown pixels: those without a class of sufficient confidence."""
        return self.labels == IGNORE

    @property
    def confidence(self) -> Float[np.ndarray, "H W"]:
        """Calibrated confidence of every pixel: the expected accuracy of pixels with the same score.

        Raises:
            CalibrationError: the model has no calibration.
        """
        if self.calibration is None:
            raise CalibrationError(
                "this model has no calibration, so the accuracy at a given score is not known; fit one with "
                "segmenter.calibrate(dataset), or use .scores"
            )
        return self.calibration(self.scores)

    def top(self, y: int, x: int) -> list[tuple[str, float]]:
        """Best classes of one pixel with their scores, best first; `top_k` sets their number."""
        if self.top_labels is None or self.top_scores is None:
            label = int(self.labels[y, x])
            return [] if label == IGNORE else [(self.classes[label], float(self.scores[y, x]))]
        pairs = zip(self.top_labels[:, y, x].tolist(), self.top_scores[:, y, x].tolist(), strict=True)
        return [(self.classes[label], score) for label, score in pairs]

    def areas(self) -> dict[str, int]:
        """Pixel count of every class present, largest first; unknown pixels are not counted."""
        return {self.classes[index]: count for index, count in areas(self.labels).items()}

    def masks(self) -> dict[str, Bool[np.ndarray, "H W"]]:
        """Binary mask of every class present, largest first."""
        return {self.classes[index]: self.labels == index for index in by_area(self.labels)}

    def overlay(self, *, strength: float = 0.6) -> UInt8[np.ndarray, "H W 3"]:
        """Input image overlaid with the class colours; unknown pixels are unchanged."""
        colours = colours_for(by_area(self.labels), len(self.vocabulary))
        return overlay(self.image, self.labels, colours, strength=strength)

    def to_polygons(self, *, tolerance: float = 0.0) -> dict[str, list[Polygon]]:
        """Polygons of every class present except background, largest class first.

        Vertices lie on pixel corners, and filling the polygons gives the masks exactly. With `tolerance` (in pixels)
        they have fewer vertices and deviate by at most that distance.
        """
        found = {
            index: mask_to_polygons(self.labels == index, tolerance=tolerance) for index in foreground_classes(self)
        }
        return {self.classes[index]: polygons for index, polygons in found.items()}

    def to_coco(self, *, file_name: str = "image.png") -> dict[str, Any]:
        """COCO document of this image: one RLE annotation for every class present, except background."""
        return coco_document(ExportItem(Path(file_name).with_suffix(""), self, Path(file_name)))

    def save(self, path: Path | str, format: Format | None = None) -> Path:  # noqa: A002  # what it is called elsewhere
        """Path of the written file; its format is given by the file suffix or by `format`.

        `.png` is a label map of class indices with the class names in a `.classes.json` file beside it, `.jpg` and
        `.webp` are overlays, `.npz` arrays, `.tif` a GeoTIFF, `.json` COCO, `.txt` YOLO.

        Raises:
            FormatError: no format has this suffix, or `format` uses a different one.
            OverwriteError: the path is that of the image.
        """
        check_output_file(Path(path), [self.source])
        return save_result(self, Path(path), format)

    def _repr_html_(self) -> str:
        """HTML view of the result, shown by notebooks."""
        return to_html(self)
