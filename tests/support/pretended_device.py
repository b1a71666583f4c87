"""A device that is not there: tensors that say they are on it, hold their values in the memory of the CPU, and tell.

What a GPU forbids is an error here, on any machine: an operation on tensors of two devices. What a GPU allows and pays
for is recorded with its line: an operation that waits for the device because the CPU needs a value (`.item()`,
`nonzero`, `bool(tensor)`, indexing by a mask), and a copy from or to the CPU. All values are those of the CPU, so that
the result of a whole run can be compared. Autocast follows the lists of CUDA (`torch.amp`).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from tests.support.pretended_backend import ATEN, MODULE, NAME, device, mapped

Module = TypeVar("Module", bound=nn.Module)

WAITS = {
    ATEN._local_scalar_dense.default: "value",
    ATEN.nonzero.default: "nonzero",
    ATEN.masked_select.default: "masked_select",
    ATEN._unique2.default: "unique",
    ATEN.unique_dim.default: "unique",
    ATEN.unique_consecutive.default: "unique",
    ATEN.equal.default: "equal",
    ATEN.bincount.default: "bincount",
    ATEN.repeat_interleave.Tensor: "repeat_interleave",
}
"""Operations that wait on a GPU, since the CPU must know a value or a size that the device computes."""


class OnDevice(Tensor):
    """A tensor that says it is on the pretended device; `held` has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as PyTorch's own wrappers

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=device(),
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # the stub has no names
        """The shape only: to show values, a device must be waited for."""
        return f"OnDevice({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return dispatch(func, args, kwargs or {})


@dataclass(frozen=True)
class Event:
    """A wait or a copy: what happened, and in which function of the package."""

    what: str
    place: str


@dataclass
class Watch:
    """The events since recording began."""

    events: list[Event] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Record an event, with the innermost function of the package that is running."""
        frame: Any = sys._getframe(1)
        while frame is not None and "/ahs_seg/" not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is None:
            self.events.append(Event(what, "outside of the package"))
            return
        module = frame.f_code.co_filename.split("/ahs_seg/")[-1].removesuffix(".py")
        self.events.append(Event(what, f"{module}:{frame.f_code.co_qualname}:{frame.f_lineno}"))

    @property
    def places(self) -> set[tuple[str, str]]:
        """What happened in which function, without line numbers."""
        return {(one.what, one.place.rpartition(":")[0]) for one in self.events}


_watches: list[Watch] = []


def _tell(what: str) -> None:
    for watch in _watches:
        watch.add(what)


class _Makes(TorchDispatchMode):
    """Tensors that are made on the pretended device, and copies to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


class _Reads(TorchFunctionMode):
    """Calls that reach no operation of PyTorch: constants that are made on the device, and values that are read."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == NAME:
            _tell("copy from the CPU")
            gradient = kwargs.pop("requires_grad", False)
            return OnDevice(func(*args, **kwargs | {"device": "cpu"})).requires_grad_(gradient)
        if func is Tensor.tolist and isinstance(args[0], OnDevice):
            _tell("copy to the CPU")
            return back(args[0]).tolist()
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], OnDevice):
            return func(args[0], _with_tensors(args[1]), *args[2:])
        return func(*args, **kwargs)


def _with_tensors(index: Any) -> Any:
    """An index with its lists as tensors on the CPU, from where they are copied."""
    if isinstance(index, tuple):
        return tuple(_with_tensors(one) for one in index)
    return torch.tensor(index) if isinstance(index, list) else index


@contextmanager
def pretended() -> Iterator[Watch]:
    """Within it the device exists; gives what is recorded."""
    device()
    watch = Watch()
    _watches.append(watch)
    MODULE.available = True
    try:
        # One thread: the threads of other devices start with the first backward, perhaps before this device is there.
        with _Reads(), _Makes(), torch.autograd.set_multithreading_enabled(False):
            yield watch
    finally:
        _watches.remove(watch)
        MODULE.available = bool(_watches)


def dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the values that its tensors hold; the result is on the device that it would be on."""
    if func.overloadpacket is ATEN.to:  # arrives in inference mode only; elsewhere as the copy that it makes
        func, args, kwargs = _as_copy(func, args, kwargs)
        if not kwargs:
            return args[0]
    tensors: list[Tensor] = []
    _collect((args, tuple(kwargs.values())), tensors)
    inside = [value for value in tensors if isinstance(value, OnDevice)]
    target = kwargs.get("device")
    there = target is not None and torch.device(target).type == NAME
    if not inside and not there:
        return func(*args, **kwargs)
    if func in (ATEN._to_copy.default, ATEN.copy_.default):
        there = _copying(func, args, kwargs, inside, to_device=there)
    else:
        _check_devices(func, args, tensors, inside)
        there = there or target is None
    _tell_waits(func, args)
    held = mapped(args, OnDevice, _held)
    named = mapped(kwargs, OnDevice, _held) | ({"device": "cpu"} if there and target is not None else {})
    out = func(*held, **named)
    if not there:
        return out
    with torch.inference_mode(mode=False):  # a view of a weight is none of the tensors of inference mode
        wrapped = mapped(out, Tensor, OnDevice)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if inside and _aliases(func) else wrapped


