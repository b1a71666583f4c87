"""The devices of this machine, and the one that a name stands for."""

from __future__ import annotations

import re
from typing import Final

import torch

from ahs_seg.errors import AhsSegError

AUTO: Final = "auto"
_NAMES: Final = re.compile(r"auto|cpu|(cuda|mps|xpu)(:(0|[1-9][0-9]?))?")
_FORMS: Final = "auto, cpu, cuda, cuda:1 or 1 (one of several GPUs), mps and xpu"


class DeviceError(AhsSegError, ValueError):
    """No device has this name, or it is not in this machine; the message lists the devices that are."""


def find_device(name: torch.device | str | int = AUTO, *, rank: int = 0) -> torch.device:
    """The device of a name; "auto" is a CUDA GPU (for process `rank`, GPUs in turn) if there is one, else the CPU.

    A number is that of a CUDA GPU. Other devices (`mps`, `xpu`) lack some operations and are taken only by name.

    Raises:
        DeviceError: no device has this name, or it is not in this machine.
    """
    if isinstance(name, int) and not isinstance(name, bool) and name >= 0:
        name = f"cuda:{name}"
    check_device_name(name)
    if name == AUTO:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return torch.device("cuda", rank % count) if count else torch.device("cpu")
    device = torch.device(name)
    if (device.index or 0) < _count(device.type):
        return device
    raise DeviceError(f"device {str(name)!r} is not in this machine{_reason(device.type)}. {_present()}")


def check_device_name(name: torch.device | str | int) -> None:
    """Check the spelling of a name, for a device that may be in another machine.

    Raises:
        DeviceError: no device has this name.
    """
    if not _NAMES.fullmatch(str(name)):
        raise DeviceError(f"device {str(name)!r} is not known; allowed are {_FORMS}. {_present()}")


def _count(kind: str) -> int:
    if kind == "cpu":
        return 1
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    backend = torch.cuda if kind == "cuda" else torch.xpu
    return backend.device_count() if backend.is_available() else 0


def _present() -> str:
    found = ["cpu"]
    for kind in ("cuda", "xpu", "mps"):
        count = _count(kind)
        found += [kind] if count == 1 else [f"{kind}:{index}" for index in range(count)]
    return f"Here there is {', '.join(found)}; auto takes {find_device()}."


def _reason(kind: str) -> str:
    if kind == "cuda" and torch.version.cuda is None and torch.version.hip is None:
        return " (this PyTorch is built for CPUs only; https://pytorch.org has builds for GPUs)"
    return ""
