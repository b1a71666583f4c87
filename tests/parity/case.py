"""A recording beside our method with the same weights."""

from dataclasses import dataclass
from functools import cached_property
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.checkpoints.importing.clip_origins import OPENAI
from ahs_seg.checkpoints.importing.convert_catseg import convert_catseg
from ahs_seg.checkpoints.importing.convert_clip import clip_config
from ahs_seg.checkpoints.importing.convert_hclip import convert_hclip
from ahs_seg.checkpoints.importing.key_rules import check_complete
from ahs_seg.methods import CatSegConfig, CostSegmenter, HClipConfig
from ahs_seg.modules.resize import resize
from ahs_seg.types import ImageFeatures, Output
from tests.parity.recording import Recording, recording
from tests.support.builders import byte_tokenizer

CONVERTERS = {"catseg_vitb": convert_catseg, "catseg_vitl": convert_catseg, "hclip_vitb": convert_hclip}


@dataclass
class Case:
    """A recording beside our method with the same weights."""

    recording: Recording
    method: CostSegmenter
    ignored: dict[str, str]

    @property
    def large(self) -> bool:
        return self.recording.name.endswith("vitl")

    @property
    def tolerance(self) -> float:
        return 5e-4 if self.large else 1e-4

    @cached_property
    def features(self) -> ImageFeatures:
        """Features of image A, encoded once for all tests."""
        with torch.no_grad():
            return self.method.backbone.encode_image(self.image, levels=self.method.levels)

    @cached_property
    def image(self) -> Tensor:
        return resize(self.recording.image("A", 384, 384), self.method.backbone.resolution)

    def logits(self, text: Tensor, pooling: int) -> Output:
        """The method's output for image A, from the features at hand."""
        self.method.head.class_pooling = pooling
        features = self.features
        with patch.object(self.method.backbone, "encode_image", lambda *_, **__: features):
            return self.method(self.image, text)

    def close(self, name: str, value: Tensor, *steps: int) -> None:
        self.recording.close(name, value, steps, self.tolerance)

    def text(self, name: str) -> Tensor:
        """Text features [t 1 d] of recorded token ids, which are padded to 77 positions."""
        ids = torch.from_numpy(self.recording.arrays[name]).long()
        ends = ids.argmax(1)
        encoded = self.method.backbone.encode_text(Tokens(ids[:, : int(ends.max()) + 1], ends))
        return F.normalize(encoded, dim=-1).unsqueeze(1)


def build(name: str) -> Case:
    source = recording(name)
    state = source.state()
    source.check_sums(state)
    conversion = CONVERTERS[name](state)
    prefix = "backbone.model."
    clip = {key.removeprefix(prefix): value for key, value in conversion.state.items() if key.startswith(prefix)}
    config, side = clip_config(clip, OPENAI), 336 if name.endswith("vitl") else 384
    backbone = ClipBackbone(ClipNetwork.empty(config), byte_tokenizer(), resolution=side)
    method = (HClipConfig() if name == "hclip_vitb" else CatSegConfig()).compose(backbone).eval()
    check_complete(conversion.state, method.state_dict())
    method.load_state_dict(conversion.state)
    return Case(source, method, conversion.ignored)
