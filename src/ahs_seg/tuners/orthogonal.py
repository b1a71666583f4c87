"""H-CLIP's orthogonal fine-tuning: rotations of the attention weights of both towers, with shared parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionWeights, Backbone, Tower
from ahs_seg.config import ConfigError, Width
from ahs_seg.modules.full_precision import full_precision
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.tuners.base import TunerConfig, freeze
from ahs_seg.types import TrainingForward

FIRST_WEIGHT, LAST_WEIGHT = 1.0, 0.3
DIVERSITY, SMOOTHNESS = 0.1, 0.05


def energy_loss(matrices: Float[Tensor, "layers p slots n n"], alpha: Float[Tensor, " layers"]) -> Float[Tensor, ""]:
    """Loss on the deviation of one tower's matrices from orthogonality, with regularisation of alpha over layers.

    The sum over layers of w_l times the mean of ||Q^T Q - I||_F^2 over projections and blocks, minus 0.1 times the
    variance of alpha, plus 0.05 times the mean squared difference of alpha between successive layers; w falls linearly
    from 1 to 0.3.

    Source: AHS-Seg, hyperspherical energy. The published code never calls its modulators; it would have summed over
    blocks, over query and output projections only, and over unused copies of alpha.
    """
    identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    deviation = (matrices.mT @ matrices - identity).square().sum((-2, -1)).mean((1, 2))
    weights = torch.linspace(FIRST_WEIGHT, LAST_WEIGHT, len(matrices), device=matrices.device, dtype=matrices.dtype)
    loss = (weights * deviation).sum()
    if len(alpha) == 1:  # no variance and no difference with a single layer
        return loss
    return loss - DIVERSITY * alpha.var() + SMOOTHNESS * alpha.diff().square().mean()


_LEAST, _MOST = 0.01, 0.99


class Modulation(ModuleConfig):
    """Configuration of the adaptive energy modulation of the rotations of both towers (AHS-Seg, HA-HEM).

    `alpha` is the initial strength of every layer; `vision` and `text` are the initial strengths of the two towers, or
    with `beta` "constant" their strengths throughout. `energy_weight` is the weight of the energy loss (`energy_loss`).
    """

    TUNED: ClassVar[Mapping[str, Any]] = {"alpha": 0.1}

    alpha: float = Field(default=0.3, gt=0, lt=1)
    vision: float = Field(default=1.0, gt=0, le=1)
    text: float = Field(default=0.7, gt=0, le=1)
    beta: Literal["learned", "constant"] = "learned"
    energy_weight: float = Field(default=0.01, ge=0)

    def build(self, depths: dict[Tower, int]) -> EnergyModulation:
        """The modulation module for towers of these depths."""
        betas: dict[Tower, float] = {"vision": self.vision, "text": self.text}
        constant = self.beta == "constant"
        towers = {
            tower: TowerModulation(depth, self.alpha, beta=betas[tower], constant=constant)
            for tower, depth in depths.items()
        }
        return EnergyModulation(towers, energy_weight=self.energy_weight)


class TowerModulation(nn.Module):
    """Modulation of one tower's rotations by a learned strength per layer: mu_l = sigmoid(a_l) sigmoid(b).

    With a `constant` beta, mu_l = sigmoid(a_l) beta; the published code applies a sigmoid to that constant. The initial
    values of both sigmoids are clamped to [0.01, 0.99]: at 1, where the published code starts beta of the
    vision tower, a sigmoid has no gradient. The published code has one such module per layer of CLIP and uses one entry
    of each.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"alpha_logits", "beta_logit"})

    def __init__(self, depth: int, alpha: float = 0.3, *, beta: float, constant: bool = False) -> None:
        super().__init__()
        self.alpha_logits = nn.Parameter(torch.full((depth,), _logit(alpha)))
        self.beta_logit: nn.Parameter | None
        self.register_parameter("beta_logit", None if constant else nn.Parameter(torch.tensor(_logit(beta))))
        self._constant = beta

    @property
    def alpha(self) -> Float[Tensor, " layers"]:
        """The strength of each layer, in (0, 1)."""
        return self.alpha_logits.sigmoid()

    @property
    def beta(self) -> Float[Tensor, ""]:
        """The strength of the tower, in (0, 1]; a constant has no gradient."""
        if self.beta_logit is None:
            return torch.full((), self._constant, device=self.alpha_logits.device)
        return self.beta_logit.sigmoid()

    @property
    def strength(self) -> Float[Tensor, " layers"]:
        """The share mu_l of the rotations that is applied in each layer: 0 is the identity, 1 the full rotations."""
        return self.alpha * self.beta

    def forward(self, matrices: Float[Tensor, "layers 4 slots n n"]) -> Float[Tensor, "layers 4 slots n n"]:
        """Modulated matrices (1 - mu_l) I + mu_l Q for the matrices Q of layer l; Q = I gives exactly I."""
        identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
        return identity + self.strength.view(-1, 1, 1, 1, 1) * (matrices - identity)


class EnergyModulation(nn.Module):
    """The modulations of both towers, and the weight of the energy loss that regularises them."""

    def __init__(self, towers: dict[Tower, TowerModulation], *, energy_weight: float) -> None:
        super().__init__()
        self.vision = towers["vision"]
        self.text = towers["text"]
        self.energy_weight = energy_weight

    def tower(self, name: Tower) -> TowerModulation:
        """The modulation of one tower."""
        return self.vision if name == "vision" else self.text

    def statistics(self) -> dict[str, float]:
        """Values to log: alpha of every layer and beta, of both towers."""
        figures: dict[str, float] = {}
        for name, tower in (("vision", self.vision), ("text", self.text)):
            figures |= {f"alpha/{name}/{layer}": value for layer, value in enumerate(tower.alpha.tolist())}
            figures[f"beta/{name}"] = tower.beta.item()
        return figures


