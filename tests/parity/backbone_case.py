"""A recorded network of each kind of backbone, built again from the rules of its recording."""

import json
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ahs_seg.backbones.kinds import KINDS
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.backbones.two_towers import TwoTowerBackbone
from tests.parity.recording import DATA, generator, weight
from tests.support.builders import byte_tokenizer

NAMES = ("clip", "siglip", "siglip2", "siglip2_naflex", "metaclip_2", "chinese_clip", "altclip")
TYPES = {"siglip2": "siglip", "siglip2_naflex": "siglip2"}
"""The `model_type` of recordings whose name is another one."""
SIGLIPS = ("siglip", "siglip2", "siglip2_naflex")
TOLERANCE = 2e-5
"""Of the largest entry of an array; the recording with another attention kernel differs by 3.9e-6."""


@cache
def manifest() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((DATA / "backbones_tiny.json").read_text()))


@cache
def arrays() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "backbones_tiny.npz"))


class BackboneCase:
    """One recording, our backbone with the same weights, and the recorded inputs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.info = manifest()["kinds"][name]
        kind = KINDS[TYPES.get(name, name)]
        config = kind.config_class()(**self.info["config_values"])
        network = kind.network_class()(config).eval()
        network.load_state_dict(self.state())
        mean, std = self.info["image_mean"], self.info["image_std"]
        tokenizer = byte_tokenizer()  # is not used: texts are recorded as token ids
        self.backbone: TwoTowerBackbone = kind.backbone(network, tokenizer, resolution=64, mean=mean, std=std)

    def state(self) -> dict[str, Tensor]:
        """The weights by the rule of the recording, whose sums it states."""
        tensors = {}
        for key, entry in self.info["state_dict"].items():
            tensors[key] = weight({"name": key, **entry})
            total = tensors[key].double().sum().item()
            assert abs(total - entry["sum"]) < 1e-3 + 1e-6 * abs(entry["sum"]), key
        return tensors

    def image(self, key: str, height: int = 64, width: int = 64) -> Tensor:
        """A recorded image [1 3 H W] in [0, 1]."""
        draw = generator(f"image:{key}")
        coarse = draw.standard_normal((3, -(-height // 32), -(-width // 32)))
        blocks = coarse.repeat(32, 1).repeat(32, 2)[:, :height, :width]
        values = np.clip(np.rint(128 + 48 * blocks + 24 * draw.standard_normal((3, height, width))), 0, 255)
        return torch.from_numpy(values.astype(np.uint8)).float()[None] / 255

    @property
    def images(self) -> Tensor:
        """Images A and B."""
        return torch.cat([self.image("A"), self.image("B")])

    @property
    def tokens(self) -> Tokens:
        """The recorded texts."""
        ids, mask = (torch.from_numpy(arrays()[f"{self.name}/{key}"]) for key in ("text_ids", "text_mask"))
        return Tokens(ids.long(), mask.long().sum(1) - 1)

    def recorded(self, name: str) -> np.ndarray:
        """A recorded array."""
        return arrays()[f"{self.name}/{name}"]

    def close(self, name: str, value: Tensor) -> None:
        """`value` is the recorded array within the tolerance."""
        expected = self.recorded(name)
        assert value.shape == expected.shape, f"{name}: {tuple(value.shape)}, recorded {expected.shape}"
        error = np.abs(value.numpy() - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE, f"{self.name}/{name}: off by {error:.2e} of the largest entry"


@cache
def backbone_case(name: str) -> BackboneCase:
    return BackboneCase(name)
