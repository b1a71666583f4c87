"""Text towers of `transformers`: causal (CLIP), padded to the full context (SigLIP), masked (BERT, RoBERTa)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionParts, AttentionWeights, BackboneError
from ahs_seg.backbones.blocks import (
    key_value,
    post_norm_attention,
    post_norm_block,
    pre_norm_attention,
    pre_norm_block,
    recomputed,
)
from ahs_seg.backbones.tokenizer import Tokens

Reading = Literal["causal", "padded", "masked"]


class TextTower(ABC):
    """The text tower of a network of `transformers`, run block by block; it holds no weights of its own.

    `reading` is what a position attends to: "causal", the positions before it; "padded", all positions of a row that is
    padded to the whole context; "masked", all positions of its text.
    """

    reading: ClassVar[Reading]

    def __init__(self, network: Any) -> None:
        self.network = network
        self.config: Any = network.config.text_config
        self.heads: int = self.config.num_attention_heads

    @property
    def tower(self) -> Any:
        """The module of the text tower."""
        return self.network.text_model

    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks."""

    @abstractmethod
    def attention(self) -> list[AttentionParts]:
        """The attention layers, one entry per block."""

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of everything that `encode` depends on."""
        yield from self.tower.state_dict(keep_vars=True).items()
        yield "projection", self.network.text_projection.weight

    @abstractmethod
    def encode(
        self, tokens: Tokens, weights: Sequence[AttentionWeights], *, checkpointing: bool
    ) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised), with these attention weights."""


class PreNormText(TextTower):
    """A text tower of pre-norm blocks."""

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks."""
        layers: nn.ModuleList = self.tower.encoder.layers
        return layers

    def attention(self) -> list[AttentionParts]:
        """The attention layers, one entry per block."""
        return [pre_norm_attention(block) for block in self.blocks()]

    def run(
        self,
        states: Float[Tensor, "n l c"],
        weights: Sequence[AttentionWeights],
        real: Bool[Tensor, "n l"] | None,
        *,
        checkpointing: bool,
    ) -> Float[Tensor, "n l c"]:
        """The output of the last block; every position sees all positions that are `real` (None: all of them)."""
        mask = None if real is None else _padding_mask(real, states)
        for block, own in zip(self.blocks(), weights, strict=True):
            states = recomputed(pre_norm_block, block, own, states, self.heads, mask, active=checkpointing)
        return states


class CausalText(PreNormText):
    """The text tower of CLIP and MetaCLIP 2: causal attention, the embedding is that of the end token."""

    reading = "causal"

    def encode(
        self, tokens: Tokens, weights: Sequence[AttentionWeights], *, checkpointing: bool
    ) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised), with these attention weights.

        Only positions up to the end of the longest prompt are computed, and the common prefix of all prompts is
        computed only once: attention is causal, so later tokens cannot change it.
        """
        embeddings, shared = self.tower.embeddings, _shared_prefix(tokens)
        tokens = tokens.to(embeddings.position_embedding.weight.device)
        ids = tokens.ids
        positions = embeddings.position_embedding.weight[: ids.shape[1]]
        embedded = embeddings.token_embedding(ids[:, shared:]) + positions[shared:]
        prefix = (embeddings.token_embedding(ids[:1, :shared]) + positions[:shared]) if shared else None
        mask = _causal_mask(ids.shape[1], embedded)
        for block, own in zip(self.blocks(), weights, strict=True):
            context = None if prefix is None else key_value(block, own, prefix)
            rest = (block, own, embedded, self.heads, mask[shared:], context)
            embedded = recomputed(pre_norm_block, *rest, active=checkpointing)
            if prefix is not None:
                first = (block, own, prefix, self.heads, mask[:shared, :shared])
                prefix = recomputed(pre_norm_block, *first, active=checkpointing)
        last = embedded[torch.arange(len(ids), device=ids.device), tokens.ends - shared]
        result: Tensor = self.network.text_projection(self.tower.final_layer_norm(last))
        return result


