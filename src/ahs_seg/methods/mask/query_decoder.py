"""Query decoder of the mask family with masked attention: queries attend only inside their predicted masks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerTransformerModule

from ahs_seg.methods.mask.predictions import ImageArea, PixelFeatures, QueryPrediction
from ahs_seg.modules.full_precision import full_precision


class MaskedDecoder(Mask2FormerTransformerModule):  # type: ignore[misc]  # transformers is untyped
    """Mask predictions from the learned queries and after each of `layers` decoder layers; always in float32.

    Source: Mask2Former (Cheng et al., CVPR 2022). Layer i attends to level i mod 3 (strides 32, 16, 8), at positions
    where the previous mask prediction is above one half; a query whose mask is empty attends to all positions. As
    published, these include the padding of the images; with an `area` they do not.
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        pixel_dim: int | None = None,
        mask_dim: int = 256,
        queries: int = 100,
        heads: int = 8,
        layers: int = 9,
        feedforward: int = 2048,
    ) -> None:
        config = Mask2FormerConfig(
            hidden_dim=dim,
            mask_feature_size=mask_dim,
            num_attention_heads=heads,
            num_queries=queries,
            decoder_layers=layers + 1,  # transformers counts predictions, one more than layers
            dim_feedforward=feedforward,
            activation_function="relu",
            pre_norm=False,
            dropout=0.0,  # in transformers this value is also the layer drop
        )
        super().__init__(in_features=pixel_dim or dim, config=config)
        self.dim, self.queries, self.layers = dim, queries, layers
        _initialise(self)

    def forward(self, pixels: PixelFeatures, area: ImageArea | None = None) -> tuple[QueryPrediction, ...]:
        """The predictions in order: from the learned queries, then after each layer.

        `area` is the part of the maps that is the image (None: all of it).
        """
        with full_precision(pixels.masks.device):
            if area is not None:
                return tuple(self._inside(pixels, area))
            out = super().forward(list(pixels.levels), pixels.masks)
        states = [state.transpose(0, 1) for state in out.intermediate_hidden_states]
        return tuple(map(QueryPrediction, states, out.masks_queries_logits))

    def _inside(self, pixels: PixelFeatures, area: ImageArea) -> Iterator[QueryPrediction]:
        """As in `transformers`, with attention to the positions of the image alone."""
        parts = zip(pixels.levels, self.input_projections, self.level_embed.weight, strict=True)
        keys = [_in_a_row(project(level) + own[:, None, None]) for level, project, own in parts]
        positions = [
            _in_a_row(self.position_embedder(level.shape, level.device, level.dtype, None)) for level in pixels.levels
        ]
        grids = [(level.shape[-2], level.shape[-1]) for level in pixels.levels]
        states, places = (
            table.weight.unsqueeze(1).expand(-1, len(pixels.masks), -1)
            for table in (self.queries_features, self.queries_embedder)
        )
        for index in range(self.layers + 1):
            level = index % len(keys)
            normed = self.decoder.layernorm(states)
            masks, blocked = self.decoder.mask_predictor(normed, pixels.masks, grids[level])
            yield QueryPrediction(normed.transpose(0, 1), masks)
            if index == self.layers:
                return
            blocked = limited(blocked, area.padding(grids[level], blocked.device).flatten())
            layer = self.decoder.layers[index]
            states = layer(states, level, None, positions, places, keys, encoder_attention_mask=blocked)[0]

    def embed_masks(self, states: Float[Tensor, "b q d"]) -> Float[Tensor, "b q c"]:
        """Mask embeddings of the queries; their dot product with the mask features gives mask logits."""
        embedded: Tensor = self.decoder.mask_predictor.mask_embedder(states)
        return embedded


def limited(blocked: Bool[Tensor, "b q n"], padding: Bool[Tensor, " n"]) -> Bool[Tensor, "b q n"]:
    """Blocked positions including the padding; a query without any other position attends to all but the padding."""
    nowhere = (blocked | padding).all(-1, keepdim=True)
    return (blocked & ~nowhere) | padding


def _in_a_row(maps: Float[Tensor, "b d h w"]) -> Float[Tensor, "n b d"]:
    return maps.flatten(2).permute(2, 0, 1)


@torch.no_grad()
def _initialise(decoder: MaskedDecoder) -> None:
    """Initialise weights as the original code does: Xavier for matrices, standard normal for embeddings."""
    for layer in decoder.decoder.layers:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        for name in ("q_proj", "k_proj", "v_proj"):  # one stacked matrix with three times the rows in the original
            projection = getattr(layer.self_attn, name)
            nn.init.xavier_uniform_(projection.weight, gain=0.5**0.5)
            nn.init.zeros_(projection.bias)
        nn.init.zeros_(layer.self_attn.out_proj.bias)
    for embedding in (decoder.queries_embedder, decoder.queries_features, decoder.level_embed):
        nn.init.normal_(embedding.weight)
