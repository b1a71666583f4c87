"""Weights of files: names, shapes and types first, values only when all of them fit; nothing is executed.

Every weight of a network comes from the file, and every weight of the file goes into the network: anything else is an
error that names the keys.

Values are read straight into the network, one tensor after the other, and the file is never mapped into memory: a
mapped file that another program overwrites or shortens would change the weights of a running model, or end it. So the
peak of loading is the size of the weights, and what happens to the file later has no effect.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ahs_seg.errors import CheckpointError

MAX_HEADER_BYTES: Final = 16 * 2**20
"""Size of the header of a safetensors file, which lists its tensors."""
_TYPES: Final = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_INTEGERS: Final = {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}
_ALL_TYPES: Final = {**_TYPES, **_INTEGERS, "BOOL": torch.bool}
_LISTED: Final = 20


@runtime_checkable
class HasShape(Protocol):
    """A tensor, or the description of one."""

    @property
    def shape(self) -> torch.Size:
        """The size of every axis."""


@runtime_checkable
class HasType(Protocol):
    """A tensor, or the description of one."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of every value."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: shape and type, and its values when they are asked for."""

    shape: torch.Size
    dtype: torch.dtype
    read: Callable[[], Tensor]
    fill: Callable[[Tensor], None] | None = None
    """Reads the values into a tensor of this shape and type in the memory of the CPU; None: there is no shorter way."""

    def into(self, target: Shaped[Tensor, "*b"]) -> None:
        """Set all values of `target`, a tensor of this shape on any device, in its own type."""
        plain = target.device.type == "cpu" and target.dtype == self.dtype and target.is_contiguous()
        if self.fill is not None and plain:
            self.fill(target)
            return
        with torch.no_grad():
            target.copy_(self.read())


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file by name, from its header alone.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, or has tensors of a type that no weights have.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(f"{path} is damaged (its header claims {length:,} bytes); copy or download it again.")
        state = _state(file)
        try:
            with safe_open(path, "numpy"):  # checks the header, and that the file has all that it claims
                header: dict[str, Any] = json.loads(file.read(length))
        except (SafetensorError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged ({error}); copy or download it again.") from None
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        kind = entry["dtype"]
        if kind not in _ALL_TYPES:
            raise CheckpointError(f"{path}: {name} is of type {kind}; weights are floats of 16, 32 or 64 bits.")
        place = _Place(path, state, 8 + length + entry["data_offsets"][0])
        found[name] = _of_file(place, torch.Size(entry["shape"]), _ALL_TYPES[kind])
    return found


FileState: TypeAlias = tuple[int, int, int, int]
"""What changes when a file is replaced or written: device, number, size and time of the last change."""


def _state(file: BinaryIO) -> FileState:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class _Place:
    """Where the values of a tensor begin in a file of this state."""

    path: Path
    state: FileState
    start: int

    def fill(self, target: Tensor) -> None:
        """Read as many bytes as the tensor has.

        Raises:
            CheckpointError: the file is not the one any more whose header was read.
        """
        content = target.detach().reshape(-1).view(torch.uint8).numpy().data
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            done = 0
            while done < len(content) and (count := file.readinto(content[done:])):
                done += count
            if done < len(content) or _state(file) != self.state:
                raise CheckpointError(f"{self.path} was changed while it was read; do the same again.")


def _of_file(place: _Place, shape: torch.Size, dtype: torch.dtype) -> StoredTensor:
    def read() -> Tensor:
        place.fill(values := torch.empty(shape, dtype=dtype, device="cpu"))
        return values

    return StoredTensor(shape, dtype, read, place.fill)


def in_memory(tensors: Mapping[str, Tensor]) -> dict[str, StoredTensor]:
    """The same for tensors that are already there."""
    return {name: StoredTensor(value.shape, value.dtype, partial(_same, value)) for name, value in tensors.items()}


def _same(tensor: Tensor) -> Tensor:
    return tensor


def differences(
    found: Mapping[str, HasShape], expected: Mapping[str, HasShape], origins: Mapping[str, str] | None = None
) -> str:
    """What differs between two state dicts in keys and shapes, in one line ("" if nothing does).

    `origins` are the original keys in the file, which the line adds.
    """
    had = {key: f" (in the file: {origin})" for key, origin in (origins or {}).items()}
    faults = []
    if missing := sorted(expected.keys() - found.keys()):
        faults.append(f"{len(missing)} missing: {listed(missing)}")
    if extra := sorted(found.keys() - expected.keys()):
        faults.append(f"{len(extra)} unexpected: {listed([key + had.get(key, '') for key in extra])}")
    shapes = [
        f"{key}{had.get(key, '')} is {tuple(found[key].shape)}, should be {tuple(expected[key].shape)}"
        for key in sorted(found.keys() & expected.keys())
        if found[key].shape != expected[key].shape
    ]
    if shapes:
        faults.append(f"{len(shapes)} with a different shape: {listed(shapes)}")
    return "; ".join(faults)


def check_types(
    found: Mapping[str, HasType],
    expected: Mapping[str, HasType],
    source: object,
    origins: Mapping[str, str] | None = None,
) -> None:
    """Check that a state dict has floats where the network has floats; `origins` are the keys in the file.

    Raises:
        CheckpointError: weights are integers where the network has floats, or the reverse; each is named.
    """
    other = [key for key in expected if expected[key].dtype.is_floating_point != found[key].dtype.is_floating_point]
    if other:
        kinds = [f"{(origins or {}).get(key, key)} ({str(found[key].dtype).removeprefix('torch.')})" for key in other]
        raise CheckpointError(
            f"{source}: {len(other)} weights are of another type than the network has: {listed(kinds)}. Quantised "
            "weights cannot be used; give the original ones."
        )


def check_finite(broken: Sequence[str], source: object) -> None:
    """Refuse a file of which these weights hold NaN or infinity, if there are any."""
    if broken:
        raise CheckpointError(
            f"{source}: {len(broken)} weights hold NaN or infinity: {listed(broken)}. The training that wrote them has "
            "diverged, or the file is damaged; give another one."
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    least, largest = tensor.aminmax()  # NaN if there is one; `isfinite` would need as much memory as the tensor
    return bool(least.isfinite()) and bool(largest.isfinite())


def fill(network: nn.Module, stored: Mapping[str, StoredTensor], source: object) -> None:
    """Set every weight of a network to that of a file whose keys and shapes `differences` has compared with it.

    Raises:
        CheckpointError: weights are integers where the network has floats, or are not finite; each is named.
    """
    own: dict[str, Any] = network.state_dict()
    check_types(stored, own, source)
    broken = []
    for key, value in own.items():
        stored[key].into(value)
        if not is_finite(value):
            broken.append(key)
    check_finite(broken, source)


def largest_index(names: Mapping[str, object], prefix: str) -> int:
    """The number of layers in a state dict: one more than the largest index after `prefix` in its keys."""
    numbers = {0}
    for name in names:
        if name.startswith(prefix):
            with suppress(ValueError):
                numbers.add(1 + int(name[len(prefix) :].partition(".")[0]))
    return max(numbers)


def listed(items: Sequence[str], limit: int = _LISTED) -> str:
    """The first items, and the number of all others."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")
