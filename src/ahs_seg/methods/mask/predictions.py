"""What the decoders of the mask family return, apart from the decoders, which import much of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PixelFeatures:
    """Output of the pixel decoder: mask features at stride 4, and feature maps at strides 32, 16 and 8."""

    masks: Float[Tensor, "b c h w"]
    levels: tuple[Float[Tensor, "b d h2 w2"], Float[Tensor, "b d h3 w3"], Float[Tensor, "b d h4 w4"]]


@dataclass(frozen=True, slots=True)
class QueryPrediction:
    """Prediction after one decoder layer: the normalised state of every query, and its mask logits at stride 4."""

    states: Float[Tensor, "b q d"]
    masks: Float[Tensor, "b q h w"]


Decoders: TypeAlias = tuple[Any, Any]
"""A `PixelDecoder` and a `MaskedDecoder`; both derive from classes of `transformers`, which is untyped."""
