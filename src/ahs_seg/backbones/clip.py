"""CLIP as a backbone with dense features: one feature per patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionWeights, DenseForm
from ahs_seg.backbones.blocks import Block, key_value
from ahs_seg.backbones.dense_forms import CAT_SEG, last_block, unused_parameters
from ahs_seg.backbones.image_tower import HasImageTower, embed_patches, project_tokens
from ahs_seg.backbones.text_towers import BertText, CausalText, RobertaText, TextTower
from ahs_seg.backbones.tokenizer import TextTokenizer
from ahs_seg.backbones.two_towers import TwoTowerBackbone, to_map
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.types import ImageFeatures

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class ClipBackbone(TwoTowerBackbone):
    """A CLIP as a backbone: dense image features, hidden levels, image embeddings and text embeddings.

    `dense_form` is what the last block computes for dense features (`backbones.dense_forms`).
    """

    kind = "clip"
    has_dense_forms = True
    languages: tuple[str, ...] | None = ("en",)
    text_tower: ClassVar[type[TextTower]] = CausalText
    image_parts = ("vision_model.", "visual_projection.")

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        *,
        resolution: int,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        dense_form: DenseForm = CAT_SEG,
    ) -> None:
        super().__init__(model, tokenizer, resolution=resolution, mean=mean, std=std)
        self.dense_form = dense_form

    @property
    def image_tower(self) -> HasImageTower:
        """The image tower with its pre-trained attention, for the functions of `backbones.image_tower`."""
        tower: HasImageTower = self.model
        return tower

    def unused_in_dense(self) -> list[nn.Parameter]:
        """Parameters of the last image block that the dense form does not use, such as the query without attention."""
        return unused_parameters(self.dense_form, self.blocks("vision")[-1])

    def without_adapter(self) -> ClipBackbone:
        """The same CLIP without its adapter; all weights are shared, not copied."""
        return type(self)(
            self.model,
            self.tokenizer,
            resolution=self.resolution,
            mean=self.mean,
            std=self.std,
            dense_form=self.dense_form,
        )

    def embed_image(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b n c"], tuple[int, int]]:
        """Input tokens of the first block (class token first) for normalised images, and the size of the patch grid."""
        return embed_patches(self.model, pixels)

    def encode_image(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images (RGB in [0, 1]) whose sides are multiples of the patch size.

        `levels` are the indices (0-based) of the blocks whose outputs are returned; the last index means the dense
        output of the last block before the final norm. `pooled` adds the whole-image embedding.
        """
        self._check_levels(levels)
        tokens, grid = self._embed_image(images)
        weights = self.attention_weights("vision")
        blocks = self.model.vision_model.encoder.layers
        hidden: dict[int, Tensor] = {}
        for index, block in enumerate(blocks[:-1]):
            tokens = self._block(block, weights[index], tokens)
            if index in levels:
                hidden[index] = tokens
        last = last_block(self.dense_form, blocks[-1], weights[-1], tokens, heads=self.heads, grid=grid)
        hidden[self.depth - 1] = last
        dense = project_tokens(self.model, last)
        return ImageFeatures(
            dense=to_map(dense[:, 1:], grid),
            levels=tuple(to_map(hidden[index][:, 1:], grid) for index in levels),
            pooled=self._pool(blocks[-1], weights[-1], tokens) if pooled else None,
        )

    def read_last(
        self, tokens: Float[Tensor, "b n c"], grid: tuple[int, int], form: DenseForm
    ) -> Float[Tensor, "b n c"]:
        """Output tokens of the last block in a dense form, from its input tokens (class token first)."""
        block, weights = self.blocks("vision")[-1], self.attention_weights("vision")[-1]
        return last_block(form, block, weights, tokens, heads=self.heads, grid=grid)

    def _pool(self, block: Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        query = F.linear(block.layer_norm1(tokens[:, :1]), weights.query, block.self_attn.q_proj.bias)
        key, value = key_value(block, weights, tokens)
        mixed = multi_head_attention(query, key, value, self.heads)
        start = tokens[:, :1] + F.linear(mixed, weights.output, block.self_attn.out_proj.bias)
        return project_tokens(self.model, start + block.mlp(block.layer_norm2(start)))[:, 0]


class MetaClip2Backbone(ClipBackbone):
    """A MetaCLIP 2 (Chuang et al., 2025): a CLIP whose text tower reads the words of more than 300 languages."""

    kind = "metaclip_2"
    languages = None


class ChineseClipBackbone(ClipBackbone):
    """A Chinese-CLIP (Yang et al., 2022): CLIP's image tower and a Chinese BERT."""

    kind = "chinese_clip"
    languages = ("zh", "en")
    text_tower = BertText


class AltClipBackbone(ClipBackbone):
    """An AltCLIP (Chen et al., 2022): CLIP's image tower and XLM-RoBERTa, for 2, 9 or 18 languages."""

    kind = "altclip"
    languages = None
    text_tower = RobertaText
