"""CAT-Seg's tuning: query and value matrices of every block of both towers."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import Config
from ahs_seg.tuners.frozen import freeze


class Attention(Config):
    """Query and value matrices train, nothing else (CAT-Seg, CLIP_FINETUNE "attention").

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

    def merge(self, backbone: ClipBackbone) -> ClipBackbone:
        """The backbone itself: the tuned weights are its own."""
        return backbone
