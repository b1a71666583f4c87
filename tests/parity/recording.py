"""Recorded tensors of the original implementations, and the rules that made their weights and inputs.

No trained weights are involved: every weight is generated from its official name, every image from its key. The rules
are those of `data/README.md`; each file's manifest holds the numbers.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ahs_seg.types import IGNORE

DATA = Path(__file__).parent / "data"
VIT_B = "vitb"
"""The xdist group of the recordings of the cost family with ViT-B: they share most of their generated weights."""


def generator(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))


class Recording:
    """One recorded run: manifest, arrays, generated weights and inputs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.manifest = json.loads((DATA / f"{name}.json").read_text())
        self.arrays = dict(np.load(DATA / f"{name}.npz"))
        self.info = self.manifest["info"]

    def state(self) -> dict[str, Tensor]:
        """The official state dict; aliases share their tensor, constants the model computes are left out."""
        tensors: dict[str, Tensor] = {}
        for entry in self.manifest["state_dict"]:
            name = entry["name"]
            if entry.get("alias_of"):
                tensors[name] = tensors[entry["alias_of"]]
            elif entry["std"] != "computed":
                tensors[name] = shared_weight(entry) if self.name.endswith(VIT_B) else weight(entry)
        return tensors

    def check_sums(self, state: dict[str, Tensor]) -> None:
        """Every generated weight adds up to what the manifest says."""
        for entry in self.manifest["state_dict"]:
            if "sum" in entry and entry["name"] in state and not entry.get("alias_of"):
                total = state[entry["name"]].double().sum().item()
                assert abs(total - entry["sum"]) < 1e-3 + 1e-6 * abs(entry["sum"]), entry["name"]

    def image(self, key: str, height: int, width: int) -> Tensor:
        """An image [1 3 H W] in [0, 1] (the recording feeds 0..255)."""
        draw = generator(f"image:{key}")
        coarse = draw.standard_normal((3, -(-height // 32), -(-width // 32)))
        blocks = coarse.repeat(32, 1).repeat(32, 2)[:, :height, :width]
        values = np.clip(np.rint(128 + 48 * blocks + 24 * draw.standard_normal((3, height, width))), 0, 255)
        raw = values.astype(np.uint8)
        assert zlib.crc32(raw.tobytes()) == self.manifest["inputs"][f"image:{key}"]["crc32"]
        return torch.from_numpy(raw).float().unsqueeze(0) / 255

    def labels(self, key: str, height: int, width: int, classes: int = 20) -> Tensor:
        """Labels [1 H W] with `IGNORE`."""
        values = generator(f"target:{key}").integers(0, classes + 2, size=(-(-height // 32), -(-width // 32)))
        blocks = values.repeat(32, 0).repeat(32, 1)[:height, :width]
        return torch.from_numpy(np.where(blocks >= classes, IGNORE, blocks)).long().unsqueeze(0)

    def close(self, name: str, value: Tensor, steps: tuple[int, ...], tolerance: float) -> None:
        """`value`, subsampled by `steps`, equals the recorded array within `tolerance` times its largest entry."""
        expected = self.arrays[name]
        sampled = value.detach()[tuple(slice(None, None, step) for step in steps)].float().numpy()
        assert sampled.shape == expected.shape, f"{name}: {sampled.shape}, recorded {expected.shape}"
        error = np.abs(sampled - expected).max() / np.abs(expected).max()
        assert error <= tolerance, f"{name}: off by {error:.2e} of the largest entry, allowed {tolerance:.0e}"


@cache
def recording(name: str) -> Recording:
    return Recording(name)


def shared_weight(entry: dict) -> Tensor:
    """`weight`, generated once for all recordings of a process that have the same entry; never written to."""
    key = json.dumps([entry[part] for part in ("name", "shape", "std", "mean")])
    if key not in _shared:
        _shared[key] = weight(entry)
    return _shared[key]


_shared: dict[str, Tensor] = {}


def weight(entry: dict) -> Tensor:
    """The generated values of one official entry."""
    values = generator(entry["name"]).standard_normal(entry["shape"]).astype(np.float32)
    if entry["std"] == "unit_rows":
        return torch.from_numpy(values / np.linalg.norm(values, axis=-1, keepdims=True))
    values = values * np.float32(entry["std"])
    mean = entry["mean"]
    if mean == "eye":
        values = values + np.eye(*entry["shape"], dtype=np.float32)
    elif mean == "eye_vision":
        values[:, :, :, 4:] += np.eye(entry["shape"][0], dtype=np.float32)[:, :, None, None]
    else:
        values = values + np.float32(mean)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
