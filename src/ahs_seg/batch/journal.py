"""What is done, on the disk as soon as it is, so that a run that was killed goes on where it was.

`OUT/.ahs-seg/run.json` says which run it is, `OUT/.ahs-seg/done-N.jsonl` has a line for every picture whose results
are whole. A line that was cut off is not read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from ahs_seg.batch.jobs import Done
from ahs_seg.errors import AhsSegError
from ahs_seg.io.atomic import write_text

FOLDER: Final = ".ahs-seg"


class JournalError(AhsSegError, ValueError):
    """An output folder that belongs to another run; says what differs and what to do."""


class BatchJournal:
    """The journal of the run that writes into `output`; `identity` is everything that its results depend on.

    Without `resume` what an earlier run noted is forgotten; its results are written over one by one.

    Raises:
        JournalError: resuming a run with another identity.
    """

    def __init__(self, output: Path, identity: dict[str, Any], *, resume: bool) -> None:
        self.folder = output / FOLDER
        identity = json.loads(json.dumps(identity))
        if resume:
            self._check(output, identity)
        elif self.folder.exists():
            shutil.rmtree(self.folder)
        write_text(self.folder / "run.json", json.dumps(identity, ensure_ascii=False, indent=1) + "\n")
        number = 1 + max((int(path.stem.partition("-")[2]) for path in self._parts()), default=0)
        self._file: TextIO = (self.folder / f"done-{number:04d}.jsonl").open("x", encoding="utf-8")

    def __iter__(self) -> Iterator[Done]:
        """All that is done, each name once, as it was done last."""
        last = {json.loads(line)["name"]: place for place, line in self._lines()}
        for place, line in self._lines():
            record = json.loads(line)
            if last[record["name"]] == place:
                pixels = {int(label): count for label, count in record["pixels"].items()}
                size, stamp = record["size"], record["stamp"]
                yield Done(record["name"], record["path"], (stamp[0], stamp[1]), (size[0], size[1]), pixels)

    def write(self, done: Done) -> None:
        """Note a picture; once this returns, the end of the process does not lose it."""
        record = {"name": done.name, "path": done.path, "stamp": done.stamp, "size": done.size, "pixels": done.pixels}
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """End writing."""
        self._file.close()

    def _check(self, output: Path, identity: dict[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        if other := [key for key in identity if found.get(key) != identity[key]]:
            raise JournalError(
                f"{output}: holds results that were made with other {' and other '.join(other)}. Give another output "
                "folder, or leave out --resume to do everything anew."
            )

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("done-*.jsonl"))

    def _lines(self) -> Iterator[tuple[tuple[int, int], str]]:
        for part, path in enumerate(self._parts()):
            with path.open(encoding="utf-8", newline="\n") as file:
                for number, line in enumerate(file):
                    if line.endswith("\n"):
                        yield (part, number), line
