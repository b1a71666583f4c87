"""Inputs that are no files: addresses (http, https) and standard input, fetched into a folder before a run."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ahs_seg.batch.sources import SUFFIXES, InputSource, MissingInputError
from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.http import is_url
from ahs_seg.io.images import ImageError
from ahs_seg.io.urls import MAX_BYTES, fetch

STDIN: Final = "-"
"""The input that stands for the bytes of standard input."""
_CHARACTERS, _BYTES = 100, 200
"""What is kept of a name, from its end: file systems take 255 bytes, and names of results are longer."""
_EARLIEST: Final = 315_532_800
"""1 January 1980 in seconds, the first day of FAT, which counts in steps of two."""
_SIGNS: Final = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"RIFF": ".webp",
}
"""First bytes of image files, for addresses whose name has no suffix."""


@contextmanager
def fetched(
    inputs: Sequence[str], stdin: Any = None
) -> Iterator[tuple[list[str | InputSource], list[tuple[str, str]]]]:
    """The inputs with a file in place of every address and of `-`, and the addresses that failed, with reasons.

    `stdin` is the binary stream that `-` stands for. The files are removed at the end of the context. Their time comes
    from their content: when a run is resumed, another image counts as changed, and the same one does not.

    Raises:
        MissingInputError: nothing comes from standard input, it is a terminal, or no input is left.
    """
    if not any(item == STDIN or is_url(item) for item in inputs):
        yield list(inputs), []
        return
    found: list[str | InputSource] = []
    failed: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="ahs-seg-") as folder:
        taken: set[str] = set()
        for item in dict.fromkeys(inputs):
            if item != STDIN and not is_url(item):
                found.append(item)
                continue
            try:
                content = _read(stdin) if item == STDIN else fetch(item)
            except ImageError as error:
                failed.append((item, str(error)))
                continue
            path = Path(folder) / _name(item, content, taken)
            write_bytes(path, content)
            os.utime(path, (_time_of(content),) * 2)
            found.append(InputSource(path, path.stem))
        if not found:
            raise MissingInputError("; ".join(reason for _, reason in failed))
        yield found, failed


def _read(stream: Any) -> bytes:
    if stream is None or stream.isatty():
        raise MissingInputError("the input - is standard input, and nothing is piped into it; e.g. cat a.jpg | ahs-seg")
    content: bytes = stream.read(MAX_BYTES + 1)
    if not content or len(content) > MAX_BYTES:
        size = f"more than {MAX_BYTES:,} bytes, which is the limit" if content else "no bytes"
        raise MissingInputError(f"standard input has {size}; pipe one image into the command, or give a file.")
    return content


def _time_of(content: bytes) -> int:
    """A time in seconds that tells contents apart: even and between 1980 and 2014, as any file system can store it."""
    return _EARLIEST + 2 * (int.from_bytes(hashlib.sha256(content).digest()[:4]) >> 3)


def _name(item: str, content: bytes, taken: set[str]) -> str:
    """A file name of its own for an input: that at the end of its address, with the suffix of its content.

    Names differ even if case is ignored, as some file systems do; `taken` has them in that form.
    """
    own = "stdin" if item == STDIN else unquote(urlsplit(item).path.rstrip("/").rpartition("/")[2])
    own = "".join(one if one.isalnum() or one in "._- " else "_" for one in own)[-_CHARACTERS:]
    own = own.encode()[-_BYTES:].decode(errors="ignore").lstrip(".") or "image"
    path = Path(own)
    suffix = path.suffix if path.suffix.lower() in SUFFIXES else ""
    stem = path.stem if suffix else own
    suffix = suffix or next((end for sign, end in _SIGNS.items() if content.startswith(sign)), "")
    names = (f"{stem}{'' if number == 1 else f'-{number}'}{suffix}" for number in range(1, len(taken) + 2))
    name = next(one for one in names if one.casefold() not in taken)
    taken.add(name.casefold())
    return name
