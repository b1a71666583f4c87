"""Pixel decoder of the mask family: deformable attention over three levels, then one feature pyramid step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoder,
    Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention,
    multi_scale_deformable_attention,
)

from ahs_seg.methods.mask.predictions import ImageArea, PixelFeatures
from ahs_seg.modules.constants import made_on
from ahs_seg.modules.full_precision import full_precision

STRIDES = (4, 8, 16, 32)
"""Strides of the feature maps of a pixel backbone, which are the inputs of the decoder."""


class PixelDecoder(Mask2FormerPixelDecoder):  # type: ignore[misc]  # transformers is untyped
    """Mask features and multi-scale features from backbone maps at strides 4, 8, 16, 32; always in float32.

    Source: Mask2Former (Cheng et al., CVPR 2022). Deformable attention is the pure PyTorch version of `transformers`,
    which is exact. `dim` must be a multiple of 32 (groups of the norms). As published, padded positions take part like
    any other; with an `area` their values are zero, like those outside of the map.
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

    def forward(self, levels: Sequence[Float[Tensor, "b _ _ _"]], area: ImageArea | None = None) -> PixelFeatures:
        """Mask features and multi-scale features from backbone maps at strides 4, 8, 16, 32.

        `area` is the part of the maps that is the image (None: all of it).
        """
        with full_precision(levels[0].device):
            return self._decode([level.float() for level in levels], area)

    def _decode(self, levels: Sequence[Float[Tensor, "b _ _ _"]], area: ImageArea | None) -> PixelFeatures:
        """As in `transformers`, without its reading of values, for which the CPU waits in every layer in training."""
        coarse = levels[:0:-1]
        maps = [project(level) for project, level in zip(self.input_projections, coarse, strict=True)]
        places = [self.position_embedding(level.shape, level.device, level.dtype) for level in coarse]
        sizes = [(one.shape[2], one.shape[3]) for one in maps]
        tokens = _in_a_row(maps)
        positions = _in_a_row([place + one[:, None, None] for place, one in zip(places, self.level_embed, strict=True)])
        centres = torch.cat([_centres(size, tokens.device) for size in sizes])
        scale = made_on(tokens.device, [float(side) for height, width in sizes for side in (width, height)]).view(-1, 2)
        padding = None if area is None else torch.cat([area.padding(size, tokens.device).flatten() for size in sizes])
        for layer in self.encoder.layers:
            seen = _deformable_attention(layer.self_attn, tokens, positions, centres, sizes, scale, padding)
            tokens = layer.self_attn_layer_norm(tokens + seen)
            tokens = layer.final_layer_norm(tokens + layer.fc2(layer.fc1(tokens).relu()))
        parts = tokens.split([height * width for height, width in sizes], dim=1)
        found = [part.transpose(1, 2).unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]
        lateral = self.lateral_convolutions[0](levels[0])
        upsampled = F.interpolate(found[-1], size=lateral.shape[-2:], mode="bilinear", align_corners=False)
        masks = self.mask_projection(self.output_convolutions[0](lateral + upsampled))
        return PixelFeatures(masks, (found[0], found[1], found[2]))


def _in_a_row(maps: Sequence[Float[Tensor, "b d _ _"]]) -> Float[Tensor, "b n d"]:
    """The positions of all maps, one map after the other."""
    return torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)


def _centres(size: tuple[int, int], device: torch.device) -> Float[Tensor, "n 2"]:
    """Centres (x, y) of the cells of a map, in [0, 1]."""
    rows, columns = (torch.linspace(0.5, side - 0.5, side, device=device) / side for side in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def _deformable_attention(
    part: Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention,
    tokens: Float[Tensor, "b n d"],
    positions: Float[Tensor, "b n d"],
    centres: Float[Tensor, "n 2"],
    sizes: list[tuple[int, int]],
    scale: Float[Tensor, "levels 2"],
    padding: Bool[Tensor, " n"] | None,
) -> Float[Tensor, "b n d"]:
    """What every position reads at the points that it chooses; offsets are divided by `scale` (width, height).

    Positions in `padding` have the value zero.
    """
    queries, heads = tokens + positions, (part.n_heads, part.n_levels, part.n_points)
    offsets = part.sampling_offsets(queries).unflatten(-1, (*heads, 2)) / scale[:, None]
    weights = part.attention_weights(queries).unflatten(-1, (part.n_heads, -1)).softmax(-1).unflatten(-1, heads[1:])
    values = part.value_proj(tokens).unflatten(-1, (part.n_heads, -1))
    if padding is not None:
        values = values.masked_fill(padding[:, None, None], 0)
    points = centres[:, None, None, None] + offsets
    result: Tensor = part.output_proj(multi_scale_deformable_attention(values, sizes, points, weights))
    return result


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
