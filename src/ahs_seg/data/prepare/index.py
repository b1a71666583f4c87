"""Index of a prepared dataset: size and checksum of every image, and the reasons for images that were left out.

The index is stored beside the label folder as `<folder>.index.json`, which the original loaders ignore.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from ahs_seg.data.catalog import DatasetSpec
from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.documents import parse_json
from ahs_seg.io.atomic import write_text

_FORMAT: Final = 1


class IndexEntry(NamedTuple):
    """Index entry of one image and its label map; file sizes are in bytes."""

    height: int
    width: int
    image_bytes: int
    label_bytes: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Index:
    """Index of all images of a dataset by name; `left_out` and `faulty` give the reason for each name they contain."""

    dataset: str
    files: dict[str, IndexEntry]
    left_out: dict[str, str] = field(default_factory=dict)
    faulty: dict[str, str] = field(default_factory=dict)

    def write(self, spec: DatasetSpec, root: Path) -> Path:
        """Path of the written index; an existing one is replaced atomically."""
        path = index_path(spec, root)
        rows = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(self.files.items()))
        head = {
            "format": _FORMAT,
            "dataset": self.dataset,
            "images": spec.images,
            "labels": spec.labels,
            "count": len(self.files),
            "official_count": spec.count,
            "left_out": self.left_out,
            "faulty": self.faulty,
            "columns": [*IndexEntry._fields[:-1], "blake2b-128 of the label file"],
        }
        write_text(path, json.dumps(head, indent=1)[:-2] + f',\n "files": {{\n  {rows}\n }}\n}}\n')
        return path

    @classmethod
    def read(cls, spec: DatasetSpec, root: Path) -> Index | None:
        """Index of a dataset, `None` if it has none.

        Raises:
            PrepareError: the index is damaged or of another version.
        """
        path = index_path(spec, root)
        try:
            values = parse_json(path.read_text(encoding="utf-8"), source="the file")
            if values["format"] != _FORMAT:
                raise ValueError(f"format {values['format']}, this version reads {_FORMAT}")
            files = {name: _entry(row) for name, row in values["files"].items()}
            left_out, faulty = ({name: str(why) for name, why in values[key].items()} for key in ("left_out", "faulty"))
            return cls(str(values["dataset"]), files, left_out, faulty)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PrepareError(f"{path}: not an index ({error}). Remove it and prepare the dataset again.") from None


def _entry(row: Any) -> IndexEntry:
    entry = IndexEntry(*row)
    numbers = entry[:-1]
    if not isinstance(entry.checksum, str) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"a row of other values: {str(row)[:80]}")
    return entry


def index_path(spec: DatasetSpec, root: Path) -> Path:
    """Path of the index of a dataset."""
    folder = root / spec.labels
    return folder.with_name(f"{folder.name}.index.json")


def checksum(content: bytes) -> str:
    """BLAKE2b-128 hash of a file's content, as stored in the index."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
