"""Interface of output formats: an exporter writes the results of a run one by one, from any thread or process.

A run creates an exporter, calls `start` once, `add` for every image, and `finish` once:

- `add` may be called for different images from several threads, and from other processes that created the exporter with
  the same arguments (only one process calls `start` and `finish`).
- An interrupted run leaves no partially written file; `has` reports which results are complete, and a run started with
  `resume` continues from there.
- Formats with one file per run keep a small part per image (see `Parts`) and merge the parts in `finish`, so that
  memory does not grow with the number of images and the file does not depend on the processing order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int32, UInt8

from ahs_seg.errors import AhsSegError
from ahs_seg.io.overwrite import leads_outside
from ahs_seg.output.palette import by_area
from ahs_seg.vocabulary.vocabulary import Vocabulary

MOST_CLASSES: Final = 65_535
"""Classes of a label map of 16 bits; the value after the last one marks unknown pixels."""


class FormatError(AhsSegError, ValueError):
    """Error for a result that a format cannot store or an output folder of another run; the message says what to do."""


@runtime_checkable
class ExportResult(Protocol):
    """The fields of a `Segmentation` that output formats read; the label `IGNORE` marks unknown pixels."""

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """Input image."""

    @property
    def labels(self) -> Int32[np.ndarray, "H W"]:
        """Class index of every pixel, `IGNORE` where unknown."""

    @property
    def scores(self) -> Float[np.ndarray, "H W"]:
        """Score of the predicted class of every pixel, in [0, 1]."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary that the labels refer to."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the labels may mean little."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame of a video: the file name of the video, the number of the frame, from 0, and the file it comes from."""

    video: str
    index: int
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportItem:
    """One image of a run: its result, and the relative path (without suffix) of its output files, which may be a text.

    `source` is the file the image was read from, for formats that copy it, refer to it or use its georeference; `frame`
    says which frame of a video it is.
    """

    name: Path
    result: ExportResult
    source: Path | None = None
    frame: VideoFrame | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", Path(self.name))
        object.__setattr__(self, "source", None if self.source is None else Path(self.source))

    @property
    def file_name(self) -> str:
        """The own file name of the image or video, below the folders of `name`, for annotation files.

        Raises:
            FormatError: the file name is not valid UTF-8, which all annotation formats are.
        """
        own = f"{self.name.name}.png" if self.source is None else self.source.name
        name = self.name.with_name(own).as_posix() if self.frame is None else self.frame.video
        check_utf8(name)
        return name


def check_16_bits(vocabulary: Vocabulary) -> None:
    """Check that class indices fit into a label map of 16 bits, whose last value is that of unknown pixels.

    Raises:
        FormatError: they do not.
    """
    if len(vocabulary) > MOST_CLASSES:
        raise FormatError(
            f"{len(vocabulary):,} classes: a label map stores at most {MOST_CLASSES:,}. Give fewer classes, or choose "
            "the format npz or coco."
        )


def check_utf8(name: object) -> None:
    """Check that a file name is valid UTF-8, as the files of most formats and some libraries need it.

    Raises:
        FormatError: it is not.
    """
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise FormatError(
            f"{str(name)!r}: the file name is not valid UTF-8, which this format needs. Rename the file or its folder, "
            "or choose the format png."
        ) from None


def output_file(folder: Path, name: Path, suffix: str) -> Path:
    """Path of the file of an image, called `name` plus `suffix`, in a folder or below it.

    Raises:
        FormatError: the name leads outside of the folder.
    """
    if leads_outside(name):
        raise FormatError(
            f"an image called {str(name)!r}: its files would not lie below {folder}. Give a relative path without '..'."
        )
    return folder / name.with_name(name.name + suffix)


@runtime_checkable
class Exporter(Protocol):
    """Writer of one format during a run, created with the output folder and the vocabulary of the run."""

    def start(self, *, resume: bool = False) -> None:
        """Begin a run; the results of an earlier run are discarded unless `resume` is set.

        Raises:
            FormatError: the run to resume had other classes or settings.
        """

    def add(self, item: ExportItem) -> None:
        """Write one result, replacing an earlier one of the same name.

        Raises:
            FormatError: this format cannot store the result.
            OSError: the file cannot be written.
        """

    def has(self, name: Path) -> bool:
        """Whether the result of this name is completely written."""

    def finish(self) -> tuple[Path, ...]:
        """Files written for the run as a whole; empty for formats with one file per image."""


@runtime_checkable
class Forgetting(Protocol):
    """Exporter whose files of the run as a whole name every result that was added, until it is forgotten."""

    def forget(self, name: Path) -> None:
        """Remove the result of this name, if there is one: its image has another name now, or failed."""


@dataclass(frozen=True)
class SingleFiles:
    """Exporter with one file per image, called `NAME` plus `suffix`; `write` writes it atomically."""

    output: Path
    vocabulary: Vocabulary
    suffix: str
    write: Callable[[ExportItem, Path], None]

    def start(self, *, resume: bool = False) -> None:
        """Do nothing: images share no state, and files of an earlier run stay until they are overwritten."""

    def add(self, item: ExportItem) -> None:
        """Write the file of one image."""
        self.write(item, self.path(item.name))

    def has(self, name: Path) -> bool:
        """Whether the file of this image exists; files appear only when complete."""
        return self.path(name).exists()

    def finish(self) -> tuple[Path, ...]:
        """No files: this format has none for the run as a whole."""
        return ()

    def path(self, name: Path) -> Path:
        """Path of the output file of an image.

        Raises:
            FormatError: see `output_file`.
        """
        return output_file(self.output, name, self.suffix)


def foreground_classes(result: ExportResult) -> list[int]:
    """Classes present in a result, largest first, without background: those that annotation formats store."""
    return [label for label in by_area(result.labels) if label != result.vocabulary.background]