def _logit(value: float) -> float:
    value = min(max(value, _LEAST), _MOST)
    return math.log(value / (1 - value))


VisionConstraint = Literal["free", "cayley"]
PROJECTIONS = len(AttentionWeights._fields)


class Orthogonal(TunerConfig):
    """Orthogonal fine-tuning with cross-layer relations (H-CLIP, Peng et al., CVPR 2025).

    The original constrains only the matrices of the text tower to be rotations; those of the vision tower are
    unconstrained ("free"). `vision_constraint="cayley"` makes them rotations as well. The original works only for
    ViT-B/16; here the numbers of slots and layers follow from the sizes of the towers. `block` is the size of the
    rotated blocks of channels. `modulation` learns how strongly each layer is rotated (AHS-Seg, HA-HEM).
    """

    name: Literal["orthogonal"] = "orthogonal"
    block: Width = 128
    vision_constraint: VisionConstraint = "free"
    modulation: Modulation | None = None

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze the backbone and add trainable rotations, initialised to the identity."""
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

    def term(self) -> EnergyTerm | None:
        """The energy loss of the modulation (None without a modulation)."""
        return None if self.modulation is None else EnergyTerm()

    def merge(self, backbone: Backbone) -> Backbone:
        """Multiply the rotations into the attention weights, in place, and remove the adapter."""
        if backbone.adapter is None:
            return backbone
        towers: tuple[Tower, ...] = ("vision", "text")
        with torch.no_grad():
            for tower in towers:
                rotated = backbone.attention_weights(tower)
                for parts, weights in zip(backbone.attention(tower), rotated, strict=True):
                    for part, weight in zip(parts, weights, strict=True):
                        part.weight.copy_(weight)
        backbone.adapter = None
        return backbone


class Rotations(nn.Module):
    """Adapter with a shared bank of block matrices: learned mixtures give one matrix per layer, projection and block.

    The mixtures run over layers and over the blocks of both towers. Slots are blocks of channels, those of the text
    tower first. Layer i of either tower uses rows 4i to 4i+3 of the bank (query, key, value, output). Source: H-CLIP;
    the support for any size of tower is ours.
    """

    def __init__(
        self,
        widths: dict[Tower, int],
        depths: dict[Tower, int],
        *,
        block: Width = 128,
        vision_constraint: VisionConstraint = "free",
        modulation: EnergyModulation | None = None,
    ) -> None:
        super().__init__()
        for tower, width in widths.items():
            if width % block:
                raise ConfigError(
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
        """The rotated attention weights of one tower.

        Query, key and value are rotated on their inputs, the output projection on its outputs.
        """
        matrices = self.matrices(tower, len(plain))
        return [_rotate(weights, rotation) for weights, rotation in zip(plain, matrices, strict=True)]

    def matrices(self, tower: Tower, depth: int) -> Float[Tensor, "layers 4 slots block block"]:
        """The block matrices of one tower, after the modulation if there is one.

        Computed by one product for all layers and one batched solve for all Cayley transforms; always in float32,
        since no GPU solves equations in a short type.
        """
        rows, free = PROJECTIONS * depth, tower == "vision" and self.vision_constraint == "free"
        with full_precision(self.bank.device):
            mixed = torch.einsum("lk,knij->lnij", self.layer_relations[:rows], self.bank).unflatten(0, (depth, -1))
            relations = self.modality_relations[:depth, self._slots[tower]]
            matrices = torch.einsum("xmn,xpnij->xpmij", relations, mixed)
            matrices = matrices if free else cayley(matrices)
            return matrices if self.modulation is None else self.modulation.tower(tower)(matrices)


def cayley(matrices: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    """Rotations by the Cayley transform (I - S)(I + S)^-1 of the skew-symmetric parts S; zero gives the identity."""
    skew = (matrices - matrices.mT) / 2
    identity = torch.eye(skew.shape[-1], device=skew.device, dtype=skew.dtype)
    # (I - S) and (I + S)^-1 commute, so a left solve gives the same result.
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


class EnergyTerm(nn.Module):
    """Loss term of HA-HEM: the weighted energy loss of both towers."""

    def forward(self, backbone: Backbone, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `energy`."""
        del view  # the energy depends only on the weights
        rotations, modulation = _modulated(backbone)
        depths: dict[Tower, int] = {"vision": backbone.depth, "text": backbone.text_depth}
        losses = [
            energy_loss(rotations.matrices(tower, depth), modulation.tower(tower).alpha)
            for tower, depth in depths.items()
        ]
        return {"energy": modulation.energy_weight * torch.stack(losses).sum()}

    def statistics(self, backbone: Backbone) -> dict[str, float]:
        """Values to log: the strengths of layers and towers."""
        return _modulated(backbone)[1].statistics()


def _modulated(backbone: Backbone) -> tuple[Rotations, EnergyModulation]:
    rotations = backbone.adapter
    if not isinstance(rotations, Rotations) or rotations.modulation is None:
        raise TypeError("the energy loss needs a backbone that was tuned by Orthogonal with a modulation")
    return rotations, rotations.modulation
