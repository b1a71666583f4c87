"""Reading PyTorch's pickled checkpoints as data: tensors, numbers, strings and plain containers; no code is executed.

The only file that calls `torch.load`: with `weights_only=True`, PyTorch interprets the pickle itself, with a fixed list
of safe constructors, instead of Python's unpickler. A pickle that refers to anything else is rejected with its name.
"""

from __future__ import annotations

import io
import pickle  # only for its exception and a constant; nothing is unpickled
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError

from ahs_seg.errors import CheckpointError

DAMAGED: Final = (
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, StopIteration),
    *(RuntimeError, OSError, LookupError, TypeError, ValueError, AttributeError, AssertionError, OverflowError),
)
"""Exceptions that the readers of the formats raise on damaged files: none of them checks its input first."""

_LEGACY_MAGIC: Final = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)[2:]
_LEGACY_PICKLES: Final = 5
_SCANNED: Final = 2**26  # bytes; in the older format, the pickles precede the tensor values
_PLAIN: Final = ("torch._utils._rebuild_", "torch.storage.", "collections.OrderedDict", "torch.Size")


def read_pickle(path: Path) -> object:
    """The content of a file written by `torch.save`, in zip or older format; tensors of a zip file are memory-mapped.

    Raises:
        CheckpointError: the file refers to objects other than tensors and plain values (each is named), was not written
            by `torch.save`, or is truncated. Other damage raises any of the exceptions in `DAMAGED`.
    """
    zipped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        start = file.read(32)
    if start.startswith(b"PK") and not zipped:
        raise CheckpointError(f"{path} is truncated; copy or download it again.")
    if not zipped and _LEGACY_MAGIC not in start:
        names = _found(path)
        hint = f" It is a pickle that refers to {', '.join(names)}; it was not loaded." if names else ""
        raise CheckpointError(
            f"{path} was not written by torch.save, or is damaged.{hint} Give a .pth of detectron2, a .safetensors "
            "file, or an OpenAI CLIP archive."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, error)) from None


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    names = _found(path)
    if not names:
        return f"{path} is not a checkpoint of plain tensors: {str(error).rpartition('Check the doc')[0] or error}"
    return (
        f"{path} was rejected without running any of its code: it refers to {', '.join(names)}. A checkpoint may hold "
        "only tensors, numbers, strings and plain containers. If you trust its origin, save only the state dict in the "
        "original project: torch.save(model.state_dict(), 'weights.pth')."
    )


def _found(path: Path) -> list[str]:
    """Sorted global names in the pickles of a file, except those that every checkpoint needs; no pickle is loaded."""
    found: set[str] = set()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith("data.pkl"):
                    found.update(requested(archive.read(member)))
    else:
        with path.open("rb") as file:
            found.update(requested(file.read(_SCANNED)))
    return sorted(name for name in found if not name.startswith(_PLAIN) and not name.endswith("Storage"))


def requested(content: bytes) -> Iterator[str]:
    """Dotted names that the pickles at the start of `content` would import, found without loading them."""
    file = io.BytesIO(content)
    for _ in range(_LEGACY_PICKLES):
        texts: list[str] = []
        memory: dict[object, str] = {}
        try:
            for operation, argument, _ in pickletools.genops(file):
                parts: list[str] = []
                if operation.name in ("GLOBAL", "INST"):
                    parts = str(argument).split(" ")
                elif operation.name == "STACK_GLOBAL":
                    parts = texts[-2:]
                elif operation.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
                    memory[len(memory) if argument is None else argument] = texts[-1] if texts else ""
                elif operation.name in ("BINGET", "LONG_BINGET", "GET"):
                    texts.append(memory.get(argument, ""))
                elif isinstance(argument, str):
                    texts.append(argument)
                if len(parts) == 2 and all(word.isidentifier() for part in parts for word in part.split(".")):
                    yield ".".join(parts)
        except ValueError:
            return  # the end of the last pickle, or bytes that are not a pickle
