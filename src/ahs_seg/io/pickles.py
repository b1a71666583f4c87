"""Reading PyTorch's pickled checkpoints as data: tensors, numbers, strings and plain containers; no code is executed.

The only file that calls `torch.load`: with `weights_only=True`, PyTorch interprets the pickle itself, with a fixed list
of safe constructors, instead of Python's unpickler. Before that, the operations of the pickle are scanned: one that
refers to anything else is rejected with its name, and one that claims more than the limits below is not loaded.
"""

from __future__ import annotations

import pickle  # only for its exception and a constant; nothing is unpickled
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError

from ahs_seg.errors import CheckpointError
from ahs_seg.io.pickle_scan import PickleLimitError, check_pickles, requested

DAMAGED: Final = (
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, StopIteration),
    *(RuntimeError, OSError, LookupError, TypeError, ValueError, AttributeError, AssertionError, OverflowError),
)
"""Exceptions that the readers of the formats raise on damaged files: none of them checks its input first."""

MAX_PICKLE_BYTES: Final = 16 * 2**20
"""Most bytes of the pickle of a checkpoint, which describes its tensors; their values are stored beside it."""
MAX_OPERATIONS: Final = 1_000_000
"""Most operations and values of that pickle; the state dict of a large network has about 50,000."""
MAX_MEMBERS: Final = 100_000
"""Most files in the zip archive of a checkpoint, one for each tensor."""

_ZIP: Final = b"PK\x03\x04"
_LEGACY_MAGIC: Final = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)[2:]
_LEGACY_PICKLES: Final = 5
_PLAIN: Final = re.compile(
    r"torch\._utils\._rebuild_(tensor(_v[23])?|parameter(_with_state)?)|torch\.(storage\.)?\w+Storage"
    r"|collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.set|_codecs\.encode"
    r"|torch\.(Size|device|nn\.parameter\.Parameter|serialization\._get_layout)"
    r"|torch\.(q?u?int\d+(x\d)?|b?float\d\w*|complex\d+|bool)"
)
"""Names in the pickles of state dicts and of what training code stores beside them: none of them acts, none of them
takes memory for what it is told."""


def read_pickle(path: Path) -> object:
    """The content of a file written by `torch.save`, in zip or older format; tensors of a zip file are memory-mapped.

    Raises:
        CheckpointError: the file refers to objects other than tensors and plain values (each is named), was not written
            by `torch.save`, claims more than the limits allow, or is truncated. Other damage raises any of the
            exceptions in `DAMAGED`.
    """
    with path.open("rb") as file:
        start = file.read(32)
    zipped = start.startswith(_ZIP)
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is truncated; copy or download it again.")
    if not zipped and (_LEGACY_MAGIC not in start or tarfile.is_tarfile(path)):
        hint = f" It is a pickle that refers to {names}; it was not loaded." if (names := _foreign(path)) else ""
        raise CheckpointError(
            f"{path} was not written by torch.save, or is damaged.{hint} Give a .pth of detectron2, a .safetensors "
            "file, or an OpenAI CLIP archive."
        )
    if names := _foreign(path):
        raise CheckpointError(
            f"{path} was rejected without running any of its code: it refers to {names}. A checkpoint may hold only "
            "tensors, numbers, strings and plain containers. If you trust its origin, save only the state dict in the "
            "original project: torch.save(model.state_dict(), 'weights.pth')."
        )
    try:
        for content in _pickles(path):
            check_pickles(content, operations=MAX_OPERATIONS, pickles=1 if zipped else _LEGACY_PICKLES)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except PickleLimitError as error:
        raise CheckpointError(f"{path} {error}") from None
    except pickle.UnpicklingError as error:
        reason = str(error).rpartition("Check the doc")[0] or error
        raise CheckpointError(f"{path} is not a checkpoint of plain tensors: {reason}") from None


def read_member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The content of a file in a checkpoint's archive, of `limit` bytes at most; `check_archive` was called before.

    Raises:
        CheckpointError: it has more bytes.
    """
    if (size := archive.getinfo(name).file_size) > limit:
        raise CheckpointError(
            f"{path} was not loaded: its {name} has {size:,} bytes, allowed are {limit:,}. Save only the state dict."
        )
    return archive.read(name)


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Compare the sizes that the zip archive of a checkpoint states with the size of its file.

    Raises:
        CheckpointError: values are compressed, which `torch.save` never does, or there are more than the file has.
    """
    entries, size = archive.infolist(), path.stat().st_size
    values = [entry for entry in entries if not entry.filename.endswith((".py", ".debug_pkl"))]
    packed = next((one.filename for one in values if one.compress_type or one.file_size != one.compress_size), None)
    if packed is not None:
        raise CheckpointError(
            f"{path} was not loaded: {packed} in it is compressed, which torch.save does not do. Pack it "
            "again without compression."
        )
    if (claimed := sum(entry.file_size for entry in values)) > size or len(entries) > MAX_MEMBERS:
        raise CheckpointError(
            f"{path} was not loaded: its {len(entries):,} files claim {claimed:,} bytes, allowed are {MAX_MEMBERS:,} "
            f"files and the {size:,} bytes that it has. Copy or download it again."
        )
    if len({entry.filename.lower() for entry in entries}) < len(entries):
        raise CheckpointError(f"{path} was not loaded: it has two files of the same name. Copy or download it again.")


def _foreign(path: Path) -> str:
    """The global names in the pickles of a file that state dicts do not need, sorted; no pickle is loaded."""
    found = {
        name
        for content in _pickles(path)
        for name in requested(content, operations=MAX_OPERATIONS, pickles=_LEGACY_PICKLES)
    }
    return ", ".join(sorted(name for name in found if not _PLAIN.fullmatch(name)))


def _pickles(path: Path) -> list[bytes]:
    """The bytes of a file that hold its pickles: a file in the archive, or the start of the older format."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_archive(path, archive)
            names = [name for name in archive.namelist() if name.lower().endswith("data.pkl")]
            return [read_member(path, archive, name, MAX_PICKLE_BYTES) for name in names]
    with path.open("rb") as file:
        return [file.read(min(path.stat().st_size, MAX_PICKLE_BYTES))]  # `read` asks for memory first
