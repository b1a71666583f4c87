"""The C++ compiler that `torch.compile` needs to compile for a CPU."""

from __future__ import annotations

import os
import shutil
from typing import Final

import torch

from ahs_seg.errors import AhsSegError

_NAMES: Final = ("g++", "clang++", "c++", "cl")


class CompilerError(AhsSegError, RuntimeError):
    """`torch.compile` cannot compile on this machine."""


def check_compiler(device: torch.device) -> None:
    """Check that a model on this device can be compiled; the compiler is `CXX` of the environment, or a usual name.

    Raises:
        CompilerError: there is no C++ compiler.
    """
    if device.type != "cpu":
        return
    names = (os.environ["CXX"],) if os.environ.get("CXX") else _NAMES
    if not any(shutil.which(name) for name in names):
        raise CompilerError(
            f"compile=True needs a C++ compiler, and this machine has none ({', '.join(names)}); install g++, or leave "
            "compile out."
        )
