"""Writing files and directories so that a reader sees the old or the new content, never half of it.

Everything is written to a draft beside its target and renamed. Renaming is atomic on a local disk and on NFS; object
stores are not supported.
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


_MASK: Final = _mask_of_process()
"""Read once: it can only be read by setting it, which threads that write at the same time must not do."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step, after its content has reached the disk; missing folders are made."""
    with replacing_file(path) as draft:
        draft.write(content)


def write_text(path: Path, text: str) -> None:
    """Replace a utf-8 text file in one step."""
    write_bytes(path, text.encode())


def write_png(path: Path, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Replace a PNG file in one step."""
    with replacing_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """An open draft that takes the place of the file when the block ends well, and vanishes otherwise."""
    with replacing_path(path) as draft, draft.open("wb") as file:
        yield file


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """The path of an empty draft, for libraries that open files themselves; otherwise as `replacing_file`."""
    with unsynced_path(path) as draft:
        yield draft
        sync(draft)


@contextmanager
def unsynced_path(path: Path) -> Iterator[Path]:
    """As `replacing_path`, without waiting for the disk: for many files, after which the caller waits once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as reserved:
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
    """A draft directory that takes the place of `target` when the block ends well, and vanishes otherwise.

    All of its files have reached the disk before it gets its name.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
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


def sync(path: Path) -> None:
    """Wait until a file or directory has reached the disk; Windows cannot do this for directories."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
