"""What an output format is: how the results of a run are written, one by one, from any thread or process.

A run makes an exporter, calls `start` once, `add` for every picture, and `finish` once:

- `add` may be called for different pictures from several threads, and from other processes that made the same exporter
  with the same arguments (only one process calls `start` and `finish`).
- After a kill nothing is half written; `has` tells what is complete, and a run started with `resume` goes on there.
- Formats with one file for the run keep a small part per picture (see `Parts`) and join the parts in `finish`, so that
  memory does not grow with the number of pictures, and the file does not depend on the order of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int32, UInt8

from ahs_seg.errors import AhsSegError
from ahs_seg.output.palette import by_area
from ahs_seg.vocabulary.vocabulary import Vocabulary


class FormatError(AhsSegError, ValueError):
    """A result that a format cannot hold, or an output folder that belongs to another run; says what to do."""


@runtime_checkable
class ExportResult(Protocol):
    """What a format needs of a `Segmentation`. The label `IGNORE` marks pixels that are unknown."""

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture."""

    @property
    def labels(self) -> Int32[np.ndarray, "H W"]:
        """The class of every pixel."""

    @property
    def scores(self) -> Float[np.ndarray, "H W"]:
        """The score of that class, in [0, 1]."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes."""


@dataclass(frozen=True, slots=True)
class ExportItem:
    """One picture of a run: its result, and the path (relative, without suffix) that its outputs get.

    `source` is the file it was read from, for formats that name it or take its georeference.
    """

    name: Path
    result: ExportResult
    source: Path | None = None

    @property
    def file_name(self) -> str:
        """What annotation files call the picture: its name in the run with the suffix of its source."""
        suffix = self.source.suffix if self.source is not None else ".png"
        return f"{self.name.as_posix()}{suffix}"


@runtime_checkable
class Exporter(Protocol):
    """A format in a run; made with the folder of outputs and the vocabulary of the run."""

    def start(self, *, resume: bool = False) -> None:
        """Begin a run: what an earlier one left behind is forgotten, unless `resume`.

        Raises:
            FormatError: resuming a run that had other classes or settings.
        """

    def add(self, item: ExportItem) -> None:
        """Write one result; replaces an earlier one of the same name.

        Raises:
            FormatError: this format cannot hold it.
            OSError: the disk.
        """

    def has(self, name: Path) -> bool:
        """Whether the result of this name is complete."""

    def finish(self) -> tuple[Path, ...]:
        """Write what belongs to the run as a whole; the files written, none for formats of single files."""


@dataclass(frozen=True)
class SingleFiles:
    """A format with one file for every picture, `NAME` and `suffix`; `write` makes it in one step."""

    output: Path
    vocabulary: Vocabulary
    suffix: str
    write: Callable[[ExportItem, Path], None]

    def start(self, *, resume: bool = False) -> None:
        """Nothing is shared between pictures: files of an earlier run stay until they are written again."""

    def add(self, item: ExportItem) -> None:
        """Write the file of one picture."""
        self.write(item, self.path(item.name))

    def has(self, name: Path) -> bool:
        """A file appears when it is whole."""
        return self.path(name).exists()

    def finish(self) -> tuple[Path, ...]:
        """There is nothing else."""
        return ()

    def path(self, name: Path) -> Path:
        """The file of a picture."""
        return self.output / name.with_name(name.name + self.suffix)


def objects(result: ExportResult) -> list[int]:
    """The classes found, largest first, without background: what formats of annotations hold."""
    return [label for label in by_area(result.labels) if label != result.vocabulary.background]