def _collect(value: Any, into: list[Tensor]) -> None:
    """The tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        into.append(value)
    elif isinstance(value, tuple | list):
        for one in value:
            _collect(one, into)


def _held(value: OnDevice) -> Tensor:
    return value.held


def _as_copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The copy that `Tensor.to` makes; without keywords if it makes none."""
    given = {one.name: value for one, value in zip(func._schema.arguments, args, strict=False)} | kwargs
    source, other = given.pop("self"), given.pop("other", None)
    dtype = given.get("dtype") or (source if other is None else other).dtype
    place = torch.device(given.get("device") or (source if other is None else other).device)
    if dtype == source.dtype and place.type == source.device.type and not given.get("copy"):
        return ATEN._to_copy.default, (source,), {}
    wanted = {"dtype": dtype, "device": place, "non_blocking": bool(given.get("non_blocking"))}
    return ATEN._to_copy.default, (source,), wanted


@functools.cache
def _aliases(func: Any) -> bool:
    """Whether a result may share its memory with an argument."""
    return any(one.alias_info is not None for one in (*func._schema.arguments, *func._schema.returns))


def _copying(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], inside: list[OnDevice], *, to_device: bool
) -> bool:
    """Whether the result of a copy is on the device; a copy for which the CPU waits is recorded."""
    if func is ATEN.copy_.default:
        into, source = isinstance(args[0], OnDevice), isinstance(args[1], OnDevice)
    else:
        source = bool(inside)
        into = to_device if kwargs.get("device") is not None else source
    goes_on = kwargs.get("non_blocking") or (func is ATEN.copy_.default and len(args) > 2 and args[2])
    if source and not into:
        _tell("copy to the CPU")
    if into and not source and not goes_on:
        _tell("copy from the CPU")
    return into


def _check_devices(func: Any, args: tuple[Any, ...], tensors: list[Tensor], inside: list[OnDevice]) -> None:
    """As CUDA does: tensors on the CPU must be single values, or indices."""
    foreign = [value for value in tensors if not isinstance(value, OnDevice) and value.ndim]
    if not inside or not foreign:
        return
    if func in (ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default) and isinstance(args[0], OnDevice):
        indices = {id(value) for value in args[1] if value is not None}
        if all(id(value) in indices for value in foreign):
            _tell("copy from the CPU")
            return
    places = ", ".join(f"{value.device.type} {tuple(value.shape)}" for value in tensors)
    raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found {places}")


def _tell_waits(func: Any, args: tuple[Any, ...]) -> None:
    if func in WAITS:
        _tell(WAITS[func])
    elif func in (ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default):
        by_mask = any(value is not None and value.dtype == torch.bool for value in args[1])
        filled = func is not ATEN.index.Tensor and args[2].numel() == 1
        if by_mask and not filled:
            _tell("index by a mask")


def onto_device(value: Tensor) -> Tensor:
    """The tensor on the pretended device, as a leaf; for inputs, not recorded."""
    return OnDevice(value.detach().clone())


def module_onto_device(module: Module) -> Module:
    """The same module, its parameters and buffers moved to the pretended device."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = nn.Parameter(onto_device(value), requires_grad=value.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else onto_device(buffer)
    return module


def back(value: Tensor) -> Tensor:
    """The values of a tensor on the pretended device."""
    plain = value.detach()
    return plain.held if isinstance(plain, OnDevice) else plain
