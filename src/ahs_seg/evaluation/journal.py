"""The counts of every picture on disk as soon as they are known, so that a killed evaluation goes on where it was.

A folder of JSON-lines files, one per process that wrote: a first line that says which evaluation it is, then a line per
picture. Files are only ever appended to, by the process that made them; a line that was cut off is not read. So any
number of processes may have written and any other number may go on. Pictures that failed are not kept: they are tried
again.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TextIO

from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.evaluation.report import EvaluationError
from ahs_seg.metrics import ImageCounts


def journal_folder(root: Path, protocol: Protocol | str) -> Path:
    """Where the journal of a protocol lies."""
    name = protocol.name if isinstance(protocol, Protocol) else protocol
    return root / re.sub(r"[^\w+]+", "-", name)


def recorded(folder: Path, indices: Collection[int] | None = None) -> Iterator[tuple[int, ImageCounts]]:
    """What is known of these pictures (`None`: of all), each once."""
    left = None if indices is None else set(indices)
    seen: set[int] = set()
    for path in sorted(folder.glob("*.jsonl")):
        for line in _whole_lines(path, skip=1):
            record = json.loads(line)
            index = record["index"]
            if index not in seen and (left is None or index in left):
                seen.add(index)
                yield index, ImageCounts(record["pairs"], record.get("boundary"))


class EvaluationJournal:
    """The journal of one evaluation; `identity` is everything that the counts depend on.

    Raises:
        EvaluationError: the folder holds another evaluation.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.identity = json.loads(json.dumps(identity))
        self._file: TextIO | None = None
        for path in sorted(folder.glob("*.jsonl")):
            self._check(path)

    def read(self, indices: Collection[int]) -> Iterator[tuple[int, ImageCounts]]:
        """What is known of these pictures, each once."""
        yield from recorded(self.folder, indices)

    def write(self, index: int, counts: ImageCounts) -> None:
        """Keep a picture; once this returns, the end of the process does not lose it."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{uuid.uuid4().hex}.jsonl"
            self._file = (self.folder / name).open("x", encoding="utf-8", buffering=1)
            self._file.write(json.dumps(self.identity) + "\n")
        record: dict[str, Any] = {"index": index, "pairs": counts.pairs}
        if counts.boundary is not None:
            record["boundary"] = counts.boundary
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """End writing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _check(self, path: Path) -> None:
        header = next(_whole_lines(path), None)
        if header is None:
            return
        found = json.loads(header)
        if found != self.identity:
            keys = [key for key in self.identity if found.get(key) != self.identity[key]]
            raise EvaluationError(
                f"{self.folder}: holds another evaluation (different: {', '.join(keys)}). Give another folder, or "
                "remove this one to begin anew."
            )


def _whole_lines(path: Path, *, skip: int = 0) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file):
            if line.endswith("\n") and number >= skip:
                yield line
