"""Building blocks of AHS-Seg and HPS-Seg that were recorded by themselves, and the rules that made their inputs."""

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ahs_seg.types import IGNORE
from tests.parity.recording import DATA, generator, weight


@cache
def manifest() -> dict:
    return json.loads((DATA / "ahs_modules.json").read_text())


def figure(name: str) -> Any:
    """A number that was recorded."""
    return manifest()["info"][name]


def array(name: str) -> Tensor:
    """A recorded tensor."""
    with np.load(DATA / "ahs_modules.npz") as arrays:
        return torch.from_numpy(arrays[name])


def weights(group: str) -> dict[str, Tensor]:
    """The generated weights of a block under their official names, without the name of the block."""
    entries = [entry for entry in manifest()["state_dict"][group] if entry["std"] != "computed"]
    found = {entry["name"].removeprefix(f"{group}."): weight(entry) for entry in entries}
    for entry in entries:
        total = found[entry["name"].removeprefix(f"{group}.")].double().sum().item()
        assert abs(total - entry["sum"]) < 1e-3 + 1e-6 * abs(entry["sum"]), entry["name"]
    return found


def drawn(key: str, *shape: int, scale: float = 1.0) -> Tensor:
    """An input tensor."""
    return torch.from_numpy(generator(f"in:{key}").standard_normal(shape).astype(np.float32) * np.float32(scale))


def blocks(key: str, *shape: int, size: int = 4, classes: int = 20, ignore: int = IGNORE) -> Tensor:
    """A label map of squares `size` wide; what is no class becomes `ignore`."""
    batch, height, width = shape
    cells = generator(f"in:{key}").integers(0, classes + 2, size=(batch, height // size, width // size))
    return torch.from_numpy(np.where(cells >= classes, ignore, cells).repeat(size, 1).repeat(size, 2))


def close(name: str, value: Tensor, *steps: int, tolerance: float = 1e-5) -> None:
    """`value`, subsampled by `steps`, is the recorded tensor within `tolerance` times its largest entry."""
    expected = array(name)
    sampled = value.detach()[tuple(slice(None, None, step) for step in steps)]
    assert sampled.shape == expected.shape
    error = ((sampled - expected).abs().max() / expected.abs().max()).item()
    assert error <= tolerance, f"{name}: off by {error:.1e} of the largest entry, allowed {tolerance:.0e}"
