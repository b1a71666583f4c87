"""Append-only records on disk, from which an interrupted run resumes.

A journal is a file with one JSON value per line, written by one process. Several processes may write journals into the
same folder, and a resumed run may have any number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from ahs_seg.documents import DocumentError, parse_json

ENDING: Final = ".jsonl"
_ABSENT: Final = object()
_SHOWN_CHARACTERS: Final = 120


class Journal:
    """Appends records to a new file; the first record creates the file and writes `header` (if any) before itself."""

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
        """Close the file; nothing can be appended afterwards."""
        if self._file is not None:
            self._file.close()
            self._file = None


def journals_in(folder: Path) -> list[Path]:
    """Paths of the journals in a folder, sorted by name."""
    return sorted(folder.glob(f"*{ENDING}"))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The header (if any) and the records of a journal; incomplete and damaged lines are skipped."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                with suppress(DocumentError):
                    record = parse_json(line, source=str(path))
                    if isinstance(record, dict):
                        yield record


def as_read(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The values after writing them to JSON and reading them again, e.g. lists in place of tuples."""
    return json.loads(json.dumps(identity))


def differing_keys(found: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, or that only one of the two has with a value."""
    return [key for key in dict.fromkeys([*identity, *found]) if found.get(key) != identity.get(key)]


def changes(
    found: Mapping[str, Any], identity: Mapping[str, Any], *, free: Collection[str] = (), prefix: str = ""
) -> str:
    """One line per value that differs between two nested mappings, with its dotted key and both values.

    Keys in `free` may differ, at any depth.
    """
    lines = []
    for key in sorted({*found, *identity} - {*free}):
        was, now = (values.get(key, _ABSENT) for values in (found, identity))
        if isinstance(was, dict) and isinstance(now, dict):
            lines.append(changes(was, now, free=free, prefix=f"{prefix}{key}."))
        elif was != now:
            lines.append(f"  {prefix}{key}: was {_shown(was)}, now {_shown(now)}")
    return "\n".join(line for line in lines if line)


def _shown(value: object) -> str:
    text = "not there" if value is _ABSENT else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
