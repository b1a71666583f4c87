"""HA-HEM: how far the rotations of a layer may leave the identity, learned per layer and per modality."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.backbones.clip import Tower
from ahs_seg.config import Config

_LEAST, _MOST = 0.01, 0.99


class Modulation(Config):
    """Adaptive energy modulation of the rotations of both towers (AHS-Seg, HA-HEM).

    `alpha` is where the strength of every layer starts; `vision` and `text` are where those of the modalities start.
    `energy_weight` is the weight of the energy loss (`losses.energy`).
    """

    alpha: float = Field(default=0.3, gt=0, lt=1)
    vision: float = Field(default=1.0, gt=0, le=1)
    text: float = Field(default=0.7, gt=0, le=1)
    energy_weight: float = Field(default=0.01, ge=0)

    def build(self, depths: dict[Tower, int]) -> EnergyModulation:
        """The modulation of towers of these depths."""
        betas: dict[Tower, float] = {"vision": self.vision, "text": self.text}
        towers = {tower: TowerModulation(depth, self.alpha, beta=betas[tower]) for tower, depth in depths.items()}
        return EnergyModulation(towers, energy_weight=self.energy_weight)


class TowerModulation(nn.Module):
    """One strength per layer and one for the tower: mu_l = sigmoid(a_l) sigmoid(b).

    Both start as numbers in [0.01, 0.99]: at 1, where the published code starts beta of the vision tower, a sigmoid has
    no gradient. The published code keeps one such module for every layer of CLIP and uses one entry of each.
    """

    SETTINGS: ClassVar[frozenset[str]] = frozenset({"alpha_logits", "beta_logit"})

    def __init__(self, depth: int, alpha: float = 0.3, *, beta: float) -> None:
        super().__init__()
        self.alpha_logits = nn.Parameter(torch.full((depth,), _logit(alpha)))
        self.beta_logit = nn.Parameter(torch.tensor(_logit(beta)))

    @property
    def alpha(self) -> Float[Tensor, " layers"]:
        """The strength of each layer, in (0, 1)."""
        return self.alpha_logits.sigmoid()

    @property
    def beta(self) -> Float[Tensor, ""]:
        """The strength of the tower, in (0, 1)."""
        return self.beta_logit.sigmoid()

    @property
    def strength(self) -> Float[Tensor, " layers"]:
        """What is left of the rotations of each layer: 0 the identity, 1 all of them."""
        return self.alpha * self.beta

    def forward(self, matrices: Float[Tensor, "layers 4 slots n n"]) -> Float[Tensor, "layers 4 slots n n"]:
        """(1 - mu_l) I + mu_l Q of every matrix Q of a layer; the identity stays exactly the identity."""
        identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
        return identity + self.strength.view(-1, 1, 1, 1, 1) * (matrices - identity)


class EnergyModulation(nn.Module):
    """The modulation of each tower, and the weight of the energy loss that keeps it in bounds."""

    def __init__(self, towers: dict[Tower, TowerModulation], *, energy_weight: float) -> None:
        super().__init__()
        self.vision = towers["vision"]
        self.text = towers["text"]
        self.energy_weight = energy_weight

    def tower(self, name: Tower) -> TowerModulation:
        """The modulation of one tower."""
        return self.vision if name == "vision" else self.text

    def statistics(self) -> dict[str, float]:
        """Alpha of every layer, and beta, of both towers."""
        figures: dict[str, float] = {}
        for name, tower in (("vision", self.vision), ("text", self.text)):
            figures |= {f"alpha/{name}/{layer}": value for layer, value in enumerate(tower.alpha.tolist())}
            figures[f"beta/{name}"] = tower.beta.item()
        return figures


def _logit(value: float) -> float:
    value = min(max(value, _LEAST), _MOST)
    return math.log(value / (1 - value))
