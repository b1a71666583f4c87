"""Dataset of a folder of images and label maps, with a check that reports all problems at once.

```
root/classes.txt                    one class per line, synonyms separated by ", "; the first line is label 0
root/images/train/street_001.jpg    any image; the path below images/ may be nested, or flat without splits
root/annotations/train/street_001.png   8- or 16-bit label map of the same name
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int32, UInt

from ahs_seg.data.base import Sample, value_of_no_class
from ahs_seg.data.findings import findings_of
from ahs_seg.data.label_statistics import count_labels
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.io.digest import files_digest
from ahs_seg.io.failures import failure_of
from ahs_seg.io.image_files import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from ahs_seg.io.images import read_image, read_labels, read_size
from ahs_seg.io.reach import is_file
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.vocabulary import Vocabulary

LABEL_SUFFIXES: Final = frozenset([".png", ".tif", ".tiff", ".bmp", ".pgm"])
LOSSY_SUFFIXES: Final = frozenset([".jpg", ".jpeg", ".jpe", ".webp", ".avif"])
LISTED_FAULTS: Final = 50


class FolderError(AhsSegError, ValueError):
    """Error for an invalid dataset folder; `faults` has one line per problem, the message shows the first ones."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        lines = [message, *(f"  {fault}" for fault in faults[:LISTED_FAULTS])]
        if len(faults) > LISTED_FAULTS:
            lines.append(f"  ... and {len(faults) - LISTED_FAULTS} more")
        super().__init__("\n".join(lines))
        self.faults = tuple(faults)


