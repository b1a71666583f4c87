"""Full tuning: every block of both towers."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import Config
from ahs_seg.tuners.frozen import freeze


class Full(Config):
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

    def merge(self, backbone: ClipBackbone) -> ClipBackbone:
        """The backbone itself: the tuned weights are its own."""
        return backbone
