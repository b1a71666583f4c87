"""One run at a time writes to an output folder: a lock of the operating system, which ends with its process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ahs_seg.documents import read_mapping
from ahs_seg.errors import AhsSegError
from ahs_seg.io.atomic import write_text
from ahs_seg.io.drafts import FILE_ENDING
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.io.reach import exists, is_file

FOLDER: Final = ".ahs-seg"
"""Subfolder of an output folder for the lock and journals."""
RUN: Final = "run.json"
"""File in it that identifies the run whose results an output folder holds."""
_LOCK: Final = "lock"
_HOLDER: Final = "holder.json"


class FolderInUseError(AhsSegError, OSError):
    """Another run is writing to the output folder; the message says which."""


def holds_results(folder: Path) -> bool:
    """Whether a folder holds results of a run over images (`batch.journal`), and no images to read."""
    return is_file(folder / FOLDER / RUN)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of an output folder, which is created if needed; a killed process holds it no longer.

    Yields whether the process that held it last was killed. Drafts of files that it has left there are removed.

    Raises:
        OverwriteError: there is a file of that name.
        FolderInUseError: another run holds it; the message names its process, machine and start.
    """
    place = folder / FOLDER
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OverwriteError(f"{folder}: is a file or lies below one. Give another output folder.") from None
    lock = FileLock(place / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUseError(
            f"{folder}: another run is writing there{_holder(place)}. Wait until it has ended, or give another output "
            "folder."
        ) from None
    killed = (place / _HOLDER).exists()  # a process that ends removes it
    try:
        _remove_drafts(folder)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        write_text(place / _HOLDER, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        yield killed
    finally:
        (place / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _remove_drafts(folder: Path) -> None:
    """Remove drafts of files in a folder whose lock is held, except below folders that have a lock of their own."""
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not exists(Path(root, name, FOLDER))]
        for name in names:
            if name.startswith(".") and name.endswith(FILE_ENDING):
                Path(root, name).unlink(missing_ok=True)


def _holder(place: Path) -> str:
    try:
        found = read_mapping(place / _HOLDER)
        return f" (process {int(found['pid'])} on {found['host']!r}, since {found['since']!s:.32})"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just started, or the file is damaged
        return ""
