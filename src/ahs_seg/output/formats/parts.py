"""Formats with one file per run: a small part is written for every image, and the parts are merged at the end.

Each part is written atomically and belongs to one image, so that threads, processes and machines need no locks, and an
interrupted run continues with the parts it finds. Parts are merged in the order of their names and read one at a time.
They remain in `.parts` beside the outputs: a later run with `resume` adds to them. Delete the folder when you are done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, read_json, read_mapping
from ahs_seg.io.atomic import write_text
from ahs_seg.io.reach import exists
from ahs_seg.output.formats.base import ExportItem, FormatError, output_file
from ahs_seg.vocabulary.vocabulary import Vocabulary

FOLDER: Final = ".parts"
_RUN: Final = "run.json"

FilePart = dict[str, Any]
"""Data that a format stores for one image, as JSON."""


@dataclass(frozen=True)
class Parts:
    """Parts of a run in the order of their names; each iteration reads them from disk again."""

    folder: Path

    def __iter__(self) -> Iterator[FilePart]:
        for path in sorted(self.folder.rglob("*.json")):
            yield read_mapping(path, limit=MAX_LARGE_DOCUMENT_BYTES)  # a draft has another ending


@dataclass(frozen=True)
class MergedFileFormat:
    """Exporter that merges one part per image into the files of the run; `part` builds a part, `join` merges them."""

    output: Path
    vocabulary: Vocabulary
    name: str
    part: Callable[[ExportItem], FilePart]
    join: Callable[[Path, Vocabulary, Parts], tuple[Path, ...]]

    def start(self, *, resume: bool = False) -> None:
        """Delete the parts of an earlier run or, to resume it, check that it has the same classes."""
        folder = self.output / FOLDER / self.name
        words = [[entry.label, *entry.names] for entry in self.vocabulary.entries]
        if not resume and folder.exists():
            shutil.rmtree(folder)
        elif (folder / _RUN).exists() and read_json(folder / _RUN) != words:
            raise FormatError(
                f"{self.output} holds a {self.name} run with other classes; resume with the same classes, choose "
                "another folder, or start again without resume."
            )
        write_text(folder / _RUN, json.dumps(words, ensure_ascii=False))

    def add(self, item: ExportItem) -> None:
        """Write the part of one image."""
        write_text(self._path(item.name), json.dumps(self.part(item), ensure_ascii=False))

    def has(self, name: Path) -> bool:
        """Whether the part of this image exists; parts appear only when complete."""
        return self._path(name).exists()

    def forget(self, name: Path) -> None:
        """Remove the part of this image."""
        if exists(path := self._path(name)):  # not if the name is too long for a file
            path.unlink()

    def finish(self) -> tuple[Path, ...]:
        """Files of the run, merged from the parts."""
        return self.join(self.output, self.vocabulary, Parts(self._items))

    @property
    def _items(self) -> Path:
        return self.output / FOLDER / self.name / "items"

    def _path(self, name: Path) -> Path:
        return output_file(self._items, name, ".json")
