"""SAM's image encoder for images of any size, derived from that of `transformers`."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder


class SamEncoder(SamVisionEncoder):  # type: ignore[misc]  # transformers is untyped
    """SAM's image encoder without its neck, for images of any size.

    The position embeddings are resized (bicubic) to the patch grid of the images in every call.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"pos_embed"})

    def __init__(self, config: SamVisionConfig) -> None:
        super().__init__(config)
        del self.neck

    def forward(self, pixels: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b c h w"]]:
        """Output maps of the blocks with global attention."""
        tokens = self.patch_embed.projection(pixels).permute(0, 2, 3, 1)
        table = self.pos_embed.permute(0, 3, 1, 2)
        if table.shape[-2:] != tokens.shape[1:3]:
            table = F.interpolate(table, size=tokens.shape[1:3], mode="bicubic", align_corners=False)
        tokens = tokens + table.permute(0, 2, 3, 1)
        found = []
        for index, layer in enumerate(self.layers):
            tokens = layer(tokens)
            if index in self.config.global_attn_indexes:
                found.append(tokens.permute(0, 3, 1, 2))
        return found
