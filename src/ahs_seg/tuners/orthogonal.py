"""H-CLIP's tuning: rotations of the attention weights of both towers, shared across layers and modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import AttentionWeights, ClipBackbone, Tower
from ahs_seg.config import Config
from ahs_seg.tuners.frozen import freeze
from ahs_seg.tuners.modulation import EnergyModulation, Modulation

VisionConstraint = Literal["free", "cayley"]
PROJECTIONS = len(AttentionWeights._fields)


class Orthogonal(Config):
    """Orthogonal tuning with cross-layer relations (H-CLIP, Peng et al., CVPR 2025).

    The original rotates only the text tower; its matrices for the vision tower are free. `vision_constraint="cayley"`
    makes those rotations too. The original works for ViT-B/16 alone; here slots and layers follow the towers' sizes.
    `modulation` lets every layer choose how much of its rotations it takes (AHS-Seg, HA-HEM).
    """

    name: Literal["orthogonal"] = "orthogonal"
    block: int = 128
    vision_constraint: VisionConstraint = "free"
    modulation: Modulation | None = None

    def apply(self, backbone: ClipBackbone) -> ClipBackbone:
        """Freeze the backbone and give it trainable rotations, which start as the identity."""
        freeze(backbone)
        depths: dict[Tower, int] = {"vision": backbone.depth, "text": backbone.text_depth}
        backbone.adapter = Rotations(
            widths={"vision": backbone.width, "text": backbone.text_width},
            depths=depths,
            block=self.block,
            vision_constraint=self.vision_constraint,
            modulation=None if self.modulation is None else self.modulation.build(depths),
        )
        return backbone

    def merge(self, backbone: ClipBackbone) -> ClipBackbone:
        """Fold the rotations into the attention weights, in place; a plain CLIP remains."""
        return merge_adapter(backbone)


class Rotations(nn.Module):
    """One bank of block matrices, mixed over layers and modalities into one matrix per layer, projection and block.

    Slots are blocks of channels, text first. Layer i of either tower uses rows 4i..4i+3 of the bank (query, key,
    value, output). Source: H-CLIP; the general sizes are ours.
    """

    def __init__(
        self,
        widths: dict[Tower, int],
        depths: dict[Tower, int],
        *,
        block: int = 128,
        vision_constraint: VisionConstraint = "free",
        modulation: EnergyModulation | None = None,
    ) -> None:
        super().__init__()
        for tower, width in widths.items():
            if width % block:
                raise ValueError(
                    f"the {tower} tower is {width} wide, not a multiple of block={block}; choose a divisor"
                )
        self.block = block
        self.vision_constraint = vision_constraint
        self.modulation = modulation
        text_slots, vision_slots = widths["text"] // block, widths["vision"] // block
        slots, layers = text_slots + vision_slots, max(depths.values())
        self._slots = {"text": slice(0, text_slots), "vision": slice(text_slots, slots)}
        bank = torch.zeros(PROJECTIONS * layers, slots, block, block)
        if vision_constraint == "free":
            bank[:, text_slots:] = torch.eye(block)
        self.bank = nn.Parameter(bank)
        self.layer_relations = nn.Parameter(torch.eye(PROJECTIONS * layers))
        self.modality_relations = nn.Parameter(torch.eye(slots).repeat(layers, 1, 1))

    def forward(self, tower: Tower, plain: Sequence[AttentionWeights]) -> list[AttentionWeights]:
        """The rotated weights of one tower: inputs of query, key and value, outputs of the output projection."""
        matrices = self.matrices(tower, len(plain))
        return [_rotate(weights, rotation) for weights, rotation in zip(plain, matrices, strict=True)]

    def matrices(self, tower: Tower, depth: int) -> Float[Tensor, "layers 4 slots block block"]:
        """The block matrices of one tower: one product for all layers, one batched solve for all Cayley maps.

        With a modulation they are its result.
        """
        rows = PROJECTIONS * depth
        mixed = torch.einsum("lk,knij->lnij", self.layer_relations[:rows], self.bank).unflatten(0, (depth, -1))
        relations = self.modality_relations[:depth, self._slots[tower]]
        matrices = torch.einsum("xmn,xpnij->xpmij", relations, mixed)
        free = tower == "vision" and self.vision_constraint == "free"
        matrices = matrices if free else cayley(matrices)
        return matrices if self.modulation is None else self.modulation.tower(tower)(matrices)


def cayley(matrices: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    """Rotations (I - S)(I + S)^-1 of the skew parts S; zero gives the identity."""
    skew = (matrices - matrices.mT) / 2
    identity = torch.eye(skew.shape[-1], device=skew.device, dtype=skew.dtype)
    # (I - S) and (I + S)^-1 commute, so the solve may stand on the left.
    solved: Tensor = torch.linalg.solve(identity + skew, identity - skew)
    return solved


def _rotate(weights: AttentionWeights, rotation: Float[Tensor, "4 slots block block"]) -> AttentionWeights:
    return AttentionWeights(
        query=_rotate_inputs(weights.query, rotation[0]),
        key=_rotate_inputs(weights.key, rotation[1]),
        value=_rotate_inputs(weights.value, rotation[2]),
        output=_rotate_outputs(weights.output, rotation[3]),
    )


def _rotate_inputs(weight: Float[Tensor, "o i"], blocks: Float[Tensor, "s n n"]) -> Float[Tensor, "o i"]:
    return torch.einsum("osi,sij->osj", weight.unflatten(1, blocks.shape[:2]), blocks).flatten(1)


def _rotate_outputs(weight: Float[Tensor, "o i"], blocks: Float[Tensor, "s n n"]) -> Float[Tensor, "o i"]:
    return (blocks @ weight.unflatten(0, blocks.shape[:2])).flatten(0, 1)


@torch.no_grad()
def merge_adapter(backbone: ClipBackbone) -> ClipBackbone:
    """Write the weights that the adapter gives into the CLIP itself and drop the adapter."""
    if backbone.adapter is None:
        return backbone
    vision, text = backbone.model.vision_model, backbone.model.text_model
    encoders: dict[Tower, Any] = {"vision": vision.encoder, "text": text.encoder}
    for tower, encoder in encoders.items():
        for block, weights in zip(encoder.layers, backbone.attention_weights(tower), strict=True):
            attention = block.self_attn
            parts = (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)
            for part, weight in zip(parts, weights, strict=True):
                part.weight.copy_(weight)
    backbone.adapter = None
    return backbone
