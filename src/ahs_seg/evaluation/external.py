"""Evaluation of predictions from other programs: a folder of label maps, or detectron2's `sem_seg_predictions.json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32

from ahs_seg.data.base import Sample, SegmentationDataset, value_of_no_class
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, DocumentError, read_json, read_mapping
from ahs_seg.errors import SampleError
from ahs_seg.evaluation.prediction_names import PredictionNames, last_part, without_ending
from ahs_seg.evaluation.report import EvaluationError, EvaluationReport
from ahs_seg.evaluation.run import evaluate_together
from ahs_seg.io.digest import files_digest
from ahs_seg.io.folder_lock import locked
from ahs_seg.io.images import read_labels, read_size
from ahs_seg.io.rle import RleError, decode_rle, shortened
from ahs_seg.metrics import Measures
from ahs_seg.types import IGNORE

SUFFIXES: Final = (".png", ".tif", ".tiff")


@runtime_checkable
class Predictions(Protocol):
    """Predicted label maps, looked up by image name."""

    @property
    def identity(self) -> Mapping[str, object]:
        """Values for JSON that tell these predictions from others; a journal belongs to them."""

    def read(self, name: str, size: tuple[int, int]) -> Int32[np.ndarray, "H W"]:
        """Label map of class indices for the image `name` of (height, width); `IGNORE` where no class was predicted.

        Raises:
            SampleError: there is no prediction for this image, it has another size, or it cannot be read.
        """


class PredictionFolder:
    """Predicted label maps of 8 or 16 bits in a folder and its subfolders, named like their images.

    The label map of the image `a.jpg` is `a.png` or `a.jpg.png`.
    `first` is the pixel value of the first class, `ignore` that of pixels without a class; by default the latter is 255
    in 8-bit and 65535 in 16-bit files, unless a class has this value.

    Raises:
        EvaluationError: no label maps, or several with the same name.
    """

    def __init__(self, folder: Path, classes: int, *, first: int = 0, ignore: int | None = None) -> None:
        self.classes, self.first, self.ignore = classes, first, ignore
        self._paths: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in self._paths:
                raise EvaluationError(f"{folder}: two label maps are called {name}; keep one.")
            self._paths[name] = path
        if not self._paths:
            raise EvaluationError(f"{folder}: no label maps; allowed endings are {', '.join(SUFFIXES)}.")
        self._folder = folder
        self._names = PredictionNames(
            self._paths, without_ending, remedy="Name each label map like the whole name of its image: a.jpg.png"
        )

    @property
    def identity(self) -> dict[str, object]:
        """The folder, a digest of the names, sizes and times of its files, and how their values are read."""
        files = files_digest(self._paths.items())
        return {"path": str(self._folder.resolve()), "files": files, "first": self.first, "ignore": self.ignore}

    def read(self, name: str, size: tuple[int, int]) -> Int32[np.ndarray, "H W"]:
        """Label map of class indices for the image `name` of (height, width).

        Raises:
            AmbiguousPredictionsError: several label maps could be that of this image, or one that of two images.
        """
        path = self._paths[self._names.find(name)]
        _check_size(name, read_size(path), size)
        values = read_labels(path)
        ignore = value_of_no_class(values, self.classes, first=self.first, ignore=self.ignore)
        labels = values.astype(np.int32) - self.first
        if ignore is not None:
            labels[values == ignore] = IGNORE
        outside = np.unique(values[(labels >= self.classes) | ((labels < 0) & (values != ignore))])
        if len(outside):
            shown = ", ".join(map(str, outside[:8]))
            raise SampleError(
                f"{path}: value {shown}; allowed are {self.first}..{self.first + self.classes - 1}"
                + (f" and {ignore} for no class." if ignore is not None else ".")
                + " Give the value of the first class as `first`, and the value for no class as `ignore`."
            )
        return labels


class PredictionFile:
    """Predictions in the JSON format of detectron2's `SemSegEvaluator`: one COCO RLE mask per image and class.

    Images are matched by `file_name`, in which the ending of an image may be missing: by its path, as far as both names
    have folders, else by its last part, which must be unique then. `categories` maps `category_id` to the class index
    (`None`: they are equal). Masks stay RLE-encoded in memory. Where masks overlap, the later one is used; pixels
    without a mask are `IGNORE`.

    Raises:
        EvaluationError: the file is not in this format, or a category is not a class.
    """

    def __init__(self, path: Path, classes: int, *, categories: Mapping[int, int] | None = None) -> None:
        try:
            entries = read_json(path, limit=MAX_LARGE_DOCUMENT_BYTES)
        except (OSError, DocumentError) as error:
            raise EvaluationError(str(error)) from None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise EvaluationError(f"{path}: not a list of masks, as detectron2 writes it (sem_seg_predictions.json).")
        self._masks: defaultdict[str, list[tuple[int, object]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            try:
                name, category, mask = entry["file_name"], entry["category_id"], entry["segmentation"]
            except KeyError as error:
                raise EvaluationError(f"{path}: entry {number} has no {error}.") from None
            known = isinstance(category, int) and not isinstance(category, bool)
            index = category if categories is None or not known else categories.get(category)
            if not known or not isinstance(index, int) or not 0 <= index < classes:
                allowed = f"0..{classes - 1}" if categories is None else "those of the table of categories"
                raise EvaluationError(
                    f"{path}: entry {number} has category_id {shortened(category)}; allowed are {allowed}."
                )
            self._masks[str(name)].append((index, mask))
        remedy = "Give the paths of the images below the folder of the dataset as file_name."
        self._names = PredictionNames(self._masks, last_part, remedy=remedy)
        table = None if categories is None else {str(category): index for category, index in categories.items()}
        self.identity: Final = {
            "path": str(path.resolve()),
            "files": files_digest([(path.name, path)]),
            "categories": table,
        }

    def read(self, name: str, size: tuple[int, int]) -> Int32[np.ndarray, "H W"]:
        """Label map of class indices for the image `name` of (height, width).

        Raises:
            AmbiguousPredictionsError: several files could be that of this image, or of two images.
        """
        masks = self._masks[self._names.find(name)]
        labels = np.full(size, IGNORE, np.int32)
        for index, code in masks:
            try:
                labels[decode_rle(code, size)] = index
            except RleError as error:
                raise SampleError(f"prediction for {name}: {error}") from None
        return labels


def _check_size(name: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if given != wanted:
        shown, expected = ("x".join(map(str, size[::-1])) for size in (given, wanted))
        raise SampleError(f"prediction for {name} is {shown}, its labels are {expected}; sizes must agree.")


def read_categories(path: Path) -> dict[int, int]:
    """Read the mapping of `category_id` to class index from a JSON file, e.g. `{"92": 80}`.

    Raises:
        EvaluationError: the file does not hold such a mapping.
    """
    try:
        return {int(key): int(value) for key, value in read_mapping(path).items()}
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise EvaluationError(f"{path}: not a JSON mapping of category_id to class index ({error}).") from None


def open_predictions(
    path: Path,
    classes: int,
    *,
    first: int = 0,
    ignore: int | None = None,
    categories: Mapping[int, int] | None = None,
) -> Predictions:
    """Open predictions in a folder or a JSON file; `classes` is the number of classes that they index.

    `first` and `ignore` are for a folder of label maps, `categories` is for a JSON file.

    Raises:
        EvaluationError: the predictions cannot be opened, or an option is for those of the other kind.
    """
    if path.is_dir():
        if categories is not None:
            raise EvaluationError(
                f"{path}: a folder of label maps, and --categories (`categories`) is for a JSON file. Leave it out; "
                "the value of the first class is --first (`first`)."
            )
        return PredictionFolder(path, classes, first=first, ignore=ignore)
    if path.is_file():
        if given := [name for name, value in (("first", first or None), ("ignore", ignore)) if value is not None]:
            options = " and ".join(f"--{name} (`{name}`)" for name in given)
            raise EvaluationError(
                f"{path}: a JSON file of masks, and {options} is for a folder of label maps. Leave it out; ids that "
                "are no class indices are mapped with --categories (`categories`)."
            )
        return PredictionFile(path, classes, categories=categories)
    raise EvaluationError(f"{path}: no such folder or file; give a folder of label maps or sem_seg_predictions.json.")


def score_predictions(
    predictions: Predictions,
    dataset: SegmentationDataset,
    *,
    method: str,
    name: str,
    seen: Collection[str] | None = None,
    measures: Measures | None = None,
    background: int | None = None,
    journal: Path | None = None,
    data: DatasetConfig | None = None,
    progress: bool = True,
) -> EvaluationReport:
    """Evaluate predictions made by another program; missing or unusable ones are reported and left out.

    The protocol of the report is "predictions made elsewhere", since it is unknown here. Predicted indices of
    `background` or above are counted as `background`: other programs predict single background classes where our
    vocabulary has one label for all of them. A `journal` belongs to these files, to how they are read
    and to `data`, the config of the dataset.

    Raises:
        EvaluationError: no image could be evaluated, or the journal belongs to another evaluation.
    """

    def answer(sample: Sample) -> Int32[np.ndarray, "H W"]:
        height, width = sample.labels.shape
        labels = predictions.read(sample.name, (height, width))
        _check_size(sample.name, labels.shape, sample.labels.shape)
        return labels if background is None else np.minimum(labels, np.int32(background))

    with locked(journal) if journal is not None else nullcontext():
        return evaluate_together(
            [("predictions made elsewhere", answer)],
            dataset,
            method=method,
            name=name,
            seen=seen,
            measures=measures,
            journal=journal,
            identity={**predictions.identity, "background": background} if journal is not None else "",
            data=data,
            progress=progress,
        )[0]
