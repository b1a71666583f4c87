"""Recorded tensors of the originals of the mask family, and the rules that made their weights and inputs.

The rules are those of each file's manifest; as for the cost family, no trained weights are involved.
"""

import json
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ahs_seg.types import IGNORE
from tests.parity.recording import DATA, generator


class MaskRecording:
    """One recorded run: manifest, arrays, generated weights and inputs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.manifest = json.loads((DATA / f"{name}.json").read_text())
        self.arrays = dict(np.load(DATA / f"{name}.npz"))
        self.config = self.manifest["config"]
        self.classes: list[str] = self.manifest["class_names"]

    def state(self, *, constants: bool = False) -> dict[str, Tensor]:
        """The official state dict; aliases share their tensor. Constants the model computes are zeros, or left out."""
        found: dict[str, Tensor] = {}
        for name, entry in self.manifest["weights"].items():
            if entry.get("keep"):
                if constants:
                    found[name] = torch.zeros(entry["shape"])
            elif not entry.get("alias_of"):
                found[name] = self._weight(name, entry)
        aliases = {name: entry["alias_of"] for name, entry in self.manifest["weights"].items() if "alias_of" in entry}
        return found | {name: found[other] for name, other in aliases.items()}

    def _weight(self, name: str, entry: dict) -> Tensor:
        value = value_of(name, entry["shape"], entry["std"], entry["mean"])
        total = float(value.astype(np.float64).sum())
        assert abs(total - entry["sum"]) < 1e-3 + 1e-6 * abs(entry["sum"]), name
        return torch.from_numpy(value)

    def picture(self, key: str, height: int, width: int) -> np.ndarray:
        """A picture [H W 3]."""
        draw = generator(key)
        blocks = draw.integers(0, 256, size=(3, -(-height // 32), -(-width // 32)))
        noise = draw.integers(-40, 41, size=(3, height, width))
        values = blocks.repeat(32, 1).repeat(32, 2)[:, :height, :width] + noise
        return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0))

    def image(self, key: str, height: int, width: int) -> Tensor:
        """The same as a batch of one [1 3 H W], in [0, 1]."""
        return torch.from_numpy(self.picture(key, height, width)).permute(2, 0, 1)[None].float() / 255

    def labels(self, key: str, height: int, width: int) -> Tensor:
        """Labels [1 H W] with `IGNORE`."""
        count = len(self.classes)
        values = generator(key).integers(0, count + 1, size=(-(-height // 64), -(-width // 64)))
        blocks = values.repeat(64, 0).repeat(64, 1)[:height, :width]
        return torch.from_numpy(np.where(blocks == count, IGNORE, blocks)).long()[None]

    def tokens(self) -> tuple[Tensor, Tensor]:
        """Token ids of every prompt of every class, padded, and the position of the last token of each."""
        rows = [ids for name in self.classes for ids in self.manifest["token_ids"][name]]
        ends = torch.tensor([len(ids) - 1 for ids in rows])
        padded = torch.zeros(len(rows), int(ends.max()) + 1, dtype=torch.long)
        for target, ids in zip(padded, rows, strict=True):
            target[: len(ids)] = torch.tensor(ids)
        return padded, ends

    def array(self, name: str) -> tuple[np.ndarray, dict]:
        """What is stored of a tensor, and its description."""
        return self.arrays[name], self.manifest["arrays"][name]

    def close(self, name: str, value: Tensor, tolerance: float = 1e-4) -> None:
        """`value` equals the recorded tensor within `tolerance` times its largest entry."""
        stored, entry = self.array(name)
        assert list(value.shape) == entry["shape"], f"{name}: {list(value.shape)}, recorded {entry['shape']}"
        ours = value.detach().float().flatten()[:: entry["stride"]].numpy()
        error = np.abs(ours - stored.flatten()).max() / entry["absmax"]
        assert error <= tolerance, f"{name}: off by {error:.2e} of the largest entry, allowed {tolerance:.0e}"

    def agreement(self, name: str, value: Tensor) -> float:
        """Share of equal entries."""
        stored, entry = self.array(name)
        return float((value.flatten()[:: entry["stride"]].numpy() == stored.flatten()).mean())


class RecordedDraws:
    """Uniform numbers by the number of the call, which is checked against the recorded shapes."""

    def __init__(self, calls: list) -> None:
        self.calls = calls
        self.made = 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        assert self.calls[self.made] == [self.made, list(shape)], f"call {self.made} has shape {shape}"
        values = generator(f"rand/{self.made}").random(shape).astype(np.float32)
        self.made += 1
        return torch.from_numpy(values)


def value_of(name: str, shape: list[int], std: float, mean: float) -> np.ndarray:
    """A generated tensor."""
    drawn = generator(name).standard_normal(shape).astype(np.float32)
    return np.asarray(drawn * np.float32(std) + np.float32(mean), dtype=np.float32)


@cache
def mask_recording(name: str) -> MaskRecording:
    return MaskRecording(name)
