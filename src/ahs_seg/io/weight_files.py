"""Weights of files: names, shapes and types first, values only when all of them fit; nothing is executed.

Every weight of a network comes from the file, and every weight of the file goes into the network: anything else is an
error that names the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import torch
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
    try:
        opened = safe_open(path, "pt")
        found = {}
        for name in opened.keys():  # noqa: SIM118  # not a dictionary
            part = opened.get_slice(name)
            kind = part.get_dtype()
            if kind not in _ALL_TYPES:
                raise CheckpointError(f"{path}: {name} is of type {kind}; weights are floats of 16, 32 or 64 bits.")
            read = partial(opened.get_tensor, name)
            found[name] = StoredTensor(torch.Size(part.get_shape()), _ALL_TYPES[kind], read)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy or download it again.") from None
    return found


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
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def fill(network: nn.Module, stored: Mapping[str, StoredTensor], source: object) -> None:
    """Set every weight of a network to that of a file whose keys and shapes `differences` has compared with it.

    Raises:
        CheckpointError: weights are integers where the network has floats, or are not finite; each is named.
    """
    own: dict[str, Any] = network.state_dict()
    check_types(stored, own, source)
    broken = []
    for key, value in own.items():
        tensor = stored[key].read()
        if not is_finite(tensor):
            broken.append(key)
        with torch.no_grad():
            value.copy_(tensor)
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
