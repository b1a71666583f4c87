"""HPA: one prototype (unit vector) per training class, a moving average of the features of its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from ahs_seg.config import ConfigError, Width
from ahs_seg.methods.cost.parts.prototype_losses import prototype_contrast, prototype_distance, prototype_loss
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import sum_of_rows
from ahs_seg.modules.full_precision import full_precision, widened
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.types import IGNORE, TrainingForward

LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.01, 1.0
GROWTH, GROWTH_COUNT, GREATEST_MOMENTUM = 0.09, 1000, 0.999


def adaptive_momentum(momentum: float, counts: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """The momentum of every class after `counts` features of it: min(m + 0.09 (1 - 1 / (1 + n / 1000)), 0.999).

    Source: the published code of AHS-Seg's simple design, whose text has a constant momentum.
    """
    grown = momentum + GROWTH * (1 - 1 / (1 + counts / GROWTH_COUNT))
    return grown.clamp(max=max(GREATEST_MOMENTUM, momentum))


class Prototypes(ModuleConfig):
    """Config of the prototypes, one per training class (AHS-Seg's simple design and HPS-Seg, HPA).

    `count` is the number of training classes; an experiment sets it. Prototypes are initialised with the text
    embeddings of the classes ("text") or are empty until their class occurs ("nothing"). With `adaptive` the momentum
    of a class grows with the number of its features (`adaptive_momentum`). `guidance` is how strongly the text
    embeddings of any vocabulary are moved towards the prototypes (0: not at all).

    `weight` is the weight of the loss. The `cosine` loss is a cross-entropy over the cosines with all prototypes. The
    `geodesic` loss is `distance_weight` times the distance to the prototype of the own class plus `contrast_weight`
    times a cross-entropy over the distances.
    """

    TUNED: ClassVar[Mapping[str, Any]] = {"weight": 0.003}

    count: Width | None = None
    start: Literal["text", "nothing"] = "text"
    momentum: float = Field(default=0.99, ge=0, lt=1)
    adaptive: bool = False
    temperature: float = Field(default=0.07, ge=LEAST_TEMPERATURE, le=GREATEST_TEMPERATURE)
    guidance: NonNegativeFloat = 0.1
    loss: Literal["cosine", "geodesic"] = "cosine"
    weight: NonNegativeFloat = 0.1
    distance_weight: NonNegativeFloat = 1.0
    contrast_weight: NonNegativeFloat = 1.0

    def build(self, dim: int) -> PrototypeBank:
        """An empty prototype bank for features with `dim` channels.

        Raises:
            ConfigError: the number of training classes is not set.
        """
        if self.count is None:
            raise ConfigError(
                "method.cost.prototypes.count is not set; it is the number of training classes. An experiment takes it "
                "from its data; otherwise set it (method.cost.prototypes.count=171) or call for_classes(171) on the "
                "method's config."
            )
        return PrototypeBank(
            dim,
            self.count,
            momentum=self.momentum,
            adaptive=self.adaptive,
            temperature=self.temperature,
            guidance=self.guidance,
        )

    def term(self, bank: PrototypeBank, classes: TrainingClasses) -> PrototypeTerm:
        """The loss term of the prototypes; with `start="text"` it also initialises the bank."""
        return PrototypeTerm(self, bank, classes)


class PrototypeBank(nn.Module):
    """Prototypes, one unit vector per training class; a row of zeros is a class without a prototype yet.

    `seen` is True for classes whose prototype comes from features. With an `adaptive` momentum, `counts` has the number
    of features of each class so far. Each class has a temperature tau_c = temperature *
    exp(theta_c), clamped to [0.01, 1]; an optimiser step on the logarithm changes all temperatures by the same ratio.
    The published code starts from random vectors, which dominate until their class occurs, updates each process
    separately, and (HPS-Seg) updates before the loss is computed, so that a batch is compared with itself.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"theta"})
    prototypes: Tensor
    seen: Tensor
    counts: Tensor | None

    def __init__(
        self,
        dim: int,
        count: int,
        *,
        momentum: float = 0.99,
        adaptive: bool = False,
        temperature: float = 0.07,
        guidance: float = 0.1,
    ) -> None:
        super().__init__()
        self.momentum = momentum
        self.temperature = temperature
        self.guidance = guidance
        self.register_buffer("prototypes", torch.zeros(count, dim))
        self.register_buffer("seen", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("counts", torch.zeros(count) if adaptive else None)
        self.theta = nn.Parameter(torch.zeros(count))

    @property
    def count(self) -> int:
        """The number of training classes."""
        return len(self.prototypes)

    @property
    def ready(self) -> Bool[Tensor, " k"]:
        """True for classes that have a prototype."""
        return self.prototypes.square().sum(1) > 0

    @property
    def temperatures(self) -> Float[Tensor, " k"]:
        """The temperature of each class."""
        return (self.temperature * self.theta.exp()).clamp(LEAST_TEMPERATURE, GREATEST_TEMPERATURE)

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "k d"]) -> None:
        """Initialise the prototypes of classes that are not `seen` yet with the directions of these vectors.

        Raises:
            ConfigError: the number of vectors differs from the number of classes.
        """
        if vectors.shape != self.prototypes.shape:
            raise ConfigError(
                f"{len(vectors)} vectors of size {vectors.shape[1]} were given to a bank of {self.count} prototypes of "
                f"size {self.prototypes.shape[1]}; set method.cost.prototypes.count to the number of training classes"
            )
        unit = F.normalize(vectors.to(self.prototypes), dim=-1)
        self.prototypes.copy_(torch.where(self.seen[:, None], self.prototypes, unit))

    @torch.no_grad()
    def sums(
        self, features: Float[Tensor, "n d"], rows: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
        """Sum and number of the normalised features of each class; features with the label `IGNORE` are excluded."""
        valid = rows != IGNORE
        weights, places = valid.to(features.dtype), torch.where(valid, rows, 0)
        unit = F.normalize(features, dim=-1) * weights[:, None]
        return sum_of_rows(unit, places, self.count), sum_of_rows(weights[:, None], places, self.count)[:, 0]

    @torch.no_grad()
    def update(self, sums: Float[Tensor, "k d"], counts: Float[Tensor, " k"]) -> None:
        """Update the prototypes of present classes: a moving average of their mean features over all processes.

        The first update of a class sets its prototype to the mean feature.
        """
        packed = torch.cat([sums, counts[:, None]], 1)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(packed)
        means, present = F.normalize(packed[:, :-1], dim=-1), packed[:, -1] > 0
        kept: float | Tensor = self.momentum
        if self.counts is not None:
            kept = adaptive_momentum(self.momentum, self.counts)[:, None]
            self.counts += packed[:, -1]
        moved = F.normalize(kept * self.prototypes + (1 - kept) * means, dim=-1)
        fresh = torch.where(self.seen[:, None], moved, means)
        self.prototypes.copy_(torch.where(present[:, None], fresh, self.prototypes))
        self.seen |= present

    def guide(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """Text embeddings of any vocabulary moved towards similar prototypes: normalise(t + guidance * mixture).

        The mixture is the normalised mean of the prototypes, weighted by a softmax over their similarities. The
        published code contains this function but never calls it. With guidance 0 the input is returned unchanged.
        """
        if not self.guidance:
            return text
        words, ready = F.normalize(widened(text), dim=-1), self.ready
        # The bank is updated in place between forward and backward, so the autograd graph needs a copy.
        prototypes = self.prototypes.clone()
        with full_precision(text.device):
            nearness = words @ prototypes.T / self.temperatures.detach()
            # A finite mask value, so that a bank without any prototype gives a mean of zeros and not NaN.
            shares = nearness.masked_fill(~ready, torch.finfo(nearness.dtype).min).softmax(-1)
            mixture = F.normalize(shares @ prototypes, dim=-1)
            return F.normalize(words + self.guidance * mixture, dim=-1)


class PrototypeTerm(nn.Module):
    """Loss term of HPA: loss against the prototypes of earlier steps; collects the features for their update."""

    def __init__(self, config: Prototypes, bank: PrototypeBank, classes: TrainingClasses) -> None:
        super().__init__()
        self.config = config
        if bank.count != len(classes.labels):
            raise ConfigError(
                f"method.cost.prototypes.count is {bank.count}, but training has {len(classes.labels)} classes. "
                "Set it to that number, or leave it out: an experiment sets it."
            )
        if config.start == "text":
            bank.start(classes.embed())
        # Not buffers: the sums of one process must not be overwritten by those of another.
        self._sums: Tensor | None = None
        self._counts: Tensor | None = None

    def forward(self, bank: PrototypeBank, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted loss `prototypes`, or the two geodesic losses `prototype_distance` and `prototype_contrast`."""
        config = self.config
        features, rows = _labelled_features(view)
        self._collect(bank, features.detach(), rows)
        prototypes, ready = bank.prototypes, bank.ready
        if config.loss == "cosine":
            loss = prototype_loss(features, rows, prototypes, bank.temperatures, ready)
            return {"prototypes": config.weight * loss}
        distance = prototype_distance(features, rows, prototypes, ready)
        contrast = prototype_contrast(features, rows, prototypes, bank.temperatures, ready)
        return {
            "prototype_distance": config.weight * config.distance_weight * distance,
            "prototype_contrast": config.weight * config.contrast_weight * contrast,
        }

    def update(self, bank: PrototypeBank) -> None:
        """Update the prototypes with the features of all micro-batches and processes of the step."""
        if self._sums is not None and self._counts is not None:
            bank.update(self._sums, self._counts)
        self.forget()

    def forget(self) -> None:
        """Drop the features collected since the last update."""
        self._sums = self._counts = None

    @torch.no_grad()
    def statistics(self, bank: PrototypeBank) -> dict[str, float]:
        """Values to log: the share of classes with a prototype from features, and the range of the temperatures."""
        temperatures = bank.temperatures
        return {
            "prototypes/seen": bank.seen.float().mean().item(),
            "prototypes/temperature_least": temperatures.min().item(),
            "prototypes/temperature_mean": temperatures.mean().item(),
            "prototypes/temperature_most": temperatures.max().item(),
        }

    def _collect(self, bank: PrototypeBank, features: Tensor, rows: Tensor) -> None:
        sums, counts = bank.sums(features, rows)
        self._sums = sums if self._sums is None else self._sums + sums
        self._counts = counts if self._counts is None else self._counts + counts


def _labelled_features(view: TrainingForward) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
    """The aligned features of all positions, and the index of their class in the training vocabulary."""
    features = view.output.aligned
    assert features is not None, "a method with prototypes must return the map `aligned`"
    labels = nearest_labels(view.labels, (features.shape[-2], features.shape[-1])).flatten()
    labelled = labels != IGNORE
    rows = torch.where(labelled, view.classes[torch.where(labelled, labels, 0)], IGNORE)
    return features.movedim(1, -1).flatten(0, 2), rows
