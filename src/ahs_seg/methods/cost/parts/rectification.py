"""AFR: dense features gated by channel, by position and by their estimated certainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, FiniteFloat, NonNegativeFloat
from torch import Tensor, nn

from ahs_seg.config import Config, Width
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.resize import resize
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.types import TrainingForward

_EPS = 1e-12


def perturbed_style(
    dense: Float[Tensor, "b d h w"], *, strength: float = 0.1, generator: torch.Generator | None = None
) -> Float[Tensor, "b d h w"]:
    """Maps (features or images) with random changes of mean and spread over positions, per image and channel.

    With mean m and standard deviation s of a channel, and normal noise e1 and e2: (f - m) exp(strength e1) + m +
    strength s e2. This replaces a second augmentation of the image and saves a second pass through the encoder.
    """
    noise = torch.randn(2, *dense.shape[:2], 1, 1, device=dense.device, dtype=dense.dtype, generator=generator)
    mean = dense.mean((2, 3), keepdim=True)
    spread = dense.var((2, 3), keepdim=True, correction=0).clamp(min=_EPS).sqrt()
    return (dense - mean) * (strength * noise[0]).exp() + mean + strength * spread * noise[1]


def consistency_loss(one: Float[Tensor, "b d h w"], other: Float[Tensor, "b d h w"]) -> Float[Tensor, ""]:
    """Mean cosine distance (1 - cosine) of two feature maps at the same positions.

    Source: AHS-Seg's simple design, AFR (never called in its code).
    """
    return 1 - F.cosine_similarity(one, other, dim=1).mean()


def gate_regulariser(
    channel: Float[Tensor, "b d 1 1"],
    spatial: Float[Tensor, "b 1 h w"],
    *,
    open_weight: float = 0.1,
    smooth_weight: float = 0.01,
) -> Float[Tensor, ""]:
    """Regulariser that keeps gates open and the spatial gate smooth.

    open_weight * mean(1 - channel * spatial) + smooth_weight * total variation of the spatial gate. Source: HPS-Seg,
    AFR. The published code pulls every gate to one half, which has no effect on the cosine and is the opposite of "keep
    by default, suppress what harms".
    """
    # In each image the mean of all products of a channel and a position is the product of their means.
    kept = (channel.mean((1, 2, 3)) * spatial.mean((1, 2, 3))).mean()
    variation = spatial.new_zeros(())
    for axis in (2, 3):
        if spatial.shape[axis] > 1:
            variation = variation + spatial.diff(dim=axis).abs().mean()
    return open_weight * (1 - kept) + smooth_weight * variation


@dataclass(frozen=True, slots=True)
class Gates:
    """Gates of a batch, in (0, 1), and certainty, in (0, 1]; `mix` is the share of the gated features in the result."""

    channel: Float[Tensor, "b d 1 1"]
    spatial: Float[Tensor, "b 1 h w"]
    certainty: Float[Tensor, "b 1 #h #w"]
    mix: Float[Tensor, "#b 1 1 1"]


class CertaintyRectification(Config):
    """AFR of AHS-Seg's simple design: gates by channel, position and a certainty per position.

    `weight` is the weight of the consistency loss (`consistency_loss`), `strength` that of its style perturbation
    (`perturbed_style`). `second_view` says what is perturbed: the "features", or the "image", whose second view costs
    another pass through the encoder.
    """

    name: Literal["certainty"] = "certainty"
    reduction: Width = 16
    weight: NonNegativeFloat = 0.05
    strength: NonNegativeFloat = 0.1
    second_view: Literal["features", "image"] = "features"

    def build(self, dim: int) -> CertaintyRectifier:
        """The rectifier for dense features with `dim` channels."""
        return CertaintyRectifier(dim, reduction=self.reduction)

    def term(self, rectifier: CertaintyRectifier, classes: TrainingClasses) -> ConsistencyTerm:
        """The loss term of the rectifier, or of the whole method if the second view is one of the image."""
        del rectifier, classes
        return ConsistencyTerm(self) if self.second_view == "features" else SecondViewTerm(self)


class MixingRectification(ModuleConfig):
    """AFR of HPS-Seg: gates by channel and position, mixed in by an uncertainty per image.

    `weight` is the weight of the regulariser: `open_weight` times the mean closed share of the gates plus
    `smooth_weight` times the total variation of the spatial gate (`gate_regulariser`). Both gates start at
    sigmoid(`opening`).
    """

    TUNED: ClassVar[Mapping[str, Any]] = {"opening": 5.0}

    name: Literal["mixing"] = "mixing"
    reduction: Width = 16
    weight: NonNegativeFloat = 0.1
    open_weight: NonNegativeFloat = 0.1
    smooth_weight: NonNegativeFloat = 0.01
    opening: FiniteFloat = 2.0

    def build(self, dim: int) -> MixingRectifier:
        """The rectifier for dense features with `dim` channels."""
        return MixingRectifier(dim, reduction=self.reduction, opening=self.opening)

    def term(self, rectifier: MixingRectifier, classes: TrainingClasses) -> GateTerm:
        """The loss term of the rectifier."""
        del rectifier, classes
        return GateTerm(self)


Rectification = Annotated[CertaintyRectification | MixingRectification, Field(discriminator="name")]


class CertaintyRectifier(nn.Module):
    """Gated dense features f + a (gate f - f), with a learned and gate = channel * spatial * certainty.

    Source: AHS-Seg's simple design, AFR. The published code builds it for the width of the vision tower, where it
    crashes, and rectifies the correlation only in sliding windows; here it has the joint dimension, and guidance and
    correlation always use its result.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"mix_logit"})

    def __init__(self, dim: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, dim // reduction)
        self.channel = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.spatial = nn.Conv2d(dim, 1, 1)
        wide = max(1, dim // 4)
        self.uncertainty = nn.Sequential(nn.Conv2d(dim, wide, 1), nn.ReLU(), nn.Conv2d(wide, 1, 1))
        self.mix_logit = nn.Parameter(torch.zeros(()))

    def gates(self, dense: Float[Tensor, "b d h w"]) -> Gates:
        """The gates of a batch; certainty is 1 / (1 + u) with the uncertainty u > 0 of each position."""
        return Gates(
            channel=self.channel(dense.mean((2, 3))).sigmoid()[:, :, None, None],
            spatial=self.spatial(dense).sigmoid(),
            certainty=1 / (1 + F.softplus(self.uncertainty(dense))),
            mix=self.mix_logit.sigmoid().view(1, 1, 1, 1),
        )

    def forward(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The rectified features."""
        gates = self.gates(dense)
        gated = gates.channel * (gates.spatial * gates.certainty) * dense
        return dense + gates.mix * (gated - dense)


class MixingRectifier(nn.Module):
    """Gated dense features (1 - mix) f + mix (f * channel * spatial), mix = sigmoid(w) (1 - image uncertainty).

    Source: HPS-Seg, AFR. The published code initialises all biases to 2, also those of the uncertainty, which almost
    switches the part off (mix 0.06), and the spatial gate with weights so large that it is 0 or 1 at random. Here both
    gates are initialised open (0.88) and the uncertainty to 0.5. Its other estimate of the uncertainty, an entropy over
    all positions and classes together, is always close to 1 and was never passed in.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"mix_logit"})

    def __init__(self, dim: int, *, reduction: int = 16, opening: float = 2.0) -> None:
        super().__init__()
        hidden = max(1, dim // reduction)
        self.channel = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.spatial = nn.Sequential(nn.Conv2d(dim, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1))
        self.uncertainty = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.mix_logit = nn.Parameter(torch.zeros(()))
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight, gain=0.1)
                nn.init.zeros_(part.bias)
            elif isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]  # these convolutions have one
        nn.init.xavier_uniform_(self.spatial[-1].get_parameter("weight"), gain=0.1)
        for gate in (self.channel[-1], self.spatial[-1]):
            nn.init.constant_(gate.get_parameter("bias"), opening)

    def gates(self, dense: Float[Tensor, "b d h w"]) -> Gates:
        """The gates of a batch; certainty is one value per image."""
        pooled = dense.mean((2, 3))
        certainty = 1 - self.uncertainty(pooled).sigmoid()[:, :, None, None]
        return Gates(
            channel=self.channel(pooled).sigmoid()[:, :, None, None],
            spatial=self.spatial(dense).sigmoid(),
            certainty=certainty,
            mix=self.mix_logit.sigmoid() * certainty,
        )

    def forward(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The rectified features."""
        gates = self.gates(dense)
        return (1 - gates.mix) * dense + gates.mix * (dense * gates.channel * gates.spatial)


class ConsistencyTerm(nn.Module):
    """Loss term of AFR in the simple design: rectified features must not change under a style perturbation."""

    def __init__(self, config: CertaintyRectification) -> None:
        super().__init__()
        self.config = config
        self._figures: dict[str, Tensor] = {}

    def forward(self, rectifier: CertaintyRectifier, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `consistency`."""
        dense = view.output.features.dense.float()
        return self.compared(rectifier, dense, perturbed_style(dense, strength=self.config.strength))

    def compared(
        self, rectifier: CertaintyRectifier, dense: Float[Tensor, "b d h w"], other: Float[Tensor, "b d h w"]
    ) -> dict[str, Tensor]:
        """The weighted loss on the dense features of both views."""
        with torch.no_grad():
            self._figures = _means(rectifier.gates(dense))
        return {"consistency": self.config.weight * consistency_loss(rectifier(dense), rectifier(other))}

    def statistics(self, rectifier: nn.Module) -> dict[str, float]:
        """Means of the last gates."""
        del rectifier  # the figures are those of the last step
        return {name: value.item() for name, value in self._figures.items()}


class SecondViewTerm(ConsistencyTerm):
    """Loss term of AFR with a second view of the image, of another style; it is bound to the whole method."""

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `consistency`."""
        backbone, rectifier = attrgetter("backbone", "parts.rectifier")(method)
        images = perturbed_style(resize(view.images, backbone.resolution), strength=self.config.strength).clamp(0, 1)
        dtype = view.compute_dtype  # that of the first view
        with torch.autocast(images.device.type, dtype=dtype, enabled=dtype != torch.float32):
            other = backbone.encode_image(images).dense
        return self.compared(rectifier, view.output.features.dense.float(), other.float())


class GateTerm(nn.Module):
    """Loss term of AFR in HPS-Seg: regularises gates to be open and smooth."""

    def __init__(self, config: MixingRectification) -> None:
        super().__init__()
        self.config = config
        self._figures: dict[str, Tensor] = {}

    def forward(self, rectifier: MixingRectifier, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss, under the key `gates`."""
        config = self.config
        gates = rectifier.gates(view.output.features.dense.float())
        self._figures = _means(gates)
        loss = gate_regulariser(
            gates.channel, gates.spatial, open_weight=config.open_weight, smooth_weight=config.smooth_weight
        )
        return {"gates": config.weight * loss}

    def statistics(self, rectifier: nn.Module) -> dict[str, float]:
        """Means of the last gates."""
        del rectifier  # the figures are those of the last step
        return {name: value.item() for name, value in self._figures.items()}


def _means(gates: Gates) -> dict[str, Tensor]:
    values = {"channel": gates.channel, "spatial": gates.spatial, "certainty": gates.certainty, "mix": gates.mix}
    return {f"gates/{name}": value.detach().mean() for name, value in values.items()}
