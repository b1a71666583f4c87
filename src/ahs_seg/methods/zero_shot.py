"""Training-free baseline: cosine similarity of dense CLIP features and text embeddings."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.methods.base import BaseMethodConfig, Method
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.types import ImageFeatures, Output, Words


class ZeroShotSegmenter(Method):
    """Zero-shot segmentation: logits are the cosine similarities of patch features and text embeddings; no training.

    Source: MaskCLIP (Zhou et al., ECCV 2022). The cosines are divided by `temperature` before the softmax over classes,
    as in CLIP; this does not change the predicted labels.
    """

    def __init__(self, backbone: Backbone, *, temperature: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.temperature = temperature

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features: the part of the forward pass that does not depend on the text."""
        return self.backbone.encode_resized(images)

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """Log-probabilities of the text rows at every patch."""
        words = self.ensure_prepared(text)
        cost = cosine_cost(features.dense, words.embeddings).mean(1)
        return Output((cost / self.temperature).log_softmax(1), features, words, features.dense)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Softmax probabilities over the text rows, in [0, 1]."""
        return logits.exp()


class ZeroShotConfig(BaseMethodConfig):
    """Training-free segmentation with the dense features of any CLIP (MaskCLIP, Zhou et al., ECCV 2022)."""

    name: Literal["zero_shot"] = "zero_shot"
    backbone: ClipConfig = ClipConfig()
    temperature: float = 0.01

    def compose(self, backbone: Backbone) -> ZeroShotSegmenter:
        """The baseline on the given backbone; all parameters are frozen, so that an attempt to train it is an error."""
        return ZeroShotSegmenter(backbone.requires_grad_(requires_grad=False), temperature=self.temperature)
