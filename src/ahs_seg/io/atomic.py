"""Atomic writing of files and directories: a reader sees either the old or the new content, never a part of it.

The content is written to a temporary file or directory beside the target, which is then renamed. Renaming is atomic on
a local disk and on NFS; object stores are not supported.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, TypeVar

import numpy as np
from jaxtyping import UInt8

from ahs_seg.errors import AhsSegError
from ahs_seg.io.drafts import CANNOT, FILE_ENDING, claimed_draft, draft_prefix, take_place
from ahs_seg.io.png import encode_png

T = TypeVar("T")
_ATTEMPTS: Final = 20


def _mask_of_process() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_MASK: Final = _mask_of_process()
"""The umask of the process, read once at import: reading it means setting it, which is not safe with threads."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically, once its content is on the disk; missing folders are created."""
    with replacing_file(path) as draft:
        draft.write(content)


def write_text(path: Path, text: str) -> None:
    """Replace a UTF-8 text file atomically; parts of file names that UTF-8 cannot hold are escaped as in JSON."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_png(path: Path, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Replace a PNG file atomically."""
    write_bytes(path, encode_png(pixels))


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """An open temporary file that replaces `path` when the block ends, and is deleted if the block raises."""
    with replacing_path(path) as draft, draft.open("wb") as file:
        yield file


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """The path of an empty temporary file, for libraries that open files themselves; see `replacing_file`."""
    with unsynced_path(path) as draft:
        yield draft
        sync(draft)


@contextmanager
def unsynced_path(path: Path) -> Iterator[Path]:
    """As `replacing_path`, but without `fsync`: for many files, after which the caller calls `sync` once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=draft_prefix(path), suffix=FILE_ENDING, delete=False
    ) as reserved:
        draft = Path(reserved.name)
    try:
        yield draft
        _let_read(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_directory(target: Path) -> Iterator[Path]:
    """A temporary directory that replaces `target` when the block ends, and is deleted if the block raises.

    All of its files are on the disk before it takes the place of `target` (`io.drafts`), and can be read by whom the
    umask lets read. Drafts that killed processes have left are removed first. A link is followed.

    Raises:
        NotADirectoryError: a file is at `target`.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file, and a directory is to be written there", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    with claimed_draft(target) as draft:
        yield draft
        for path in (*draft.rglob("*"), draft):
            _let_read(path)
            sync(path)
        take_place(draft, target)
        sync(target.parent)


def _let_read(draft: Path) -> None:
    """Give a draft the permissions that the umask leaves to new files; network drives that know none may refuse."""
    with suppress(PermissionError):
        draft.chmod((0o777 if draft.is_dir() else 0o666) & ~_MASK)


def read_together(directory: Path, read: Callable[[], T]) -> T:
    """The result of `read`, which reads several files of a directory that may be replaced as a whole meanwhile.

    If it was, all of them are read again: files of two states are never mixed.
    """
    for _ in range(_ATTEMPTS):
        before = _identity(directory)
        try:
            result = read()
        except (AhsSegError, OSError):
            if _identity(directory) == before:
                raise
        else:
            if _identity(directory) == before:
                return result
    return read()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sync(path: Path) -> None:
    """Wait until a file or directory is on the disk (`fsync`); directories only where the system can do it."""
    is_folder = path.is_dir()
    if os.name == "nt" and is_folder:
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_folder or error.errno not in CANNOT:
            raise
    finally:
        os.close(descriptor)
