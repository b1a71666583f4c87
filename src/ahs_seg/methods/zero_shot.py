"""The training-free baseline: cosine similarity of dense CLIP features and words."""

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
    """Every patch gets the class its value-path feature is most similar to; nothing trains.

    Source: MaskCLIP (Zhou et al., ECCV 2022). `temperature` scales the cosine before the softmax over classes, as in
    CLIP; it does not change labels.
    """

    def __init__(self, backbone: Backbone, *, temperature: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.temperature = temperature

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """The part of the forward that depends on the images alone."""
        return self.backbone.encode_resized(images)

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """The rest of the forward."""
        words = self.prepared(text)
        cost = cosine_cost(features.dense, words.embeddings).mean(1)
        return Output((cost / self.temperature).log_softmax(1), features, words, features.dense)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Probability among the given classes, in [0, 1]."""
        return logits.exp()


class ZeroShotConfig(BaseMethodConfig):
    """Training-free segmentation with any CLIP."""

    name: Literal["zero_shot"] = "zero_shot"
    backbone: ClipConfig = ClipConfig()
    temperature: float = 0.01

    def compose(self, backbone: Backbone) -> ZeroShotSegmenter:
        """The baseline on a backbone that exists; all parameters are frozen, so that training says what is wrong."""
        return ZeroShotSegmenter(backbone.requires_grad_(requires_grad=False), temperature=self.temperature)
