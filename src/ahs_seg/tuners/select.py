"""Tuners that choose among the backbone's own weights."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.tuners.base import TunerConfig, freeze


class Frozen(TunerConfig):
    """Nothing of the CLIP trains."""

    name: Literal["frozen"] = "frozen"

    def apply(self, backbone: ClipBackbone) -> ClipBackbone:
        """Freeze every parameter."""
        return freeze(backbone)


class Attention(TunerConfig):
    """Query and value matrices of every block of both towers train (CAT-Seg, CLIP_FINETUNE "attention").

    The query of the last vision block has no part in dense features. The original lists it as trainable although it
    never receives a gradient (weight decay alone moves it); here it stays frozen.
    """

    name: Literal["attention"] = "attention"

    def apply(self, backbone: ClipBackbone) -> ClipBackbone:
        """Freeze all but the query and value matrices."""
        freeze(backbone)
        vision = backbone.model.vision_model.encoder.layers
        for block in [*vision, *backbone.model.text_model.encoder.layers]:
            block.self_attn.q_proj.weight.requires_grad_()
            block.self_attn.v_proj.weight.requires_grad_()
        vision[-1].self_attn.q_proj.weight.requires_grad_(requires_grad=False)
        return backbone


class Full(TunerConfig):
    """All weights of the transformer blocks train (CAT-Seg, CLIP_FINETUNE "full"); `stem` adds the patch embedding.

    As with attention tuning, what has no part in dense features (query and key of the last vision block) stays frozen.
    """

    name: Literal["full"] = "full"
    stem: bool = False

    def apply(self, backbone: ClipBackbone) -> ClipBackbone:
        """Freeze all but the transformer blocks (and the patch embedding, if asked for)."""
        freeze(backbone)
        vision = backbone.model.vision_model
        vision.encoder.requires_grad_()
        backbone.model.text_model.encoder.requires_grad_()
        vision.embeddings.patch_embedding.requires_grad_(self.stem)
        last = vision.encoder.layers[-1].self_attn
        last.q_proj.requires_grad_(requires_grad=False)
        last.k_proj.requires_grad_(requires_grad=False)
        return backbone
