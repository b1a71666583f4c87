"""CLIP as a backbone with dense features: any CLIP of `transformers`, with one feature per patch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPConfig, CLIPModel

from ahs_seg.backbones.base import AttentionParts, AttentionWeights, Backbone, BackboneError, DenseForm, Tower
from ahs_seg.backbones.conv_stem import ConvStem
from ahs_seg.backbones.dense_forms import CAT_SEG, last_block, unused_parameters
from ahs_seg.backbones.image_tower import HasImageTower, embed_patches, project_tokens
from ahs_seg.backbones.tokenizer import TextTokenizer, Tokens
from ahs_seg.io.atomic import write_text
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.types import ImageFeatures

_Block = Any  # a CLIPEncoderLayer; transformers is untyped

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class StemmedClipModel(CLIPModel):  # type: ignore[misc]  # transformers is untyped
    """`CLIPModel` whose patch convolution may be a `ConvStem` (`vision_config.stem_channels`)."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__(config)
        channels = getattr(config.vision_config, "stem_channels", None)
        if channels is not None:
            vision = config.vision_config
            self.vision_model.embeddings.patch_embedding = ConvStem(
                channels, vision.hidden_size, halvings=vision.patch_size.bit_length() - 1
            )


class ClipBackbone(Backbone):
    """A CLIP as a backbone: dense image features, hidden levels, image embeddings and text embeddings.

    `dense_form` is what the last block computes for dense features (`backbones.dense_forms`).

    `resolution` is the side, in pixels, to which methods resize images; any multiple of the patch size works, because
    the position embeddings are resized.
    """

    kind = "clip"

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: TextTokenizer,
        *,
        resolution: int,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        dense_form: DenseForm = CAT_SEG,
    ) -> None:
        super().__init__()
        self.dense_form = dense_form
        self.model = model
        self.tokenizer = tokenizer
        self.resolution = resolution
        self.adapter: nn.Module | None = None
        self.checkpointing = False
        self.mean = tuple(mean)
        self.std = tuple(std)
        vision, text = model.config.vision_config, model.config.text_config
        self.dim: int = model.config.projection_dim
        self.width: int = vision.hidden_size
        self.text_width: int = text.hidden_size
        self.patch_size: int = vision.patch_size
        self.depth: int = vision.num_hidden_layers
        self.text_depth: int = text.num_hidden_layers
        self.grid = resolution // self.patch_size
        self.heads: int = vision.num_attention_heads
        self._text_heads: int = text.num_attention_heads
        if resolution % self.patch_size:
            raise BackboneError(
                f"resolution {resolution} is not a multiple of the patch size {self.patch_size}; "
                f"use {self.grid * self.patch_size} or {(self.grid + 1) * self.patch_size}"
            )

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.text_projection.weight.device
        return device

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """The scale of cosine similarities used in pre-training (the inverse of the temperature)."""
        scale: Tensor = self.model.logit_scale.exp()
        return scale

    @property
    def stem(self) -> nn.Module:
        """The patch embedding layer of the image tower."""
        stem: nn.Module = self.model.vision_model.embeddings.patch_embedding
        return stem

    @property
    def position_table(self) -> nn.Parameter:
        """The position embeddings of the image tower; the first one belongs to the class token."""
        table: nn.Parameter = self.model.vision_model.embeddings.position_embedding.weight
        return table

    @property
    def image_tower(self) -> HasImageTower:
        """The image tower with its pre-trained attention, for the functions of `backbones.image_tower`."""
        tower: HasImageTower = self.model
        return tower

    def blocks(self, tower: Tower) -> nn.ModuleList:
        """The transformer blocks of a tower."""
        layers: nn.ModuleList = (self.model.vision_model if tower == "vision" else self.model.text_model).encoder.layers
        return layers

    def attention(self, tower: Tower) -> list[AttentionParts]:
        """The pre-trained attention layers of a tower, one entry per block."""
        layers: list[Any] = [block.self_attn for block in self.blocks(tower)]
        return [AttentionParts(part.q_proj, part.k_proj, part.v_proj, part.out_proj) for part in layers]

    def unused_in_dense(self) -> list[nn.Parameter]:
        """Parameters of the last image block that the dense form does not use, such as the query without attention."""
        return unused_parameters(self.dense_form, self.blocks("vision")[-1])

    def image_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the image tower, with their names in `model`."""
        parts = ("vision_model.", "visual_projection.")
        return {name: value for name, value in self.model.named_parameters() if name.startswith(parts)}

    def text_state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of the text tower and of the text projection."""
        yield from self.model.text_model.state_dict(keep_vars=True).items()
        yield "projection", self.model.text_projection.weight

    def text_settings(self) -> dict[str, Any]:
        """The configuration of the text tower."""
        settings: dict[str, Any] = self.model.config.text_config.to_dict()
        settings.pop("transformers_version", None)
        return settings

    def save_description(self, directory: Path) -> None:
        """Write configuration, tokenizer and image statistics, without weights, in the format of `transformers`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.model.config.save_pretrained(directory)
        self.tokenizer.save(directory)
        statistics = {"image_mean": list(self.mean), "image_std": list(self.std)}
        write_text(directory / "preprocessor_config.json", json.dumps(statistics, indent=2))

    def without_adapter(self) -> ClipBackbone:
        """The same CLIP without its adapter; all weights are shared, not copied."""
        return ClipBackbone(
            self.model,
            self.tokenizer,
            resolution=self.resolution,
            mean=self.mean,
            std=self.std,
            dense_form=self.dense_form,
        )

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
            tokens = self._block("vision", block, weights[index], tokens)
            if index in levels:
                hidden[index] = tokens
        last = last_block(self.dense_form, blocks[-1], weights[-1], tokens, heads=self.heads, grid=grid)
        hidden[self.depth - 1] = last
        dense = project_tokens(self.model, last)
        return ImageFeatures(
            dense=_to_map(dense[:, 1:], grid),
            levels=tuple(_to_map(hidden[index][:, 1:], grid) for index in levels),
            pooled=self._pool(blocks[-1], weights[-1], tokens) if pooled else None,
        )

    def encode_text(self, tokens: Tokens) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised) of n prompts.

        Only positions up to the end of the longest prompt are computed, and the common prefix of all prompts is
        computed only once: attention is causal, so later tokens cannot change it.
        """
        tower = self.model.text_model
        ids, ends = tokens.ids, tokens.ends
        shared = _shared_prefix(ids)
        positions = tower.embeddings.position_embedding.weight[: ids.shape[1]]
        embedded = tower.embeddings.token_embedding(ids[:, shared:]) + positions[shared:]
        prefix = (tower.embeddings.token_embedding(ids[:1, :shared]) + positions[:shared]) if shared else None
        mask = _causal_mask(ids.shape[1], embedded)
        for block, weights in zip(tower.encoder.layers, self.attention_weights("text"), strict=True):
            context = None if prefix is None else self._key_value(block, weights, prefix)
            embedded = self._block("text", block, weights, embedded, mask[shared:], context)
            if prefix is not None:
                prefix = self._block("text", block, weights, prefix, mask[:shared, :shared])
        last = embedded[torch.arange(len(ids), device=ids.device), ends - shared]
        return self.model.text_projection(tower.final_layer_norm(last))

    def _check_levels(self, levels: Sequence[int]) -> None:
        wrong = [level for level in levels if not 0 <= level < self.depth]
        if wrong:
            raise BackboneError(
                f"level {wrong[0]} does not exist; this backbone has {self.depth} blocks, "
                f"so levels are 0 to {self.depth - 1}"
            )

    def _embed_image(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        height, width = images.shape[-2:]
        patch = self.patch_size
        if height % patch or width % patch:
            up = (-(-height // patch) * patch, -(-width // patch) * patch)
            raise BackboneError(
                f"image is {width}x{height} pixels; both sides must be multiples of {patch}. "
                f"Pad it to {up[1]}x{up[0]} or let Segmenter resize."
            )
        return embed_patches(self.model, self.normalise(images))

    def _block(
        self,
        tower: Tower,
        block: _Block,
        weights: AttentionWeights,
        tokens: Tensor,
        mask: Tensor | None = None,
        context: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self._plain_block, tower, block, weights, tokens, mask, context, use_reentrant=False)
        return self._plain_block(tower, block, weights, tokens, mask, context)

    def _plain_block(
        self,
        tower: Tower,
        block: _Block,
        weights: AttentionWeights,
        tokens: Tensor,
        mask: Tensor | None,
        context: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        attention = block.self_attn
        normed = block.layer_norm1(tokens)
        query = F.linear(normed, weights.query, attention.q_proj.bias)
        key = F.linear(normed, weights.key, attention.k_proj.bias)
        value = F.linear(normed, weights.value, attention.v_proj.bias)
        if context is not None:
            key, value = (_prepend(first, rest) for first, rest in zip(context, (key, value), strict=True))
        mixed = multi_head_attention(query, key, value, self.heads if tower == "vision" else self._text_heads, mask)
        tokens = tokens + F.linear(mixed, weights.output, attention.out_proj.bias)
        return tokens + block.mlp(block.layer_norm2(tokens))

    def _key_value(self, block: _Block, weights: AttentionWeights, tokens: Tensor) -> tuple[Tensor, Tensor]:
        normed = block.layer_norm1(tokens)
        return (
            F.linear(normed, weights.key, block.self_attn.k_proj.bias),
            F.linear(normed, weights.value, block.self_attn.v_proj.bias),
        )

    def _pool(self, block: _Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        query = F.linear(block.layer_norm1(tokens[:, :1]), weights.query, block.self_attn.q_proj.bias)
        key, value = self._key_value(block, weights, tokens)
        mixed = multi_head_attention(query, key, value, self.heads)
        start = tokens[:, :1] + F.linear(mixed, weights.output, block.self_attn.out_proj.bias)
        return project_tokens(self.model, start + block.mlp(block.layer_norm2(start)))[:, 0]


def _shared_prefix(ids: Tensor) -> int:
    """Length of the common prefix of all prompts, always shorter than the prompts."""
    same: Bool[Tensor, " l"] = (ids == ids[:1]).all(0)
    length = int(same.int().cumprod(0).sum())
    return min(length, ids.shape[1] - 1) if len(ids) > 1 else 0


def _causal_mask(length: int, like: Tensor) -> Float[Tensor, "l l"]:
    return torch.full((length, length), float("-inf"), device=like.device, dtype=like.dtype).triu(1)


def _prepend(first: Float[Tensor, "1 p d"], rest: Float[Tensor, "n l d"]) -> Float[Tensor, "n q d"]:
    return torch.cat([first.expand(len(rest), -1, -1), rest], 1)


def _to_map(tokens: Float[Tensor, "b n c"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    return tokens.transpose(1, 2).unflatten(-1, grid)