class FolderDataset:
    """Dataset of the images of one split and their label maps, read from a folder.

    `split` names a subfolder of `images` and `annotations`; without it everything below `images` is read. Files whose
    name starts with a dot or has no image suffix are skipped. `classes` is a file in `root`, or a vocabulary. `ignore`
    is the label value of pixels without a class; by default 255 in 8-bit files and 65535 in 16-bit files, unless a
    class has this value. `offset` is the label value of the first class: smaller values mean "none", as 0 in ADE20K,
    whose classes begin with 1.

    Opening the dataset only lists files; `check` reads them all.

    Raises:
        FolderError: the folder or split does not exist, or contains no images.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        split: str | None = None,
        images: str = "images",
        annotations: str = "annotations",
        classes: str | Vocabulary = "classes.txt",
        ignore: int | None = None,
        offset: int = 0,
    ) -> None:
        self.root = Path(root)
        self.ignore = ignore
        self.offset = offset
        image_folder = _existing_folder(self.root, images, split)
        label_folder = _existing_folder(self.root, annotations, split)
        self._vocabulary = classes if isinstance(classes, Vocabulary) else Vocabulary.read(self.root / classes)
        self._images = list(_files(image_folder, IMAGE_SUFFIXES))
        if not self._images:
            raise FolderError(f"{image_folder}: no images; allowed endings are {', '.join(sorted(IMAGE_SUFFIXES))}.")
        self._names = [_key(path, image_folder) for path in self._images]
        self._image_folder, self._label_folder = image_folder, label_folder
        self._labels: dict[str, list[Path]] = {}
        for path in _files(label_folder, LABEL_SUFFIXES):
            self._labels.setdefault(_key(path, label_folder), []).append(path)

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the dataset; label k is line k of the class list."""
        return self._vocabulary

    @property
    def name(self) -> str:
        """Name of this dataset in reports."""
        return self.root.resolve().name

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, in the order of the file names.

        Raises:
            SampleError: the image or label map is missing, damaged or invalid, or their sizes differ.
        """
        image, labels = read_image(self._images[index]), self._read_labels(index)
        if problem := self.size_fault(index, image.shape[:2], labels.shape):
            raise SampleError(problem)
        return Sample(image, labels, self._names[index])

    def file_state(self, index: int) -> str:
        """Digest of name, sizes and times of change of the files of sample `index`."""
        name = self._names[index]
        return files_digest((name, path) for path in (self._images[index], *self._labels.get(name, [])))

    def check(self, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Read every file once, `workers` at a time, and raise one error that lists all problems.

        `progress` is called with the number of images read and the total number.

        Raises:
            FolderError: there are missing label maps, different sizes, label values outside the class list, unreadable
                files, label maps without an image, or images that share a name.
        """
        if faults := self.faults(workers=workers, progress=progress):
            found = [*self._explanations(), *faults]
            kind = "fault" if len(found) == 1 else "faults"
            raise FolderError(f"{self.root}: {len(found)} {kind} in {len(self)} images:", found)

    def faults(
        self, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> tuple[str, ...]:
        """The problems that `check` lists, one message each, after reading every file."""
        found = list(self.layout_faults())
        with ThreadPoolExecutor(workers) as pool:
            for done, faults in enumerate(pool.map(self._faults_of, range(len(self))), start=1):
                found += faults
                if progress is not None:
                    progress(done, len(self))
        return tuple(found)

    def tell_layout(self) -> None:
        """Say how many files do not fit together or are not read, and the first of them, if there are any."""
        if found := list(self.layout_faults()):
            notice(f"{self._image_folder}: {len(found):,} problems of the folder, the first: {found[0]}")

    def _explanations(self) -> list[str]:
        """What the label maps have in common that explains faults of many single files."""
        found = findings_of(count_labels(self, str(self.root)))
        return [str(one) for one in found if one.level == "error" and one.code not in ("unusable", "no-name")]

    def _faults_of(self, index: int) -> list[str]:
        faults, image, labels = [], None, None
        try:
            image = read_image(self._images[index])
        except Exception as error:  # noqa: BLE001  # a fault of this file, see `io.failures`
            faults.append(str(failure_of(error, self._images[index])))
        try:
            labels = self._read_labels(index)
        except Exception as error:  # noqa: BLE001  # as above
            faults.append(str(failure_of(error, f"label map of {self._images[index]}")))
        if (
            image is not None
            and labels is not None
            and (problem := self.size_fault(index, image.shape[:2], labels.shape))
        ):
            faults.append(problem)
        return faults

    def layout_faults(self) -> Iterator[str]:
        """Files that do not fit together or are not read, one message each."""
        for path in _files(self._image_folder, frozenset(UNREAD_SUFFIXES)):
            advice = UNREAD_SUFFIXES[path.suffix.lower()]
            yield f"{path}: {path.suffix} is not read; {advice}, or move it elsewhere."
        if lossy := list(self._lossy_labels().values()):
            yield (
                f"{lossy[0]}: one of {len(lossy)} label maps in a lossy format, whose compression changes the labels; "
                f"allowed are {', '.join(sorted(LABEL_SUFFIXES))}. Export them again as PNG; converting these files "
                "keeps the damage."
            )
        images = Counter(self._names)
        for path, name in zip(self._images, self._names, strict=True):
            if images[name] > 1:
                yield f"{path}: {images[name]} images are called {name}; each needs a name of its own."
        for name, paths in self._labels.items():
            if name not in images:
                yield from (f"{path}: label map without an image of that name." for path in paths)

    def _lossy_labels(self) -> dict[str, Path]:
        """Label maps in a lossy format by the names of images that have no other one."""
        if self._label_folder == self._image_folder:
            return {}
        known = set(self._names) - self._labels.keys()
        files = [(_key(path, self._label_folder), path) for path in _files(self._label_folder, LOSSY_SUFFIXES)]
        return {name: path for name, path in files if name in known}

    def _label_path(self, index: int) -> Path:
        name = self._names[index]
        paths = self._labels.get(name, [])
        if len(paths) == 1:
            return paths[0]
        expected = self._label_folder / f"{name}.png"
        problem = f"{len(paths)} label maps of that name, keep one" if paths else f"no label map; expected {expected}"
        raise SampleError(f"{self._images[index]}: {problem}.")

    def stored_labels(self, index: int) -> UInt[np.ndarray, "H W"]:
        """Label values of sample `index` exactly as stored.

        Raises:
            SampleError: the label map is missing or damaged.
        """
        return read_labels(self._label_path(index))

    @property
    def first_value(self) -> int | None:
        """Stored value of the first class."""
        return self.offset

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of image `index`, from the header of its file.

        Raises:
            ImageError: the file is missing, of an unknown format, or its header is damaged.
        """
        return read_size(self._images[index])

    def class_labels(self, values: UInt[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
        """Class indices of stored values, `IGNORE` without a class; an index may exceed the class list."""
        labels = values.astype(np.int32) - self.offset
        labels[values < self.offset] = IGNORE
        if (ignored := self._ignored(values)) is not None:
            labels[values == ignored] = IGNORE
        return labels

    def _ignored(self, values: UInt[np.ndarray, "H W"]) -> int | None:
        return value_of_no_class(values, len(self.vocabulary), first=self.offset, ignore=self.ignore)

    def _read_labels(self, index: int) -> Int32[np.ndarray, "H W"]:
        path, values = self._label_path(index), self.stored_labels(index)
        labels = self.class_labels(values)
        outside = np.unique(values[labels >= len(self.vocabulary)])
        if len(outside):
            sixteen_bit = values.dtype.itemsize == 2
            shown = ", ".join(map(str, outside[:8])) + (", ..." if len(outside) > 8 else "")
            first, last = self.offset, self.offset + len(self.vocabulary) - 1
            none = f"0..{first - 1} (none), " * (first > 1) + "0 (none), " * (first == 1)
            ignored = self._ignored(values)
            allowed = f"{none}{first}..{last}" + (f" and {ignored} (ignored)" if ignored is not None else "")
            hint = " Give ignore=255 if that means no class." if sixteen_bit and 255 in outside else ""
            raise SampleError(f"{path}: label value {shown}; the class list allows {allowed}.{hint}")
        return labels

    def size_fault(self, index: int, size: tuple[int, int], label_size: tuple[int, ...]) -> str | None:
        """Message that the (height, width) of image `index` is not that of its label map; None: it is."""
        (height, width), (label_height, label_width) = size, label_size
        if (height, width) == (label_height, label_width):
            return None
        turned = (height, width) == (label_width, label_height)
        return (
            f"{self._label_path(index)}: label map is {label_width}x{label_height}, its image {width}x{height}; "
            "sizes must agree." + turned * " One is rotated: was the image labelled without its EXIF rotation?"
        )


def _existing_folder(root: Path, name: str, split: str | None) -> Path:
    for folder in (root, root / name, *([root / name / split] if split else [])):
        if not folder.is_dir():
            there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
            beside = f" Folders beside it: {', '.join(there)}." if there else ""
            raise FolderError(f"{folder}: no such folder; expected are root/{name}/[split].{beside}")
    return root / name / split if split else root / name


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in suffixes and not hidden and is_file(path, unknown=True):
            yield path


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
