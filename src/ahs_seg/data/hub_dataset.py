"""Datasets of the Hugging Face hub (`hf:owner/name`), read through the package `datasets` from its cache or its server.

Files of tables (parquet, arrow, csv, folders of images) are read; `datasets` since version 4 runs no code of a dataset,
and older versions are refused. Images are decoded by the readers of this package, with their limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from jaxtyping import Int32
from pydantic import Field, NonNegativeInt

from ahs_seg.data.base import Sample, value_of_no_class
from ahs_seg.data.class_choice import ClassChoice, ClassNames
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.io.digest import files_digest
from ahs_seg.io.extras import require_extra
from ahs_seg.io.hub import UNREACHABLE, HubName, fetch_if_present, page_of, reason
from ahs_seg.io.images import read_image, read_labels
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary

PREFIX: Final = "hf:"
"""Before the name of a dataset on the command line."""

_OLDEST: Final = 4
"""First major version of `datasets` without code of datasets."""
_MASKS: Final = ("annotation", "annotations", "label", "labels", "mask", "masks", "segmentation", "segmentation_mask")
_MASKS_TOO: Final = ("semantic_mask", "label_map", "seg_map", "semantic_seg", "gt")
_NAMES: Final = "id2label.json"
_MAX_VALUE: Final = 65_535


class HubDatasetError(AhsSegError, ValueError):
    """A dataset of the hub cannot be loaded or has other columns; the message says what is allowed."""


class HubDataset:
    """Dataset whose images and label maps are two columns of a table of the package `datasets`.

    `table` is a `datasets.Dataset`. `image` and `labels` are the names of its columns (None: the only columns with
    images, of which the label maps are called label, mask, annotation or alike). `names` are the names of the label
    values (None: those of the class list of `classes`, from `offset` on). Values below `offset` and the value `ignore`
    (None: 255, in 16-bit label maps 65535, unless one of these has a name) mean no class.

    Raises:
        HubDatasetError: the columns are not clear, or the classes have no names.
    """

    def __init__(
        self,
        table: Any,
        title: str,
        *,
        image: str | None = None,
        labels: str | None = None,
        names: tuple[str, ...] | None = None,
        classes: ClassChoice = ClassChoice(),  # noqa: B008  # frozen
        ignore: int | None = None,
        offset: int = 0,
    ) -> None:
        self.title = title
        self._image, self._column = _columns(table.features, image, labels, title)
        if names is None and classes.classes is None:
            raise HubDatasetError(
                f"{title}: has no {_NAMES}, so its label values have no names; give a class list, e.g. "
                "data.classes=classes.txt or data.classes=ade20k-150, and data.offset=1 if 0 means none."
            )
        self._known = names or tuple((classes.classes or Vocabulary(())).labels)
        self._vocabulary, self._labels_of = classes.apply(self._known, title)
        self._ignore, self._offset = ignore, offset
        undecoded = type(table.features[self._image])(decode=False)
        self._table = table.cast_column(self._image, undecoded).cast_column(self._column, undecoded)

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the dataset."""
        return self._vocabulary

    @property
    def name(self) -> str:
        """Name of this dataset in reports."""
        return self.title

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Sample:
        """Row `index` of the table.

        Raises:
            SampleError: image or label map is missing, damaged or invalid, or their sizes differ.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} does not exist; {self.title} has {len(self)}, numbered from 0")
        row, name = self._table[index], f"{self.title} row {index}"
        image = read_image(_content(row[self._image], name), name=name)
        labels = self._decoded(_content(row[self._column], name), f"{name}, {self._column}")
        if image.shape[:2] != labels.shape:
            (height, width), (label_height, label_width) = image.shape[:2], labels.shape
            raise SampleError(
                f"{name}: label map is {label_width}x{label_height}, its image {width}x{height}; sizes must agree."
            )
        return Sample(image, labels, f"row-{index:06d}")

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the files of row `index`, which are those of all rows."""
        row = f"row-{index:06d}"
        return files_digest((row, Path(file["filename"])) for file in self._table.cache_files)

    def _decoded(self, content: bytes | Path, name: str) -> Int32[np.ndarray, "H W"]:
        values = read_labels(content, name=name)
        ignored = value_of_no_class(values, len(self._known), first=self._offset, ignore=self._ignore)
        places = values.astype(np.int32) - self._offset
        places[values < self._offset] = IGNORE
        if ignored is not None:
            places[values == ignored] = IGNORE
        outside = np.unique(values[places >= len(self._known)])
        if len(outside):
            last = self._offset + len(self._known) - 1
            raise SampleError(
                f"{name}: label value {', '.join(map(str, outside[:8]))}; the names allow {self._offset}..{last}"
                + (f" and {ignored} (ignored)." if ignored is not None else ".")
            )
        return self._labels_of[places]  # IGNORE is -1: the last entry, that of unlabelled pixels


