"""Pixel decoder of the mask family: deformable attention over three levels, then one feature pyramid step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoder,
    Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention,
)

from ahs_seg.methods.mask.predictions import PixelFeatures
from ahs_seg.modules.full_precision import full_precision

STRIDES = (4, 8, 16, 32)
"""Strides of the feature maps of a pixel backbone, which are the inputs of the decoder."""


class PixelDecoder(Mask2FormerPixelDecoder):  # type: ignore[misc]  # transformers is untyped
    """Mask features and multi-scale features from backbone maps at strides 4, 8, 16, 32; always in float32.

    Source: Mask2Former (Cheng et al., CVPR 2022). Deformable attention is the pure PyTorch version of `transformers`,
    which is exact. `dim` must be a multiple of 32 (groups of the norms). Padded positions are not masked out.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        dim: int = 256,
        mask_dim: int = 256,
        heads: int = 8,
        layers: int = 6,
        feedforward: int = 1024,
    ) -> None:
        config = Mask2FormerConfig(
            feature_size=dim,
            mask_feature_size=mask_dim,
            num_attention_heads=heads,
            encoder_layers=layers,
            encoder_feedforward_dim=feedforward,
            feature_strides=list(STRIDES),
            common_stride=STRIDES[0],
            dropout=0.0,
        )
        super().__init__(config, feature_channels=list(channels))
        self.dim, self.mask_dim = dim, mask_dim
        _initialise(self)

    def forward(self, levels: Sequence[Float[Tensor, "b _ _ _"]]) -> PixelFeatures:
        """Mask features and multi-scale features from backbone maps at strides 4, 8, 16, 32."""
        with full_precision(levels[0].device):
            out = super().forward([level.float() for level in levels])
        return PixelFeatures(out.mask_features, tuple(out.multi_scale_features))


@torch.no_grad()
def _initialise(decoder: PixelDecoder) -> None:
    """Initialise weights as the original code does.

    `transformers` leaves a decoder that is used alone with the defaults of PyTorch, or uninitialised.
    """
    for projection in decoder.input_projections:
        nn.init.xavier_uniform_(projection[0].weight)
        nn.init.zeros_(projection[0].bias)
    for parameter in decoder.encoder.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    for part in decoder.encoder.modules():
        if isinstance(part, Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention):
            _initialise_attention(part)
    nn.init.normal_(decoder.level_embed)
    for convolution in (decoder.adapter_1[0], decoder.layer_1[0], decoder.mask_projection):
        nn.init.kaiming_uniform_(convolution.weight, a=1)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)


def _initialise_attention(part: Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention) -> None:
    """Initialise sampling offsets: each head has its own direction, and its point p has the distance p in cells."""
    angles = torch.arange(part.n_heads) * (2 * math.pi / part.n_heads)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    directions = directions / directions.abs().amax(-1, keepdim=True)
    steps = torch.arange(1, part.n_points + 1)
    offsets = directions[:, None, None] * steps[None, None, :, None]
    nn.init.zeros_(part.sampling_offsets.weight)
    part.sampling_offsets.bias.copy_(offsets.expand(-1, part.n_levels, -1, -1).flatten())
    nn.init.zeros_(part.attention_weights.weight)
    nn.init.zeros_(part.attention_weights.bias)
    for projection in (part.value_proj, part.output_proj):
        nn.init.xavier_uniform_(projection.weight)
        nn.init.zeros_(projection.bias)
