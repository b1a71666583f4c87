"""The pre-training forward pass: losses by name of one batch."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.data.world.mosaics import WORDS
from ahs_seg.training.tiny_clip.batches import PretrainBatch
from ahs_seg.training.tiny_clip.losses import Said, matching_loss, patch_loss, pool, strongest, word_loss

_LARGEST_SCALE: Final = 50.0


class PretrainStep(nn.Module):
    """The backbone with two auxiliary word classifiers, on the stem and on the last block, used in training only."""

    def __init__(self, backbone: ClipBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.stem_words = nn.Linear(backbone.width, sum(WORDS))
        self.block_words = nn.Linear(backbone.width, sum(WORDS))

    def forward(self, batch: PretrainBatch, *, stem_alone: bool) -> dict[str, Float[Tensor, ""]]:
        """Losses by name; with `stem_alone` only the stem and its word classifier are used."""
        images = batch.images.float() / 255
        if stem_alone:
            stem = self.backbone.stem
            with _fast(images):
                features = stem(self.backbone.normalise(images))
            features = features.float().flatten(2).transpose(1, 2)
            return {"words": self._words(self.stem_words, features, batch)}
        last = self.backbone.depth - 1
        with _fast(images):
            seen = self.backbone.encode_image(images, levels=(last,), pooled=True)
            text = self.backbone.encode_text(batch.tokens)
        assert seen.pooled is not None
        text = F.normalize(text.float(), dim=-1)
        scale = self.backbone.logit_scale.clamp(max=_LARGEST_SCALE)
        dense = seen.dense.float().flatten(2).transpose(1, 2)
        similarity = F.normalize(dense, dim=-1) @ text.T
        said = Said.of(batch.said, batch.compatible)
        losses = {
            "patches": patch_loss(scale * similarity, batch.part, said),
            "parts": matching_loss(scale * pool(similarity, batch.part, len(batch.said)), said),
            "words": self._words(self.block_words, seen.levels[0].float().flatten(2).transpose(1, 2), batch),
        }
        whole = _photographs(batch.part)
        if len(whole):
            rows = batch.part[whole].amax(1)
            naming = scale * (F.normalize(seen.pooled[whole].float(), dim=-1) @ text.T)
            losses["pictures"] = matching_loss(naming, Said(said.own[rows], said.fair[rows]))
        return losses

    def _words(self, head: nn.Linear, features: Float[Tensor, "b n c"], batch: PretrainBatch) -> Float[Tensor, ""]:
        return word_loss(head(strongest(features, batch.part, len(batch.said))), batch.told, WORDS)


def _fast(like: Tensor) -> torch.autocast:
    """Autocast to bfloat16, for the two towers; similarities and losses stay in float32."""
    return torch.autocast(like.device.type, torch.bfloat16)


def _photographs(part: Int[Tensor, "b n"]) -> Int[Tensor, " k"]:
    """Indices of the images that consist of a single part."""
    whole: Bool[Tensor, " b"] = (part == part[:, :1]).all(1)
    return whole.nonzero()[:, 0]


def loss_sum(losses: dict[str, Tensor], weights: dict[str, float]) -> Float[Tensor, ""]:
    """Weighted sum of the losses."""
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()
