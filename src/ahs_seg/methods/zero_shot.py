"""The training-free baseline: cosine similarity of dense CLIP features and words."""

from __future__ import annotations

import copy
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.methods.objective import SegmentationObjective, SumObjective, TrainingClasses
from ahs_seg.modules.resize import resize
from ahs_seg.types import ClassText, ImageFeatures, Output, Words


class ZeroShotSegmenter(nn.Module):
    """Every patch gets the class its value-path feature is most similar to; nothing trains.

    Source: MaskCLIP (Zhou et al., ECCV 2022). `temperature` scales the cosine before the softmax over classes, as in
    CLIP; it does not change labels.
    """

    def __init__(self, backbone: ClipBackbone, *, temperature: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.temperature = temperature

    def forward(self, images: Float[Tensor, "b 3 H W"], text: Words) -> Output:
        """Log-probabilities at the backbone's grid (mean cosine over prompts)."""
        return self.decode(self.encode(images), text)

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """The part of the forward that depends on the images alone."""
        return self.backbone.encode_image(resize(images, self.backbone.resolution))

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """The rest of the forward."""
        words = text if isinstance(text, ClassText) else self.prepare(text)
        cost = cosine_cost(features.dense, words.embeddings).mean(1)
        return Output((cost / self.temperature).log_softmax(1), features, words, features.dense)

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> ClassText:
        """The words as they are."""
        return ClassText(text, text, seen)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Probability among the given classes, in [0, 1]."""
        return logits.exp()

    def merged(self, *, class_pooling: int | None = None) -> ZeroShotSegmenter:  # noqa: ARG002  # no class attention
        """A copy for inference; there is no class attention, so its pooling has no meaning here."""
        return copy.deepcopy(self).eval()


class ZeroShotConfig(Config):
    """Training-free segmentation with any CLIP."""

    name: Literal["zero_shot"] = "zero_shot"
    backbone: ClipConfig = ClipConfig()
    temperature: float = 0.01

    def build(self) -> ZeroShotSegmenter:
        """The baseline; all parameters frozen."""
        return self.compose(self.backbone.build())

    def compose(self, backbone: ClipBackbone) -> ZeroShotSegmenter:
        """The baseline on a backbone that exists."""
        return ZeroShotSegmenter(backbone.requires_grad_(requires_grad=False), temperature=self.temperature)

    def objective(
        self,
        method: nn.Module,  # noqa: ARG002  # the same call as for methods that train
        classes: TrainingClasses,  # noqa: ARG002
        *,
        ignore_as_negative: bool = True,
    ) -> SumObjective:
        """The segmentation loss; there is nothing that it could train, and training says so."""
        return SumObjective([SegmentationObjective(ignore_as_negative=ignore_as_negative)])

    def for_classes(self, count: int) -> ZeroShotConfig:  # noqa: ARG002  # nothing depends on it
        """The config itself."""
        return self
