"""SHA-256 digests of files and weights, by which a resumed run, a journal or a cache detects changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

_STATE_DIGITS: Final = 12


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Hexadecimal digest of the content of a file; `kind` is the name of an algorithm of `hashlib`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def files_digest(files: Iterable[tuple[str, Path]]) -> str:
    """Short digest of names, sizes and times of change, which is quick for any amount of data.

    Files that cannot be reached count as such.
    """
    found = hashlib.sha256()
    for name, path in files:
        try:
            state = path.stat()
            told = f"{state.st_size}\0{state.st_mtime_ns}"
        except OSError:
            told = ""
        found.update(f"{name}\0{told}\0".encode(errors="surrogateescape"))
    return found.hexdigest()[:_STATE_DIGITS]


def weights_digest(labelled: Iterable[tuple[str, Tensor]], *, start: bytes = b"") -> str:
    """Hexadecimal SHA-256 of `start` followed by every label and the bytes of its tensor; the same on any device."""
    digest = hashlib.sha256(start)
    for label, tensor in labelled:
        digest.update(label.encode())
        digest.update(tensor_bytes(tensor).cpu().numpy().data)
    return digest.hexdigest()


def labelled(named: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Each tensor with a label made of its name, dtype and shape."""
    return ((f"{name} {tensor.dtype} {tuple(tensor.shape)}", tensor) for name, tensor in named)


def tensor_bytes(tensor: Shaped[Tensor, "*b"]) -> UInt8[Tensor, " n"]:
    """The values of a tensor as bytes, in row-major order."""
    return tensor.detach().contiguous().flatten().view(torch.uint8)
