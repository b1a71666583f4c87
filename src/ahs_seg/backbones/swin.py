"""Swin as a pixel backbone: four feature maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any, Final, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.backbones.pretrained import load_network
from ahs_seg.config import Config, Layers, Width

_MAX_STAGES: Final = 8
IMAGENET_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
IMAGENET_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)

Maps = tuple[Float[Tensor, "b c1 h1 w1"], Float[Tensor, "b c2 h2 w2"], Float[Tensor, "b c3 h3 w3"], Tensor]


class SwinPyramid(nn.Module):
    """Feature maps of Swin's four stages, each after its own layer norm (Liu et al., ICCV 2021; as in Mask2Former).

    `channels` are the channels of the maps, finest map first. `model` is a `SwinBackbone` of `transformers`.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        model.swin.layernorm = nn.Identity()  # unused: the last map has the norm of its stage
        self.model = model
        self.channels = tuple(int(width) for width in model.channels)
        self.stride = 32

    def normalise(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Images (RGB in [0, 1]) normalised with ImageNet's mean and standard deviation."""
        mean = torch.tensor(IMAGENET_MEAN, device=images.device).view(3, 1, 1)
        std = torch.tensor(IMAGENET_STD, device=images.device).view(3, 1, 1)
        return (images - mean) / std

    def forward(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Tensor, ...]:
        """Feature maps [b c H/s W/s] of normalised images at strides s = 4, 8, 16 and 32."""
        return tuple(self.model(pixels).feature_maps)


class SwinConfig(Config):
    """Configuration of a Swin transformer; the defaults are Swin-B at 384 pixels.

    `source` is a Swin on the Hugging Face hub, which may end in `@revision`, or a directory in the format of
    transformers (None: random weights); it must have the sizes given here. The norms of the stages start with scale
    1 and shift 0, because classification checkpoints have no weights for them.
    """

    name: Literal["swin"] = "swin"
    source: str | None = "microsoft/swin-base-patch4-window12-384-in22k"
    dim: Width = 128
    depths: tuple[Layers, ...] = Field(default=(2, 2, 18, 2), max_length=_MAX_STAGES)
    heads: tuple[Width, ...] = (4, 8, 16, 32)
    window: Width = 12
    drop_path: float = Field(default=0.3, ge=0, lt=1)

    def build(self) -> SwinPyramid:
        """The backbone with its pre-trained weights."""
        if self.source is None:
            return self.build_empty()
        from transformers import SwinBackbone  # takes seconds, and only SCAN needs it

        return SwinPyramid(load_network(SwinBackbone, self.source, self._sizes(), without=("hidden_states_norms.",)))

    def build_empty(self) -> SwinPyramid:
        """The backbone with random weights."""
        from transformers import SwinBackbone  # as above

        return SwinPyramid(SwinBackbone(self._sizes()))

    def _sizes(self) -> Any:
        from transformers import SwinConfig as TransformersSwinConfig  # as above

        return TransformersSwinConfig(
            image_size=32 * self.window,
            embed_dim=self.dim,
            depths=list(self.depths),
            num_heads=list(self.heads),
            window_size=self.window,
            drop_path_rate=self.drop_path,
            out_features=[f"stage{index + 1}" for index in range(len(self.depths))],
        )
