"""Masked-attention decoder of the mask family: queries that look where their own masks are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerTransformerModule

from ahs_seg.methods.mask.pixel_decoder import PixelFeatures


@dataclass(frozen=True, slots=True)
class QueryPrediction:
    """One prediction of a decoder: the normalised state of every query, and its mask logits at stride 4."""

    states: Float[Tensor, "b q d"]
    masks: Float[Tensor, "b q h w"]


class MaskedDecoder(Mask2FormerTransformerModule):  # type: ignore[misc]  # transformers is untyped
    """One prediction from the learnt queries and one after each of `layers` layers; always in float32.

    Source: Mask2Former (Cheng et al., CVPR 2022). Layer i attends to level i mod 3 (strides 32, 16, 8) where the mask
    of the prediction before it is more than one half; a query whose mask is empty there attends everywhere.
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
            decoder_layers=layers + 1,  # transformers counts predictions
            dim_feedforward=feedforward,
            activation_function="relu",
            pre_norm=False,
            dropout=0.0,  # more would also drop whole layers
        )
        super().__init__(in_features=pixel_dim or dim, config=config)
        self.dim, self.queries, self.layers = dim, queries, layers
        _initialise(self)

    def forward(self, pixels: PixelFeatures) -> tuple[QueryPrediction, ...]:
        """All predictions, the last one last."""
        with torch.autocast(pixels.masks.device.type, enabled=False):
            out = super().forward(list(pixels.levels), pixels.masks)
        states = [state.transpose(0, 1) for state in out.intermediate_hidden_states]
        return tuple(map(QueryPrediction, states, out.masks_queries_logits))

    def embed_masks(self, states: Float[Tensor, "b q d"]) -> Float[Tensor, "b q c"]:
        """What of each query is multiplied with the mask features."""
        embedded: Tensor = self.decoder.mask_predictor.mask_embedder(states)
        return embedded


@torch.no_grad()
def _initialise(decoder: MaskedDecoder) -> None:
    """As the original code does: Xavier for matrices of attention and layers, standard normal for embeddings."""
    for layer in decoder.decoder.layers:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        for name in ("q_proj", "k_proj", "v_proj"):  # one matrix in the original, three times as high
            projection = getattr(layer.self_attn, name)
            nn.init.xavier_uniform_(projection.weight, gain=0.5**0.5)
            nn.init.zeros_(projection.bias)
        nn.init.zeros_(layer.self_attn.out_proj.bias)
    for embedding in (decoder.queries_embedder, decoder.queries_features, decoder.level_embed):
        nn.init.normal_(embedding.weight)
