"""Atomic writing of files and directories: a reader sees either the old or the new content, never a part of it.

The content is written to a temporary file or directory beside the target, which is then renamed. Renaming is atomic on
a local disk and on NFS; object stores are not supported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def _mask_of_process() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_PREFIX_BYTES: Final = 200
"""A file name has at most 255 bytes on most file systems."""

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
    with replacing_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")


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
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_draft_prefix(path), delete=False) as reserved:
        draft = Path(reserved.name)
    try:
        yield draft
        draft.chmod(0o666 & ~_MASK)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_directory(target: Path) -> Iterator[Path]:
    """A temporary directory that replaces `target` when the block ends, and is deleted if the block raises.

    All of its files are on the disk before it is renamed to `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=_draft_prefix(target)))
    old = draft.with_name(f"{draft.name}.old")
    try:
        yield draft
        draft.chmod(0o777 & ~_MASK)
        for path in (*draft.rglob("*"), draft):
            sync(path)
        if target.exists():
            target.replace(old)
        draft.replace(target)
        sync(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.replace(target)
        for rest in (draft, old):
            shutil.rmtree(rest, ignore_errors=True)


def _draft_prefix(target: Path) -> str:
    """Start of the names of drafts of a target: a dot and its name, shortened so that the random rest fits."""
    return "." + os.fsdecode(os.fsencode(target.name)[:_PREFIX_BYTES]) + "."


def sync(path: Path) -> None:
    """Wait until a file or directory is on the disk (`fsync`); does nothing for directories on Windows."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
