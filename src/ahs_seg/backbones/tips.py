"""TIPSv2 as a backbone: a class token, registers, and patches that were trained to fit texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionParts, AttentionWeights, Tower
from ahs_seg.backbones.blocks import Block, recomputed
from ahs_seg.backbones.image_tower import resample_positions
from ahs_seg.backbones.text_towers import PreNormText, real_tokens
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.backbones.two_towers import TwoTowerBackbone, to_map
from ahs_seg.io.weight_files import StoredTensor
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.types import ImageFeatures

_RENAMED: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^vision_encoder\.", "vision_model."),
        (r"^(vision_model)\.patch_embed\.proj\.", r"\1.embeddings.patch_embeddings.projection."),
        (r"^(vision_model)\.((cls|mask)_token|register_tokens)$", r"\1.embeddings.\2"),
        (r"^(vision_model)\.pos_embed$", r"\1.embeddings.position_embeddings"),
        (r"^(vision_model)\.norm\.", r"\1.layernorm."),
        (r"^(vision_model)\.blocks\.", r"\1.encoder.layer."),
        (r"^(vision_model\..*)\.attn\.proj\.", r"\1.attention.o_proj."),
        (r"^(vision_model\..*)\.ls([12])\.gamma$", r"\1.layer_scale\2.lambda1"),
        (r"^(vision_model\..*)\.mlp\.w3\.", r"\1.mlp.down_proj."),
        (r"^text_encoder\.", "text_model."),
        (r"^(text_model)\.ln_final\.", r"\1.final_layer_norm."),
        (r"^(text_model)\.token_embedding\.", r"\1.embeddings.token_embedding."),
        (r"^(text_model)\.transformer\.resblocks\.", r"\1.encoder.layers."),
        (r"^(text_model\..*)\.ln_([12])\.", r"\1.layer_norm\2."),
        (r"^(text_model\..*)\.attn\.out_proj\.", r"\1.self_attn.out_proj."),
        (r"^(.*)\.mlp\.c_fc\.", r"\1.mlp.fc1."),
        (r"^(.*)\.mlp\.c_proj\.", r"\1.mlp.fc2."),
    )
)
"""Keys of the published files, and those of `transformers`."""
_PACKED: Final = (
    (re.compile(r"^(vision_model\..*)\.attn\.qkv\.(weight|bias)$"), r"\1.attention.{}_proj.\2", "qkv"),
    (re.compile(r"^(text_model\..*)\.attn\.in_proj_(weight|bias)$"), r"\1.self_attn.{}_proj.\2", "qkv"),
    (re.compile(r"^(vision_model\..*)\.mlp\.w12\.(weight|bias)$"), r"\1.mlp.{}_proj.\2", ("gate", "up")),
)
"""Keys of published files that hold several weights one below the other."""


def tips_weights(stored: Mapping[str, StoredTensor], config: Any) -> dict[str, StoredTensor]:
    """The weights of a TIPSv2 under the keys of `transformers`.

    Published files have no temperature, as in `transformers`; it is that of the config, and changes no label.
    """
    found: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)  # one rule after the other
        for pattern, replacement, parts in _PACKED:
            if pattern.match(name) and len(tensor.shape) and tensor.shape[0] % len(parts) == 0:
                rows = tensor.shape[0] // len(parts)
                for index, part in enumerate(parts):
                    key = pattern.sub(replacement, name).format(part)
                    read = partial(_rows, tensor, index * rows, rows)
                    found[key] = StoredTensor(torch.Size((rows, *tensor.shape[1:])), tensor.dtype, read)
                break
        else:
            found[name] = tensor
    if "temperature" not in found:
        value = torch.tensor(float(config.temperature_init_value))
        found["temperature"] = StoredTensor(value.shape, value.dtype, value.clone)
    return found


def _rows(tensor: StoredTensor, start: int, count: int) -> Tensor:
    return tensor.read()[start : start + count]


class MeanText(PreNormText):
    """The text tower of TIPSv2: fixed positions, padding masked; the embedding is the mean over the tokens."""

    reading = "masked"

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of everything that `encode` depends on; there is no projection."""
        yield from self.tower.state_dict(keep_vars=True).items()

    def encode(
        self, tokens: Tokens, weights: Sequence[AttentionWeights], *, checkpointing: bool
    ) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised), with these attention weights."""
        embeddings = self.tower.embeddings
        tokens = tokens.to(embeddings.token_embedding.weight.device)
        real = real_tokens(tokens)
        places = embeddings.position_embedding.weights[: tokens.ids.shape[1]]
        states = embeddings.token_embedding(tokens.ids) * embeddings.embed_scale + places
        states = self.tower.final_layer_norm(self.run(states, weights, real, checkpointing=checkpointing))
        counted = real[..., None].to(states.dtype)
        return (states * counted).sum(1) / (counted.sum(1) + self.config.pooling_epsilon)


class Tipsv2Backbone(TwoTowerBackbone):
    """A TIPSv2 as a backbone.

    Dense features follow the value path of the last block; each patch keeps its own residual, as in the notebook of the
    authors. Source: TIPSv2 (google-deepmind/tips) and its classes in `transformers`.
    """

    kind = "tipsv2"
    languages = ("en",)
    text_tower = MeanText

    @classmethod
    def joint_width(cls, config: Any) -> int:
        """The dimension of the joint space, which is the width of both towers."""
        width: int = config.vision_config.hidden_size
        return width

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.temperature.device
        return device

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """The scale of cosine similarities used in pre-training (the inverse of the temperature)."""
        scale: Tensor = 1 / self.model.temperature
        return scale

    @property
    def stem(self) -> nn.Module:
        """The patch embedding layer of the image tower."""
        stem: nn.Module = self.model.vision_model.embeddings.patch_embeddings.projection
        return stem

    @property
    def position_table(self) -> nn.Parameter:
        """The position embeddings of the image tower [1 n c]; the first one belongs to the class token."""
        table: nn.Parameter = self.model.vision_model.embeddings.position_embeddings
        return table

    @property
    def leading(self) -> int:
        """The number of tokens before those of the patches: class token and registers."""
        return 1 + int(self.model.config.vision_config.num_register_tokens)

    def blocks(self, tower: Tower) -> nn.ModuleList:
        """The transformer blocks of a tower."""
        layers: nn.ModuleList = self.model.vision_model.encoder.layer
        return layers if tower == "vision" else self.text.blocks()

    def attention(self, tower: Tower) -> list[AttentionParts]:
        """The pre-trained attention layers of a tower, one entry per block."""
        if tower == "text":
            return self.text.attention()
        layers: list[Any] = [block.attention for block in self.blocks("vision")]
        return [AttentionParts(own.q_proj, own.k_proj, own.v_proj, own.o_proj) for own in layers]

    def unused_in_dense(self) -> list[nn.Parameter]:
        """Query and key projection of the last image block, and the token of masked patches."""
        last = self.attention("vision")[-1]
        masked = self.model.vision_model.embeddings.mask_token
        return [*last.query.parameters(), *last.key.parameters(), masked]

    def embed_image(self, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b n c"], tuple[int, int]]:
        """Input tokens of the first block (class token, registers, patches), and the size of the patch grid."""
        embeddings = self.model.vision_model.embeddings
        patches = self.stem(pixels)
        grid = (patches.shape[-2], patches.shape[-1])
        places = resample_positions(self.position_table[0], grid, antialias=True)
        start = (embeddings.cls_token[0] + places[:1]).expand(len(pixels), -1, -1)
        registers = embeddings.register_tokens.expand(len(pixels), -1, -1)
        return torch.cat([start, registers, patches.flatten(2).transpose(1, 2) + places[1:]], 1), grid

    def encode_image(
        self, images: Float[Tensor, "b 3 H W"], *, levels: Sequence[int] = (), pooled: bool = False
    ) -> ImageFeatures:
        """Features of images (RGB in [0, 1]) whose sides are multiples of the patch size.

        `levels` are the indices (0-based) of the blocks whose outputs are returned; the last index means the dense
        output of the last block before the final norm. `pooled` adds the whole-image embedding.
        """
        self._check_levels(levels)
        tokens, grid = self._embed_image(images)
        blocks, weights = self.blocks("vision"), self.attention_weights("vision")
        hidden: dict[int, Tensor] = {}
        for index, block in enumerate(blocks[:-1]):
            tokens = recomputed(self._whole_block, block, weights[index], tokens, active=self.checkpointing)
            if index in levels:
                hidden[index] = tokens[:, self.leading :]
        last, norm = blocks[-1], self.model.vision_model.layernorm
        patches = tokens[:, self.leading :]
        hidden[self.depth - 1] = self._finish(last, weights[-1], patches, self._value(last, weights[-1], patches))
        whole = norm(self._whole_block(last, weights[-1], tokens))[:, 0] if pooled else None
        return ImageFeatures(
            dense=to_map(norm(hidden[self.depth - 1]), grid),
            levels=tuple(to_map(hidden[index], grid) for index in levels),
            pooled=whole,
        )

    def _whole_block(self, block: Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        own, normed = block.attention, block.norm1(tokens)
        query = F.linear(normed, weights.query, own.q_proj.bias)
        key = F.linear(normed, weights.key, own.k_proj.bias)
        value = F.linear(normed, weights.value, own.v_proj.bias)
        return self._finish(block, weights, tokens, multi_head_attention(query, key, value, self.heads))

    @staticmethod
    def _value(block: Block, weights: AttentionWeights, tokens: Tensor) -> Tensor:
        return F.linear(block.norm1(tokens), weights.value, block.attention.v_proj.bias)

    @staticmethod
    def _finish(block: Block, weights: AttentionWeights, tokens: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a block after its values were mixed."""
        tokens = tokens + block.layer_scale1(F.linear(mixed, weights.output, block.attention.o_proj.bias))
        result: Tensor = tokens + block.layer_scale2(block.mlp(block.norm2(tokens)))
        return result
