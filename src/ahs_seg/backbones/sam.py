"""SAM's image encoder as a pixel backbone: four feature maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from ahs_seg.backbones.pretrained import load_network
from ahs_seg.config import Config, Layers, Side, Width

SAM_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
SAM_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)
SCALES = (4.0, 2.0, 1.0, 0.5)
"""Scale factors by which the outputs of the four global-attention blocks (stride 16) are resized."""


class SamPyramid(nn.Module):
    """Feature maps of SAM's four global-attention blocks, resized to four strides (EBSeg).

    All weights but the position embeddings are frozen. `channels` are the channels of the maps, finest map first.
    `encoder` is a `SamEncoder`.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(requires_grad=False)
        self.encoder.pos_embed.requires_grad_(requires_grad=True)
        self.channels = (int(encoder.config.hidden_size),) * len(SCALES)
        self.stride = 32

    def normalise(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        """Images (RGB in [0, 1]) normalised with SAM's mean and standard deviation."""
        mean = torch.tensor(SAM_MEAN, device=images.device).view(3, 1, 1)
        std = torch.tensor(SAM_STD, device=images.device).view(3, 1, 1)
        return (images - mean) / std

    def forward(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Tensor, ...]:
        """Feature maps [b c H/s W/s] of normalised images at strides s = 4, 8, 16 and 32.

        Image sides must be multiples of 32.
        """
        return tuple(
            level if scale == 1 else F.interpolate(level, scale_factor=scale, mode="bilinear", align_corners=False)
            for level, scale in zip(self.encoder(pixels), SCALES, strict=True)
        )


class SamConfig(Config):
    """Configuration of SAM's image encoder; the defaults are those of ViT-B.

    `source` is a SAM on the Hugging Face hub (with `@revision` to pin one) or a directory in the format of
    transformers (None: random weights).
    `global_blocks` are the indices of the four blocks with global attention; the others use windows of `window`
    patches.
    """

    name: Literal["sam"] = "sam"
    source: str | None = "facebook/sam-vit-base"
    dim: Width = 768
    depth: Layers = 12
    heads: Width = 12
    window: Width = 14
    image_size: Side = 1024
    global_blocks: tuple[int, int, int, int] = (2, 5, 8, 11)

    @model_validator(mode="after")
    def _check(self) -> SamConfig:
        if max(self.global_blocks) >= self.depth or sorted(set(self.global_blocks)) != list(self.global_blocks):
            raise ValueError(
                f"global_blocks {self.global_blocks} must be four indices in ascending order below depth {self.depth}"
            )
        return self

    def build(self) -> SamPyramid:
        """The backbone with its pre-trained weights."""
        if self.source is None:
            return self.build_empty()
        from transformers import SamVisionModel  # takes seconds, and only EBSeg needs it

        whole = load_network(SamVisionModel, self.source, self._sizes())
        encoder = self.build_empty().encoder
        weights = whole.vision_encoder.state_dict()
        encoder.load_state_dict({key: value for key, value in weights.items() if not key.startswith("neck.")})
        return SamPyramid(encoder)

    def build_empty(self) -> SamPyramid:
        """The backbone with random weights."""
        from ahs_seg.backbones.sam_encoder import SamEncoder  # as above

        return SamPyramid(SamEncoder(self._sizes()))

    def _sizes(self) -> Any:
        from transformers import SamVisionConfig  # as above

        return SamVisionConfig(
            hidden_size=self.dim,
            num_hidden_layers=self.depth,
            num_attention_heads=self.heads,
            mlp_dim=4 * self.dim,
            image_size=self.image_size,
            patch_size=16,
            window_size=self.window,
            global_attn_indexes=list(self.global_blocks),
            use_rel_pos=True,
            layer_norm_eps=1e-6,
        )
