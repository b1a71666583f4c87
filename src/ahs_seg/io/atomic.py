"""Writing files so that a reader sees the old or the new content, never half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file in one step, after its content has reached the disk; missing folders are made."""
    with replacing_file(path) as draft:
        draft.write(content)


def _mask_of_process() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_MASK: Final = _mask_of_process()
"""Read once: it can only be read by setting it, which threads that write at the same time must not do."""


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """A draft that takes the place of the file when the block ends well, and vanishes otherwise."""
    with replacing_path(path) as draft, draft.open("wb") as file:
        yield file


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """The path of an empty draft, for libraries that open files themselves; otherwise as `replacing_file`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as reserved:
        draft = Path(reserved.name)
    try:
        yield draft
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        draft.chmod(0o666 & ~_MASK)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace a utf-8 text file in one step."""
    write_bytes(path, text.encode())


def write_png(path: Path, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
    """Replace a PNG file in one step."""
    with replacing_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")
