"""Journal of a batch run: images already finished, recorded on disk so that a killed run can resume.

`OUT/.ahs-seg/run.json` identifies the run, `OUT/.ahs-seg/done-N.jsonl` has one line per image whose results are
complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ahs_seg.batch.jobs import Done
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import AhsSegError, RunEndedError
from ahs_seg.io.atomic import write_text
from ahs_seg.io.folder_lock import FOLDER, RUN
from ahs_seg.io.journal import ENDING, Journal, as_read, differing_keys, journals_in, read_records


class JournalError(AhsSegError, ValueError):
    """The output folder holds results of another run; the message says what differs and what to do."""


class BatchJournal:
    """Journal of the run that writes to `output`; `identity` holds all values that the results depend on.

    Keys in `unused` concern nothing that this run writes: they stay as an earlier run has them.

    Without `resume` the journal of an earlier run is deleted; its results are overwritten one by one. An earlier run
    with another identity is an error in both cases: its results and the new ones would lie side by side.

    Raises:
        JournalError: an earlier run has another identity.
    """

    def __init__(self, output: Path, identity: dict[str, Any], *, resume: bool, unused: Collection[str] = ()) -> None:
        self.folder = output / FOLDER
        found = self._found(output)
        identity = as_read(identity) | {key: found[key] for key in unused if key in found}
        if other := differing_keys(found, identity) if found else []:
            raise JournalError(
                f"{output}: holds results that were made with other {' and other '.join(other)}. Give another output "
                "folder, or delete this one to start anew."
            )
        if not resume:
            for path in journals_in(self.folder):
                path.unlink()
        write_text(self.folder / RUN, json.dumps(identity, ensure_ascii=False, indent=1) + "\n")
        self._place = (self.folder / RUN).stat()
        number = 1 + max((int(path.stem.partition("-")[2]) for path in journals_in(self.folder)), default=0)
        self._journal = Journal(self.folder / f"done-{number:04d}{ENDING}")

    def __iter__(self) -> Iterator[Done]:
        """Iterate over the finished images, each name once, with its latest record."""
        last = {record["name"]: place for place, record in enumerate(self._records())}
        for place, record in enumerate(self._records()):
            if last[record["name"]] == place:
                yield Done.of(record)

    def write(self, done: Done) -> None:
        """Append one image and flush it, so that it survives a crash of this process."""
        record = {"name": done.name, "path": done.path, "stamp": done.stamp, "size": done.size, "pixels": done.pixels}
        self._journal.append(record | ({"notes": done.notes} if done.notes else {}))

    def check_folder(self) -> None:
        """Check that the output folder is still the one in which this run has started.

        Raises:
            RunEndedError: it was removed or replaced; files written since then are not where earlier ones are.
        """
        try:
            same = os.path.samestat((self.folder / RUN).stat(), self._place)
        except OSError:
            same = False
        if not same:
            raise RunEndedError(
                f"{self.folder.parent}: the output folder was removed or replaced while the run was writing to it; its "
                "results are gone. Run it again."
            )

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _found(self, output: Path) -> dict[str, Any]:
        """The identity of an earlier run; empty: there is none."""
        path = self.folder / RUN
        try:
            return read_mapping(path) if path.exists() else {}
        except DocumentError as error:
            raise JournalError(f"{error}. Give another output folder, or delete {output}.") from None

    def _records(self) -> Iterator[dict[str, Any]]:
        for path in journals_in(self.folder):
            yield from read_records(path)
