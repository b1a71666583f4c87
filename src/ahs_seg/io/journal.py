"""Append-only records on disk, so that a run that was killed goes on where it was.

A journal is a file with one JSON value per line, written by one process. Any number of processes may have written
beside one another, and any number of others may go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

ENDING: Final = ".jsonl"


class Journal:
    """Appends records to a new file, which is made, behind a `header` if there is one, with the first of them."""

    def __init__(self, path: Path, *, header: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._header = header
        self._file: TextIO | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one record and flush it, so that it survives a crash of this process."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("x", encoding="utf-8", newline="\n")
            if self._header is not None:
                self._file.write(json.dumps(self._header) + "\n")
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """End writing."""
        if self._file is not None:
            self._file.close()
            self._file = None


def journals_in(folder: Path) -> list[Path]:
    """The journals in a folder, in the order of their names."""
    return sorted(folder.glob(f"*{ENDING}"))


def read_records(path: Path) -> Iterator[Any]:
    """The header, if any, and the records of a journal; a last line that was cut off is left out."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def as_read(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are when read from JSON again, e.g. lists for tuples."""
    return json.loads(json.dumps(identity))


def differing_keys(found: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """The keys of an identity of which another one holds other values."""
    return [key for key in identity if found.get(key) != identity[key]]
