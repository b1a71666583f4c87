"""Journal of a batch run: images already finished, recorded on disk so that a killed run can resume.

`OUT/.ahs-seg/run.json` identifies the run, `OUT/.ahs-seg/done-N.jsonl` has one line per image whose results are
complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ahs_seg.batch.jobs import Done
from ahs_seg.errors import AhsSegError
from ahs_seg.io.atomic import write_text
from ahs_seg.io.journal import ENDING, Journal, as_read, differing_keys, journals_in, read_records

FOLDER: Final = ".ahs-seg"


class JournalError(AhsSegError, ValueError):
    """The output folder holds results of another run; the message says what differs and what to do."""


class BatchJournal:
    """Journal of the run that writes to `output`; `identity` holds all values that the results depend on.

    Without `resume` the journal of an earlier run is deleted; its results are overwritten one by one.

    Raises:
        JournalError: `resume` is on and the earlier run has another identity.
    """

    def __init__(self, output: Path, identity: dict[str, Any], *, resume: bool) -> None:
        self.folder = output / FOLDER
        identity = as_read(identity)
        if resume:
            self._check(output, identity)
        elif self.folder.exists():
            shutil.rmtree(self.folder)
        write_text(self.folder / "run.json", json.dumps(identity, ensure_ascii=False, indent=1) + "\n")
        number = 1 + max((int(path.stem.partition("-")[2]) for path in journals_in(self.folder)), default=0)
        self._journal = Journal(self.folder / f"done-{number:04d}{ENDING}")

    def __iter__(self) -> Iterator[Done]:
        """Iterate over the finished images, each name once, with its latest record."""
        last = {record["name"]: place for place, record in enumerate(self._records())}
        for place, record in enumerate(self._records()):
            if last[record["name"]] == place:
                pixels = {int(label): count for label, count in record["pixels"].items()}
                size, stamp = record["size"], record["stamp"]
                yield Done(record["name"], record["path"], (stamp[0], stamp[1]), (size[0], size[1]), pixels)

    def write(self, done: Done) -> None:
        """Append one image and flush it, so that it survives a crash of this process."""
        record = {"name": done.name, "path": done.path, "stamp": done.stamp, "size": done.size, "pixels": done.pixels}
        self._journal.append(record)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _check(self, output: Path, identity: dict[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        if other := differing_keys(found, identity):
            raise JournalError(
                f"{output}: holds results that were made with other {' and other '.join(other)}. Give another output "
                "folder, or leave out --resume to do everything anew."
            )

    def _records(self) -> Iterator[dict[str, Any]]:
        for path in journals_in(self.folder):
            yield from read_records(path)
