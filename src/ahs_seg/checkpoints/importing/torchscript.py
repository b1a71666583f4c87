"""Reading the weights of TorchScript archives, such as OpenAI's CLIP files, without running their code.

An archive has a pickle that describes objects, and one file with the values of each tensor. PyTorch's own loader
compiles the code in the archive and has no weights-only mode for it, so the pickle is read here, by an unpickler that
can create only tensors, lists, dictionaries and passive records.
"""

from __future__ import annotations

import pickle  # only for the restricted unpickler below
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from ahs_seg.errors import CheckpointError
from ahs_seg.io.pickle_scan import PickleLimitError, check_pickles
from ahs_seg.io.pickles import MAX_OPERATIONS, MAX_PICKLE_BYTES, check_archive, read_member

_STORAGES: Final = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LISTS: Final = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")


class _Record:
    """The attributes of an object in the archive, without its methods."""

    def __setstate__(self, state: dict[str, object]) -> None:
        self.attributes = dict(state)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every tensor of a TorchScript archive, by its dotted attribute name.

    Raises:
        CheckpointError: the archive refers to objects other than tensors and modules, the message names the first; or
            it claims more than the limits of `ahs_seg.io.pickles` allow. A damaged archive raises any of the exceptions
            in `DAMAGED`.
    """
    with zipfile.ZipFile(path) as archive:
        check_archive(path, archive)
        member = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
        root = _Reader(path, archive, member.removesuffix("data.pkl")).load()
    if not isinstance(root, _Record):
        raise CheckpointError(f"{path} holds a {type(root).__name__}, not a TorchScript module.")
    return dict(_tensors(root, ""))


class _Reader(pickle.Unpickler):  # a pickle has access only to what `find_class` returns
    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str) -> None:
        content = read_member(path, archive, f"{prefix}data.pkl", MAX_PICKLE_BYTES)
        try:
            check_pickles(content, operations=MAX_OPERATIONS)
        except PickleLimitError as error:
            raise CheckpointError(f"{path} {error}") from None
        super().__init__(BytesIO(content))
        self._path = path
        self._archive = archive
        self._prefix = prefix
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> object:
        """The safe replacement for a global name in the pickle; nothing is imported by name."""
        if module == "__torch__" or module.startswith("__torch__."):
            return type(name, (_Record,), {})  # a new class, so that the pickle cannot modify a shared one
        known: dict[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
            ("collections", "OrderedDict"): OrderedDict,
            **{("torch.jit._pickle", kind): list for kind in _LISTS},
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise CheckpointError(
            f"{self._path} was rejected without running any of its code: it refers to {module}.{name}. A CLIP archive "
            "needs only tensors and modules."
        )

    def persistent_load(self, pid: tuple[str, torch.dtype, str, str, int]) -> Tensor:
        """The storage of a tensor, read from its file in the archive; floats are converted to float32."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"unknown reference {pid!r}")
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._prefix}data/{key}"))
            if len(content) != count * dtype.itemsize:
                raise pickle.UnpicklingError(f"data/{key} has {len(content)} bytes, not {count * dtype.itemsize}")
            storage = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            self._storages[key] = storage.to(torch.float32) if dtype.is_floating_point else storage
        return self._storages[key]


def _rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _tensors(record: _Record, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in getattr(record, "attributes", {}).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Record):
            yield from _tensors(value, f"{prefix}{name}.")
