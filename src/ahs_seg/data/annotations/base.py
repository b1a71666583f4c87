"""Images in a folder with the labels of one file of a labelling tool: what its reader gives, and the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Int32

from ahs_seg.data.base import Sample
from ahs_seg.data.class_choice import ClassChoice
from ahs_seg.data.folder import FolderError
from ahs_seg.data.prepare.safe_names import name_problem
from ahs_seg.errors import SampleError
from ahs_seg.io.digest import files_digest
from ahs_seg.io.failures import failure_of
from ahs_seg.io.images import read_image
from ahs_seg.io.rle import shortened
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.vocabulary import Vocabulary

_SHOWN: Final = 5

MaskReader: TypeAlias = Callable[[tuple[int, int]], Bool[np.ndarray, "H W"]]
"""Decodes the mask of a shape for an image of (height, width); raises `SampleError` if the file does not fit it."""
LabelReader: TypeAlias = Callable[[tuple[int, int]], Int32[np.ndarray, "H W"]]
"""Decodes the labels of an image of (height, width): indices of `LabelSource.classes`, `IGNORE` where there is none."""


class AnnotationError(FolderError):
    """Error for a file of labels that cannot be used; `faults` has one line per problem, as in `FolderError`."""


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of a file of labels: its relative path, its labels (None: it has none), and what is wrong with it.

    `size` is the (height, width) that the file states; `fault` says why the image cannot be used, "" if it can.
    """

    name: str
    labels: LabelReader | None = None
    size: tuple[int, int] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LabelSource:
    """A file of labels that was read: the classes as its tool names them, and the images with their labels.

    `files` are all files of labels.
    """

    classes: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """One labelled shape of an image: the index of its class in `LabelSource.classes`, and its mask."""

    label: int
    mask: MaskReader


def labels_of(shapes: Sequence[Shape]) -> LabelReader | None:
    """Reader of the labels of an image with these shapes, of which later ones lie on top; None: there is no shape."""
    return partial(_painted, tuple(shapes)) if shapes else None


def _painted(shapes: tuple[Shape, ...], size: tuple[int, int]) -> Int32[np.ndarray, "H W"]:
    labels = np.full(size, IGNORE, np.int32)
    for shape in shapes:
        labels[shape.mask(size)] = shape.label
    return labels


class AnnotatedDataset:
    """Dataset of the images of a file of labels that lie in a folder.

    An image is found by its path in the file below `images`, or by that path without its first folders. `classes`
    chooses the classes (`ClassChoice`). Images that cannot be used (missing, listed twice, outside of the folder,
    with a class that the file does not define) are left out, and so are images without any label, unless pixels
    without a label have a class; a message says how many and why. `check` names them all and reads every file.

    Raises:
        AnnotationError: no image can be used.
    """

    def __init__(self, source: LabelSource, images: Path | str, *, title: str, classes: ClassChoice) -> None:
        if not source.images:
            raise AnnotationError(f"{title}: holds no annotated image. Annotate some, and export again.")
        self.title = title
        self._folder = Path(images)
        self._label_state = files_digest((path.name, path) for path in source.files)
        self._vocabulary, self._table = classes.apply(source.classes, title)
        counts = Counter(image.name for image in source.images)
        found = [(image, *self._find(image, counts[image.name])) for image in source.images]
        places = Counter(path for _, path, _ in found if path is not None)
        usable: list[tuple[AnnotatedImage, Path]] = []
        self._faults: list[str] = []
        self._bare = 0
        for image, path, fault in found:
            if path is None:
                self._faults.append(fault)
            elif places[path] > 1:
                self._faults.append(f"{image.name}: {places[path]} entries lead to {path}; give the folder above it.")
            elif image.labels is None and classes.unlabelled is None:
                self._bare += 1
            else:
                usable.append((image, path))
        self._usable = sorted(usable, key=lambda pair: pair[0].name)
        if not self._usable:
            raise AnnotationError(f"{title}: none of its {len(source.images)} images can be used.{self._summary()}")
        if self._faults or self._bare:
            notice(f"{title}: {len(self._usable)} of {len(source.images)} images can be used.{self._summary()}")

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the dataset."""
        return self._vocabulary

    @property
    def name(self) -> str:
        """Name of this dataset in reports."""
        return self.title

    def __len__(self) -> int:
        return len(self._usable)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, in the order of the file names.

        Raises:
            SampleError: the image or its labels are damaged, or their sizes differ.
        """
        annotated, path = self._usable[index]
        image = read_image(path)
        height, width = image.shape[:2]
        try:
            _check_size(annotated.size, (height, width))
            labels = (annotated.labels or partial(_painted, ()))((height, width))
        except SampleError as error:
            raise SampleError(f"{annotated.name} in {self.title}: {error}") from None
        return Sample(image, self._table[labels], annotated.name)

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the image of sample `index`, and of all files of labels."""
        annotated, path = self._usable[index]
        return f"{files_digest([(annotated.name, path)])} {self._label_state}"

    def check(self, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Read every image and decode all labels, `workers` at a time, and raise one error that lists all problems.

        `progress` is called with the number of images read and the total number.

        Raises:
            AnnotationError: an image of the file cannot be used.
        """
        found = list(self._faults)
        with ThreadPoolExecutor(workers) as pool:
            for done, fault in enumerate(pool.map(self._fault_of, range(len(self))), start=1):
                found += [fault] if fault else []
                if progress is not None:
                    progress(done, len(self))
        if found:
            kind = "fault" if len(found) == 1 else "faults"
            total = len(self) + len(self._faults)
            raise AnnotationError(f"{self.title}: {len(found)} {kind} in {total} images:", found)

    def _fault_of(self, index: int) -> str:
        try:
            self[index]
        except Exception as error:  # noqa: BLE001  # a fault of this image, see `io.failures`
            return str(failure_of(error, self._usable[index][0].name))
        return ""

    def _find(self, image: AnnotatedImage, count: int) -> tuple[Path | None, str]:
        """The file of an image, or what is wrong with it."""
        name = image.name
        if image.fault:
            return None, f"{name or 'an image'}: {image.fault.removesuffix('.')}."
        if not name or name_problem(name):
            return None, f"{shortened(name)}: is no relative path in the folder of the images."
        if count > 1:
            return None, f"{name}: {count} entries have this name; keep one."
        for shorter in _shorter(name):
            if (path := self._folder / shorter).is_file():
                return path, ""
        return None, (
            f"{name}: no such image below {self._folder}. Give the folder of the images, data.images=FOLDER, or copy "
            "the file of labels into it."
        )

    def _summary(self) -> str:
        lines = [f"\n  {fault}" for fault in self._faults[:_SHOWN]]
        if len(self._faults) > _SHOWN:
            lines.append(f"\n  ... and {len(self._faults) - _SHOWN} more")
        if self._bare:
            lines.append(
                f"\n  {self._bare} without a label; data.unlabelled=background makes what is not labelled a class"
            )
        return "".join(lines)


def _check_size(stated: tuple[int, int] | None, size: tuple[int, int]) -> None:
    if stated is None or stated == size:
        return
    turned = stated == size[::-1]
    raise SampleError(
        f"its labels are for {stated[1]}x{stated[0]}, the image is {size[1]}x{size[0]}; sizes must agree."
        + turned * " One is rotated: was the image labelled without its EXIF rotation?"
    )


def _shorter(name: str) -> Iterator[str]:
    """A relative path, and what is left of it without its first folders."""
    parts = PurePosixPath(name).parts
    yield from ("/".join(parts[start:]) for start in range(len(parts)))
