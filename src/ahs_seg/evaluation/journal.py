"""Journal of an evaluation: the pixel counts of every image, written at once, so that a killed run can resume.

It is a folder with one file per process: a header that identifies the evaluation, then one record per image. Images
that failed are not recorded: they are tried again.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.evaluation.report import EvaluationError
from ahs_seg.io.journal import ENDING, Journal, as_read, changes, journals_in, read_records
from ahs_seg.metrics import ImageCounts

_ADDED: Final = ("data",)
"""Values that journals of earlier versions lack; these are not refused for it."""


def journal_folder(root: Path, protocol: Protocol | str) -> Path:
    """Path of the journal folder of a protocol."""
    name = protocol.name if isinstance(protocol, Protocol) else protocol
    return root / re.sub(r"[^\w+]+", "-", name)


def recorded(
    folder: Path, indices: Collection[int] | None = None, *, state: Callable[[int], str] | None = None
) -> Iterator[tuple[int, ImageCounts]]:
    """The newest recorded counts by image index; `indices` restricts them (`None`: all images).

    With `state`, which gives the present state of the files of an image, counts of another one are left out.
    """
    left = None if indices is None else set(indices)
    seen: set[int] = set()
    for path in sorted(journals_in(folder), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        for record in islice(read_records(path), 1, None):
            index = record["index"]
            wanted = index not in seen and (left is None or index in left)
            if wanted and (state is None or record.get("state") in (None, state(index))):
                seen.add(index)
                yield index, ImageCounts(record["pairs"], record.get("boundary"))


class EvaluationJournal:
    """Journal of one evaluation; `identity` holds all values that the counts depend on.

    `state` gives the present state of the files of an image (`None`: there are no files); it is recorded with the
    counts, and counts of another state are not read.

    Raises:
        EvaluationError: the folder holds the journal of another evaluation.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, state: Callable[[int], str] | None = None) -> None:
        self.folder = folder
        self._state = state
        self.identity = as_read(identity)
        self._journal = Journal(folder / f"{uuid.uuid4().hex}{ENDING}", header=self.identity)
        for path in journals_in(folder):
            self._check(path)

    def read(self, indices: Collection[int]) -> Iterator[tuple[int, ImageCounts]]:
        """Recorded counts of the images in `indices`, each image once."""
        yield from recorded(self.folder, indices, state=self._state)

    def write(self, index: int, counts: ImageCounts) -> None:
        """Append the counts of one image and flush them, so that they survive a crash of this process."""
        record: dict[str, Any] = {"index": index, "pairs": counts.pairs}
        if counts.boundary is not None:
            record["boundary"] = counts.boundary
        if self._state is not None:
            record["state"] = self._state(index)
        self._journal.append(record)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _check(self, path: Path) -> None:
        found = next(read_records(path), None)
        if found is None:
            return
        found = {key: self.identity[key] for key in _ADDED if key in self.identity} | found
        if found != self.identity:
            raise EvaluationError(
                f"{self.folder}: holds another evaluation:\n{changes(found, self.identity)}\nGive another folder, or "
                "remove this one to begin anew."
            )
