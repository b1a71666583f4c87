"""Segmentation result: per-pixel labels and scores, with methods to inspect, draw, export and save them."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from PIL import Image

from ahs_seg.integrations.fiftyone import to_segmentation_label
from ahs_seg.integrations.pandas import to_frame
from ahs_seg.integrations.supervision import to_detections
from ahs_seg.io.overwrite import check_output_file
from ahs_seg.output.calibration import Calibration, CalibrationError
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats import Format, coco_document, save_result
from ahs_seg.output.formats.base import ExportItem, foreground_classes
from ahs_seg.output.formats.overlay import note_of
from ahs_seg.output.formats.png import label_map_image
from ahs_seg.output.formats.polygons import Polygon, mask_to_polygons
from ahs_seg.output.html import to_html
from ahs_seg.output.legend import OverlayStyle, overlay_with_legend
from ahs_seg.output.palette import areas, by_area, overlay
from ahs_seg.output.regions import regions_of, to_geojson, to_json
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary, VocabularyError

if TYPE_CHECKING:
    from supervision import Detections

logger = logging.getLogger(__name__)

_COLUMNS: Final = ("label", "index", "pixels", "share", "score", "left", "top", "right", "bottom")
_NAMED: Final = 5
"""Classes that `repr` names."""


class ClassNotFoundError(VocabularyError, KeyError):
    """A result has no class of this name."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Class label of every pixel of `image` (an index into `vocabulary`) and its score in [0, 1].

    Pixels with a confidence below `unknown_below` have the label -1 (`IGNORE`) and keep the score of their best class.
    `top_labels` and `top_scores` are the best classes of every pixel, best first (`top_k`), and `logits` the log-odds
    of every class, if requested. `source` is the file of the image, which `save` does not replace. `warnings` say why
    the labels may mean little: the model knows other images, or hardly tells these classes apart.

    As a mapping it holds the classes found, largest first: `len`, `in` and iteration are about these, and
    `result["sky"]` is the mask of a class, empty if no pixel has it.
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
    def names(self) -> dict[int, str]:
        """Class label of every index in `labels`."""
        return dict(enumerate(self.classes))

    def __repr__(self) -> str:
        """Size of the image, number of classes found, and the largest ones with their share of the image."""
        (height, width), found = self.labels.shape, self.areas()
        shares = [f"{label} {count / self.labels.size:.1%}" for label, count in list(found.items())[:_NAMED]]
        shares += ["..."] * (len(found) > _NAMED)
        shares += [f"unknown {self.unknown.mean():.1%}"] * bool(self.unknown.any())
        doubts = "".join(f"; doubtful: {warning}" for warning in self.warnings)
        known = f"{len(found)} of {len(self.classes)} classes: {', '.join(shares)}"
        return f"Segmentation({width}x{height} pixels, {known}{doubts})"

    def __len__(self) -> int:
        """Number of classes found in the image."""
        return len(by_area(self.labels))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the labels of the classes found, largest first."""
        return iter(self.areas())

    def __contains__(self, label: object) -> bool:
        """Whether a class was found in the image."""
        return label in self.areas()

    def __bool__(self) -> bool:
        """True, also for a result without any class."""
        return True

    def keys(self) -> KeysView[str]:
        """Labels of the classes found, largest first."""
        return self.areas().keys()

    def __getitem__(self, label: str) -> Bool[np.ndarray, "H W"]:
        """Binary mask of a class of the vocabulary; empty if the class was not found.

        Raises:
            ClassNotFoundError: the vocabulary has no such class.
        """
        if label not in self.classes:
            near = get_close_matches(str(label), self.classes, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"They are {', '.join(self.classes[:10])}."
            raise ClassNotFoundError(
                f"no class {label!r} among the {len(self.classes)} of this result; result.classes lists them. {hint}"
            )
        return self.labels == self.classes.index(label)

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
        colours = ClassColours(self.classes).for_image(self.labels)
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

    def to_coco(self, *, file_name: str | None = None) -> dict[str, Any]:
        """COCO document of this image: one RLE annotation for every class present, except background.

        Without `file_name`, the image is called as its file, or "image.png" where it comes from none.
        """
        name = file_name or ("image.png" if self.source is None else self.source.name)
        return coco_document(ExportItem(Path(name).with_suffix(""), self, Path(name)))

    def to_geojson(self, *, tolerance: float = 0.0, transform: Sequence[float | int] | None = None) -> dict[str, Any]:
        """GeoJSON FeatureCollection: a MultiPolygon for every class present except background, largest first.

        `tolerance` as in `to_polygons`. Coordinates are pixels, x to the right and y down; with the six numbers of an
        affine `transform` (rasterio's `dataset.transform`), those of the map.
        """
        return to_geojson(regions_of(self), self.to_polygons(tolerance=tolerance), transform)

    def to_json(self) -> str:
        """JSON text: size of the image, classes, and label, area, mean score and box of every class found."""
        return to_json(self, self.source)

    def to_dataframe(self) -> Any:
        """`pandas.DataFrame` with a row for every class found, largest first: area, mean score and box.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        rows = []
        for region in regions_of(self):
            values = (region.label, region.index, region.pixels, region.share, region.score)
            rows.append(dict(zip(_COLUMNS, (*values, *region.box), strict=True)))
        return to_frame(rows, _COLUMNS)

    def to_supervision(self) -> Detections:
        """`sv.Detections` with one entry for every class found except background, largest first.

        Raises:
            MissingPackageError: supervision is not installed.
        """
        wanted = set(foreground_classes(self))
        regions = [region for region in regions_of(self) if region.index in wanted]
        indices, scores = [region.index for region in regions], [region.score for region in regions]
        return to_detections(self.labels, indices, self.classes, scores, [region.box for region in regions])

    def to_fiftyone(self) -> Any:
        """`fo.Segmentation` whose mask holds the class index plus 1, and 0 for unknown pixels.

        Raises:
            MissingPackageError: FiftyOne is not installed.
        """
        return to_segmentation_label(self.labels, len(self.classes))

    def plot(self, *, strength: float = 0.6, names: bool = True, legend: bool = True) -> UInt8[np.ndarray, "_ _ 3"]:
        """RGB image of the overlay, with the `names` of the large regions on it and a `legend` of the classes found.

        Small images are enlarged for it. The legend of a result with `warnings` begins with "doubtful".
        """
        style = OverlayStyle.parse({"strength": strength, "names": names, "legend": legend}, source="plot")
        return overlay_with_legend(self.image, self.labels, self.classes, style=style, note=note_of(self.warnings))

    def to_pil(self, kind: Literal["overlay", "labels"] = "overlay") -> Image.Image:
        """PIL image of the overlay with its legend, or of the class indices (`labels`) with a palette."""
        return Image.fromarray(self.plot()) if kind == "overlay" else label_map_image(self)

    def show(self, *, names: bool = True, legend: bool = True) -> None:
        """Show the overlay that `plot` draws: below the cell in a notebook, else in the image viewer of the system."""
        drawn = Image.fromarray(self.plot(names=names, legend=legend))
        notebook = sys.modules.get("IPython")
        if notebook is not None and notebook.get_ipython() is not None:
            importlib.import_module("IPython.display").display(drawn)
            return
        from PIL import ImageShow  # it imports IPython where that is installed, which takes longer than NumPy

        if not ImageShow.show(drawn, "segmentation"):
            logger.warning(
                "there is no image viewer on this machine; write the overlay with result.save('overlay.jpg')"
            )

    def save(
        self,
        path: Path | str,
        format: Format | None = None,  # noqa: A002  # what it is called elsewhere
        *,
        names: bool = True,
        legend: bool = True,
    ) -> Path:
        """Path of the written file; its format is given by the file suffix or by `format`.

        `.png` is a label map of class indices with the class names in a `.classes.json` file beside it, `.jpg` and
        `.webp` are overlays, `.npz` arrays, `.tif` a GeoTIFF with the georeference of the image's file, `.json` COCO,
        `.txt` YOLO. `names` and `legend` say what an overlay shows, as for `plot`.

        Raises:
            FormatError: no format has this suffix, or `format` uses a different one.
            OverwriteError: the path is that of the image.
        """
        check_output_file(Path(path), [self.source])
        return save_result(self, Path(path), format, OverlayStyle(names=names, legend=legend), self.source)

    def _repr_html_(self) -> str:
        """HTML view of the result, shown by notebooks."""
        return to_html(self)