class HubData(DatasetConfig):
    """Config of a dataset of the hub, or of a folder of its files: `dataset` is `owner/name` or `owner/name@revision`.

    `subset` is the name of one of its configurations. The other values are those of `HubDataset`; the names of the
    label values are in `id2label.json` of the dataset, or in `classes`.
    """

    name: Literal["hf"] = "hf"
    dataset: str
    subset: str | None = None
    split: str = "train"
    image: str | None = None
    labels: str | None = None
    classes: ClassNames = None
    unlabelled: str | None = None
    ignore: NonNegativeInt | None = None
    offset: Annotated[int, Field(ge=0, le=_MAX_VALUE)] = 0

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return f"{PREFIX}{self.dataset.removeprefix(PREFIX)}/{self.split}"

    def open(self) -> HubDataset:
        """Dataset of the table, from the cache of `datasets` if it is there.

        Raises:
            MissingPackageError: the package `datasets` is not installed.
            HubDatasetError: the dataset cannot be loaded, needs code of its own, or its columns are not clear.
        """
        text = self.dataset.removeprefix(PREFIX)
        return HubDataset(
            _load(text, self.subset, self.split),
            self.title,
            image=self.image,
            labels=self.labels,
            names=_names(text),
            classes=ClassChoice.of(self.classes, self.unlabelled),
            ignore=self.ignore,
            offset=self.offset,
        )

    def places(self) -> list[Path]:
        """The folder that `dataset` names; for a dataset of the hub it does not exist."""
        return [Path(self.dataset.removeprefix(PREFIX))]


def _load(text: str, subset: str | None, split: str) -> Any:
    """The `datasets.Dataset` of a split."""
    require_extra("hf", f"{PREFIX}{text}", otherwise="save the images and label maps as a folder")
    import datasets

    if int(datasets.__version__.split(".")[0]) < _OLDEST:
        raise HubDatasetError(
            f"{PREFIX}{text}: datasets {datasets.__version__} may run code of a dataset; install datasets>={_OLDEST}."
        )
    name = None if Path(text).is_dir() else HubName.parse(text)
    if name is None and not Path(text).is_dir():
        raise HubDatasetError(f"{PREFIX}{text}: allowed are {PREFIX}owner/name, with @revision, and {PREFIX}FOLDER.")
    source, revision = (text, None) if name is None else (name.repository, name.revision)
    try:
        return datasets.load_dataset(source, subset, split=split, revision=revision)
    except (*UNREACHABLE, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise HubDatasetError(f"{PREFIX}{text}: split {split!r} cannot be loaded ({reason(error)}).") from None


def _names(text: str) -> tuple[str, ...] | None:
    """Names of the label values from `id2label.json` of a dataset; None: it has none."""
    name = None if Path(text).is_dir() else HubName.parse(text)
    path = Path(text) / _NAMES if name is None else _fetched(name)
    if path is None or not path.is_file():
        return None
    try:
        values = read_mapping(path)
    except (OSError, DocumentError) as error:
        raise HubDatasetError(f"{path}: cannot be read ({error}); give data.classes=classes.txt.") from None
    numbers = {int(key): name for key, name in values.items() if key.isdecimal() and len(key) < 6}
    if len(numbers) != len(values) or not numbers or not all(isinstance(name, str) for name in numbers.values()):
        raise HubDatasetError(f"{path}: allowed is a mapping of numbers to names; give data.classes=classes.txt.")
    return tuple(numbers.get(value, "void") for value in range(max(numbers) + 1))


def _fetched(name: HubName) -> Path | None:
    """`id2label.json` of a dataset of the hub; None: the dataset has none."""
    try:
        return fetch_if_present(name, _NAMES, kind="dataset")
    except UNREACHABLE as error:
        page = page_of(name.repository, kind="dataset")
        raise HubDatasetError(
            f"{PREFIX}{name}: it is not known whether it has names of its label values, since {_NAMES} could not be "
            f"downloaded ({reason(error, page)}). Try again, or load it once with network access."
        ) from None


def _columns(features: Any, image: str | None, labels: str | None, title: str) -> tuple[str, str]:
    """The columns of the images and of the label maps."""
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    masks = [name for name in found if name.casefold() in (*_MASKS, *_MASKS_TOO) and name != image]
    labels = labels or (masks[0] if len(masks) == 1 else None)
    images = [name for name in found if name != labels]
    image = image or (images[0] if len(images) == 1 else None)
    if image not in found or labels not in found or image == labels:
        raise HubDatasetError(
            f"{title}: its columns of images are {', '.join(found) or 'none'}; say which is which: data.image=COLUMN "
            "data.labels=COLUMN."
        )
    assert image is not None
    assert labels is not None
    return image, labels


def _content(value: object, name: str) -> bytes | Path:
    """The file of an image: its content, or its place on this machine."""
    content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, None)
    if isinstance(content, bytes):
        return content
    if isinstance(path, str) and Path(path).is_file():
        return Path(path)
    raise SampleError(f"{name}: has no image; its file is not on this machine.")