class PaddedText(PreNormText):
    """The text tower of SigLIP: no mask, rows padded to the whole context; the embedding is that of the last position.

    Source: Zhai et al., ICCV 2023, and `transformers`. The padding takes part in the attention, so that a shorter row
    has another embedding.
    """

    reading = "padded"

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of everything that `encode` depends on; the projection is part of the tower."""
        yield from self.tower.state_dict(keep_vars=True).items()

    def encode(
        self, tokens: Tokens, weights: Sequence[AttentionWeights], *, checkpointing: bool
    ) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised), with these attention weights.

        Raises:
            BackboneError: the rows are not padded to the context of the tower.
        """
        embeddings = self.tower.embeddings
        table = embeddings.position_embedding.weight
        if tokens.ids.shape[1] != len(table):
            raise BackboneError(
                f"the texts are padded to {tokens.ids.shape[1]} tokens; this text tower reads rows of exactly "
                f"{len(table)}. Encode texts with the tokenizer of this backbone"
            )
        states = embeddings.token_embedding(tokens.to(table.device).ids) + table
        states = self.run(states, weights, None, checkpointing=checkpointing)
        result: Tensor = self.tower.head(self.tower.final_layer_norm(states[:, -1]))
        return result


class BertText(TextTower):
    """The text tower of Chinese-CLIP: a BERT without dropout; the embedding is that of the first token."""

    reading = "masked"

    @property
    def encoder(self) -> Any:
        """The module that has the embeddings and the blocks."""
        return self.tower

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks."""
        layers: nn.ModuleList = self.encoder.encoder.layer
        return layers

    def attention(self) -> list[AttentionParts]:
        """The attention layers, one entry per block."""
        return [post_norm_attention(block) for block in self.blocks()]

    def encode(
        self, tokens: Tokens, weights: Sequence[AttentionWeights], *, checkpointing: bool
    ) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised), with these attention weights; padding is masked."""
        tokens = tokens.to(self.network.text_projection.weight.device)
        states = self.embed(tokens.ids)
        mask = _padding_mask(real_tokens(tokens), states)
        for block, own in zip(self.blocks(), weights, strict=True):
            states = recomputed(post_norm_block, block, own, states, self.heads, mask, active=checkpointing)
        return self.project(states[:, 0])

    def embed(self, ids: Int[Tensor, "n l"]) -> Float[Tensor, "n l c"]:
        """The input of the first block."""
        embeddings, first = self.encoder.embeddings, self.first_position
        places = embeddings.position_embeddings.weight[first : first + ids.shape[1]]
        kind = embeddings.token_type_embeddings.weight[0]
        states: Tensor = embeddings.LayerNorm(embeddings.word_embeddings(ids) + kind + places)
        return states

    @property
    def first_position(self) -> int:
        """The row of the position table that belongs to the first token."""
        return 0

    def project(self, first: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """The embedding in the joint space of the final state of the first token."""
        result: Tensor = self.network.text_projection(first)
        return result


class RobertaText(BertText):
    """The text tower of AltCLIP: XLM-RoBERTa, whose positions begin after the padding id, with its own projection."""

    @property
    def encoder(self) -> Any:
        """The module that has the embeddings and the blocks."""
        return self.tower.roberta

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks."""
        layers: nn.ModuleList = self.encoder.encoder.layers
        return layers

    @property
    def first_position(self) -> int:
        """The row of the position table that belongs to the first token."""
        return int(self.config.pad_token_id) + 1

    def project(self, first: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """The embedding in the joint space of the final state of the first token."""
        return super().project(self.tower.transformation(self.tower.pre_LN(first)))


def _shared_prefix(tokens: Tokens) -> int:
    """Length of the common prefix of all prompts without their end tokens: a prompt may be the beginning of another."""
    if len(tokens) < 2:
        return 0
    same: Bool[Tensor, " l"] = (tokens.ids == tokens.ids[:1]).all(0)
    return int(torch.minimum(same.int().cumprod(0).sum(), tokens.ends.min()))


def _causal_mask(length: int, like: Tensor) -> Float[Tensor, "l l"]:
    return torch.full((length, length), float("-inf"), device=like.device, dtype=like.dtype).triu(1)


def real_tokens(tokens: Tokens) -> Bool[Tensor, "n l"]:
    """For every position, whether it belongs to the text and not to the padding."""
    return torch.arange(tokens.ids.shape[1], device=tokens.ids.device) <= tokens.ends[:, None]


def _padding_mask(real: Bool[Tensor, "n l"], like: Tensor) -> Float[Tensor, "n l l"]:
    mask = torch.zeros(real.shape, device=like.device, dtype=like.dtype).masked_fill(~real, float("-inf"))
    return mask[:, None].expand(-1, real.shape[1], -1)
