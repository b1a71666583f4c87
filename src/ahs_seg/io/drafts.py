"""Directories that are written beside the one they replace: locked while they are written, removed when no one does.

A draft is locked by its writer (`flock`); the lock ends with the process, however it ends. The next writer of the same
target removes drafts that nobody holds. Where directories cannot be locked (Windows, most network file systems) drafts
of killed runs stay.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_OLD: Final = ".old"
FILE_ENDING: Final = ".ahs-seg-draft"
"""End of the names of drafts of files: no other program or user gives it."""
FOLDER_ENDING: Final = ".ahs-seg-folder-draft"
"""End of the names of drafts of directories, which are removed with all they hold."""
_LONGEST_NAME: Final = 200
_HERE: Final = -100  # AT_FDCWD: paths are relative to the working directory
_SWAP: Final = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
CANNOT: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""Codes of `OSError` for what a file system cannot do at all."""


@contextmanager
def claimed_draft(target: Path) -> Iterator[Path]:
    """An empty directory beside `target`, held by this process and removed at the end; drafts of killed runs go."""
    _sweep(target)
    draft, lock = _claim(target)
    try:
        yield draft
    finally:
        for rest in (draft, _old(draft)):
            shutil.rmtree(rest, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def take_place(draft: Path, target: Path) -> None:
    """Put a draft in the place of `target`; a reader finds the old or the new directory at any moment.

    On file systems that cannot exchange two directories (Linux: `renameat2`, macOS: `renamex_np`) there is none for the
    moment between two renames; if the process is killed then, the next writer puts the old one back.
    """
    if not target.exists():
        draft.replace(target)
        return
    if _exchange(draft, target):
        return
    old = _old(draft)
    target.replace(old)
    try:
        draft.replace(target)
    except BaseException:
        old.replace(target)
        raise


def _old(draft: Path) -> Path:
    return draft.with_name(draft.name + _OLD)


def draft_prefix(target: Path) -> str:
    """Start of the names of drafts of a target: a dot and its name, shortened so that the random rest fits."""
    return "." + os.fsdecode(os.fsencode(target.name)[:_LONGEST_NAME]) + "."


def remove_file_drafts(target: Path) -> None:
    """Remove the drafts of a file that killed processes have left; no other process may be writing it."""
    for draft in target.parent.glob(f"{glob.escape(draft_prefix(target))}*{FILE_ENDING}"):
        draft.unlink(missing_ok=True)


def _claim(target: Path) -> tuple[Path, int | None]:
    while True:
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=draft_prefix(target), suffix=FOLDER_ENDING))
        lock = _lock(draft)
        if lock is None or draft.exists():  # a sweeping process may have removed it before it was locked
            return draft, lock
        os.close(lock)


def _sweep(target: Path) -> None:
    """Remove the drafts of killed runs, and put an old directory back that a killed run has moved away."""
    form = re.compile(re.escape(draft_prefix(target)) + "[a-z0-9_]{8}" + re.escape(FOLDER_ENDING))
    drafts = [path for path in target.parent.iterdir() if form.fullmatch(path.name.removesuffix(_OLD))]
    for path in sorted(drafts, key=lambda one: not one.name.endswith(_OLD)):
        draft = path.with_name(path.name.removesuffix(_OLD))
        if _held(draft if draft.exists() else path):
            continue
        if path != draft and not target.exists():
            with suppress(OSError):  # another process has put it back
                path.replace(target)
        shutil.rmtree(path, ignore_errors=True)


def _held(path: Path) -> bool:
    """Whether a process holds a draft, or may hold it: drafts of other users, and of some systems, cannot be locked."""
    if sys.platform == "win32":
        return True
    try:
        lock = _lock(path, fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except FileNotFoundError:
        return False
    if lock is None:
        return True
    os.close(lock)
    return False


def _lock(path: Path, flags: int = 0) -> int | None:
    """The descriptor of a locked directory; None where directories cannot be locked."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _exchange(one: Path, other: Path) -> bool:
    """Whether two directories have changed places in one step; False where the system cannot do it."""
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        failed = library.renamex_np(first, second, _SWAP)  # type: ignore[union-attr]  # it has the attribute
    elif hasattr(library, "renameat2"):
        failed = library.renameat2(_HERE, first, _HERE, second, _SWAP)  # type: ignore[union-attr]  # it has it
    else:
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
