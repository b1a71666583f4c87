"""The recorded tower of the training-free methods as our backbone, with the recorded weights and images."""

import json
import zlib
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones.base import DenseForm
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.checkpoints.importing.convert_clip import image_tower_rules
from ahs_seg.checkpoints.importing.key_rules import convert
from tests.parity.recording import DATA, generator, weight
from tests.support.builders import byte_tokenizer

MANIFEST: dict[str, Any] = json.loads((DATA / "training_free_tiny.json").read_text())
ARRAYS: dict[str, np.ndarray] = dict(np.load(DATA / "training_free_tiny.npz"))
RECORDED: dict[DenseForm, str] = {
    "value": "value_reduced",
    "residual": "value_full",
    "clip": "vanilla_full",
    "sclip": "csa_full",
    "naclip": "naclip_reduced",
    "clearclip": "qq_reduced",
}
"""The recorded array of every dense form; CAT-Seg's own is held by the recordings of CAT-Seg."""


@cache
def tower() -> ClipBackbone:
    sizes = MANIFEST["config"]
    vision = {
        "hidden_size": sizes["width"],
        "intermediate_size": sizes["mlp_ratio"] * sizes["width"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "image_size": sizes["resolution"],
        "patch_size": sizes["patch"],
        "hidden_act": "quick_gelu",
    }
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"vocab_size": 259, "max_position_embeddings": 40}
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=sizes["embed"])
    model = ClipNetwork(config).eval()
    entries = MANIFEST["state_dict"].items()
    state = {name: weight({"name": name, **entry}) for name, entry in entries}
    missing, unexpected = model.load_state_dict(convert(state, image_tower_rules(r"visual\.", "")).state, strict=False)
    assert not unexpected
    assert all(name.startswith("text") or "text" in name or name == "logit_scale" for name in missing)
    return ClipBackbone(model, byte_tokenizer(), resolution=sizes["resolution"])


def image(key: str) -> np.ndarray:
    """A recorded image [H W 3] of bytes."""
    given = MANIFEST["inputs"][key]
    height, width = given["size"]
    draw = generator(key)
    coarse = draw.standard_normal((3, -(-height // 32), -(-width // 32)))
    blocks = coarse.repeat(32, 1).repeat(32, 2)[:, :height, :width]
    values = np.clip(np.rint(128 + 48 * blocks + 24 * draw.standard_normal((3, height, width))), 0, 255).astype(
        np.uint8
    )
    assert zlib.crc32(values.tobytes()) == given["crc32"]
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def pixels(key: str) -> Tensor:
    """A recorded image [1 3 H W] in [0, 1]."""
    return torch.from_numpy(image(key)).permute(2, 0, 1)[None].float() / 255


def off(value: Tensor, name: str) -> float:
    """The largest difference from a recorded array, relative to its largest entry."""
    expected, stride = ARRAYS[name], MANIFEST["arrays"][name]["stride"]
    found = value.numpy()[tuple(slice(None, None, step) for step in stride or ())]
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())
