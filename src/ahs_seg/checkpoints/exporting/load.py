"""Opens the graphs of a model directory in a runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.io.devices import AUTO, DeviceError, find_device
from ahs_seg.io.extras import Runtime
from ahs_seg.methods.base import Method

_TORCH: Final = "torch"


def place_of(runtime: Runtime, device: torch.device | str | int) -> torch.device:
    """The device of a model in a runtime: other runtimes than PyTorch compute on the CPU.

    Raises:
        DeviceError: this machine has no such device, or the runtime does not use it.
    """
    if runtime == _TORCH:
        return find_device(device)
    if str(device) not in (AUTO, "cpu"):
        raise DeviceError(f"device {str(device)!r} is not used by runtime={runtime!r}, only cpu; leave device out.")
    return torch.device("cpu")


def with_runtime(method: Method, source: Path | str, runtime: Runtime) -> Method:
    """The method of a model directory (or what `find_model` knows), computed by a runtime.

    Raises:
        ExportError: the runtime is not known, or the directory has no graphs for it, or those of another model.
        MissingPackageError: the runtime is not installed.
    """
    if runtime == _TORCH:
        return method
    from ahs_seg.checkpoints.exporting.manifest import read_manifest
    from ahs_seg.checkpoints.exporting.runtime_method import RuntimeMethod
    from ahs_seg.checkpoints.exporting.sessions import check_runtime, open_sessions

    kind = check_runtime(runtime)
    directory = find_model(source)
    manifest = read_manifest(directory, kind)
    sessions = open_sessions(directory / kind, manifest.graphs, runtime)
    return RuntimeMethod(method, sessions, manifest.fixed, name=runtime, weights=manifest.weights)
