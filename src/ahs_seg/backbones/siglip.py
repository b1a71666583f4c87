"""SigLIP and SigLIP 2 as backbones: no class token; patches enter the space of the text through the pooling head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.image_tower import resample_positions
from ahs_seg.backbones.text_towers import PaddedText
from ahs_seg.backbones.tokenizer import TextTokenizer
from ahs_seg.backbones.two_towers import TwoTowerBackbone, to_map
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.types import ImageFeatures

ENGLISH_TOKENS: Final = 32_000
"""Number of tokens of the SigLIP models that were trained on English texts; the others have 250,000 or 256,000."""


class SiglipBackbone(TwoTowerBackbone):
    """A SigLIP or a SigLIP 2 of fixed resolution as a backbone.

    The pooling head is an attention with one learned query. Dense features follow its value path, and then its norm and
    MLP: each is exactly what the head makes of that patch alone, which is where the image embeddings of the training
    are. The last hidden states are in another space than the text. The head keeps its weights under every tuner.

    Source: Zhai et al., ICCV 2023; Tschannen et al., 2025 (SigLIP 2). The use of the value path is ours.
    """

    kind = "siglip"
    text_tower = PaddedText
    antialias = False
    """How the position table is resized; see `resample_positions`."""

    def __init__(
        self, model: Any, tokenizer: TextTokenizer, *, resolution: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__(model, tokenizer, resolution=resolution, mean=mean, std=std)
        if model.config.text_config.vocab_size <= ENGLISH_TOKENS:
            self.languages = ("en",)

    @classmethod
    def joint_width(cls, config: Any) -> int:
        """The dimension of the joint space, which is the width of the image tower."""
        width, text = config.vision_config.hidden_size, config.text_config
        given = getattr(text, "projection_size", None)
        projected = text.hidden_size if given is None else given
        if not getattr(config.vision_config, "vision_use_head", True):
            raise BackboneError(
                "vision_config.vision_use_head is false; without its pooling head a SigLIP fits no text"
            )
        if projected != width:
            raise BackboneError(
                f"images are embedded in {width} dimensions (vision_config.hidden_size), texts in {projected} "
                "(text_config.projection_size); both must be equal"
            )
        return int(width)

    def unused_in_dense(self) -> list[nn.Parameter]:
        """The query of the pooling head; a patch alone has the weight 1 whatever the query is."""
        return [self.model.vision_model.head.probe]

    def embed_image(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b n c"], tuple[int, int]]:
        """Input tokens of the first block for normalised images, and the size of the patch grid."""
        patches = self.patches(pixels)
        grid = (patches.shape[-2], patches.shape[-1])
        places = resample_positions(self.position_table, grid, class_rows=0, antialias=self.antialias)
        return patches.flatten(2).transpose(1, 2) + places, grid

    def patches(self, pixels: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Embedded patches of normalised images, without positions."""
        embedded: Tensor = self.stem(pixels)
        return embedded

    def encode_image(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images (RGB in [0, 1]) whose sides are multiples of the patch size.

        `levels` are the indices (0-based) of the blocks whose outputs are returned; the last one is the output of the
        last block as it was trained. `pooled` adds the whole-image embedding.
        """
        self._check_levels(levels)
        tokens, grid = self._embed_image(images)
        hidden: dict[int, Tensor] = {}
        blocks = self.blocks("vision")
        for index, (block, weights) in enumerate(zip(blocks, self.attention_weights("vision"), strict=True)):
            tokens = self._block(block, weights, tokens)
            if index in levels:
                hidden[index] = tokens
        final: Tensor = self.model.vision_model.post_layernorm(tokens)
        return ImageFeatures(
            dense=to_map(self._through_head(self._values(final)), grid),
            levels=tuple(to_map(hidden[index], grid) for index in levels),
            pooled=self._pool(final) if pooled else None,
        )

    def _values(self, states: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        own = self.model.vision_model.head.attention
        return F.linear(states, own.in_proj_weight[2 * self.width :], own.in_proj_bias[2 * self.width :])

    def _through_head(self, mixed: Float[Tensor, "b n c"]) -> Float[Tensor, "b n d"]:
        head = self.model.vision_model.head
        update = head.attention.out_proj(mixed)
        result: Tensor = update + head.mlp(head.layernorm(update))
        return result

    def _pool(self, states: Float[Tensor, "b n c"]) -> Float[Tensor, "b d"]:
        head, width = self.model.vision_model.head, self.width
        own = head.attention
        query = F.linear(head.probe, own.in_proj_weight[:width], own.in_proj_bias[:width])
        key = F.linear(states, own.in_proj_weight[width : 2 * width], own.in_proj_bias[width : 2 * width])
        mixed = multi_head_attention(query.expand(len(states), -1, -1), key, self._values(states), self.heads)
        return self._through_head(mixed)[:, 0]


class Siglip2Backbone(SiglipBackbone):
    """A SigLIP 2 for any grid (NaFlex): patches are embedded by a linear layer over row, column and channel."""

    kind = "siglip2"
    antialias = True

    @classmethod
    def native_resolution(cls, config: Any) -> int:
        """The side, in pixels, that the position table of a network with this config belongs to."""
        side: int = round(config.vision_config.num_patches**0.5) * config.vision_config.patch_size
        return side

    def patches(self, pixels: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Embedded patches of normalised images, without positions: the linear layer as a convolution."""
        patch, stem = self.patch_size, self.model.vision_model.embeddings.patch_embedding
        kernel = stem.weight.unflatten(1, (patch, patch, 3)).permute(0, 3, 1, 2)
        return F.conv2d(pixels, kernel, stem.bias, stride=patch)
