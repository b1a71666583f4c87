"""HPA's memory: one direction for every class of training, learned from what its pixels look like."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from ahs_seg.config import Config, ConfigError
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import sum_of_rows
from ahs_seg.modules.geodesic import angle_of_cosine, geodesic_distance
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.types import IGNORE, TrainingForward


def prototype_loss(
    features: Float[Tensor, "n d"],
    rows: Int[Tensor, " n"],
    prototypes: Float[Tensor, "k d"],
    temperatures: Float[Tensor, " k"],
    ready: Bool[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Cross-entropy of cosines over temperatures: -log softmax_c(f . P_c / tau_c)[y], a mean over labelled features.

    Only classes that are `ready` take part. Without any labelled feature of these it is 0. Source: AHS-Seg's simple
    design, HPA.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(cosine, rows, temperatures, ready)


def prototype_distance(
    features: Float[Tensor, "n d"], rows: Int[Tensor, " n"], prototypes: Float[Tensor, "k d"], ready: Bool[Tensor, " k"]
) -> Float[Tensor, ""]:
    """Geodesic distance of labelled features to the prototype of their class, a mean; source: HPS-Seg, HPA."""
    valid = _valid(rows, ready)
    own = prototypes[torch.where(valid, rows, 0)]
    return _mean(geodesic_distance(F.normalize(features, dim=-1), own), valid)


def prototype_contrast(
    features: Float[Tensor, "n d"],
    rows: Int[Tensor, " n"],
    prototypes: Float[Tensor, "k d"],
    temperatures: Float[Tensor, " k"],
    ready: Bool[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Cross-entropy of 1 - d / pi over temperatures, d the angle to each prototype, a mean over labelled features.

    It pushes classes apart, which HPS-Seg claims and its published code has no term for.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(1 - angle_of_cosine(cosine) / math.pi, rows, temperatures, ready)


def _cross_entropy(similarity: Tensor, rows: Tensor, temperatures: Tensor, ready: Tensor) -> Tensor:
    valid = _valid(rows, ready)
    # Finite, so that rows which do not count have no infinite gradient either.
    logits = (similarity / temperatures).masked_fill(~ready, torch.finfo(similarity.dtype).min)
    return _mean(F.cross_entropy(logits, torch.where(valid, rows, 0), reduction="none"), valid)


def _valid(rows: Tensor, ready: Tensor) -> Tensor:
    labelled = rows != IGNORE
    return labelled & ready[torch.where(labelled, rows, 0)]


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """The mean over valid values, or a 0 that hangs on the graph."""
    return torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)


LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.01, 1.0


class Prototypes(Config):
    """A prototype per training class (AHS-Seg's simple design and HPS-Seg, HPA).

    `count` is the number of training classes; an experiment fills it in. Prototypes start from the `text` of the
    classes or from `nothing`. `guidance` is how far words of any vocabulary are drawn to prototypes (0: not at all).

    `weight` is that of the loss. The `cosine` loss is a cross-entropy over the cosines with all prototypes. The
    `geodesic` loss is `distance_weight` times the distance to the own prototype plus `contrast_weight` times a
    cross-entropy over distances.
    """

    count: PositiveInt | None = None
    start: Literal["text", "nothing"] = "text"
    momentum: float = Field(default=0.99, ge=0, lt=1)
    temperature: float = Field(default=0.07, ge=LEAST_TEMPERATURE, le=GREATEST_TEMPERATURE)
    guidance: NonNegativeFloat = 0.1
    loss: Literal["cosine", "geodesic"] = "cosine"
    weight: NonNegativeFloat = 0.1
    distance_weight: NonNegativeFloat = 1.0
    contrast_weight: NonNegativeFloat = 1.0

    def build(self, dim: int) -> PrototypeBank:
        """The empty bank for features of this size.

        Raises:
            ConfigError: the number of training classes is not known.
        """
        if self.count is None:
            raise ConfigError(
                "method.cost.prototypes.count is not set; it is the number of training classes. An experiment takes it "
                "from its data; otherwise set it (method.cost.prototypes.count=171) or call for_classes(171) on the "
                "method's config."
            )
        return PrototypeBank(
            dim, self.count, momentum=self.momentum, temperature=self.temperature, guidance=self.guidance
        )

    def term(self, bank: PrototypeBank, classes: TrainingClasses) -> PrototypeTerm:
        """What the prototypes ask of training; a bank that starts from text takes that of the classes."""
        return PrototypeTerm(self, bank, classes)


class PrototypeBank(nn.Module):
    """Unit vectors, one per training class; a row of zeros is a class without a prototype yet.

    `seen` marks classes whose prototype comes from features. Temperatures are tau_c = temperature * exp(theta_c) within
    [0.01, 1], one per class: in a logarithm a step of the optimiser changes all of them by the same ratio.
    The published code starts from random vectors, which dominate until their class is visited, updates each process by
    itself, and (HPS-Seg) before the loss is taken, so a batch is compared with itself.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"theta"})
    prototypes: Tensor
    seen: Tensor

    def __init__(
        self, dim: int, count: int, *, momentum: float = 0.99, temperature: float = 0.07, guidance: float = 0.1
    ) -> None:
        super().__init__()
        self.momentum = momentum
        self.temperature = temperature
        self.guidance = guidance
        self.register_buffer("prototypes", torch.zeros(count, dim))
        self.register_buffer("seen", torch.zeros(count, dtype=torch.bool))
        self.theta = nn.Parameter(torch.zeros(count))

    @property
    def count(self) -> int:
        """The number of training classes."""
        return len(self.prototypes)

    @property
    def ready(self) -> Bool[Tensor, " k"]:
        """Which classes have a prototype."""
        return self.prototypes.square().sum(1) > 0

    @property
    def temperatures(self) -> Float[Tensor, " k"]:
        """The temperature of each class."""
        return (self.temperature * self.theta.exp()).clamp(LEAST_TEMPERATURE, GREATEST_TEMPERATURE)

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "k d"]) -> None:
        """Take these directions as prototypes until their classes are seen; those that were seen keep theirs.

        Raises:
            ConfigError: there are more or fewer vectors than classes.
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
        """The sum of the unit features of each class, and how many there are; rows that are `IGNORE` do not count."""
        valid = rows != IGNORE
        weights, places = valid.to(features.dtype), torch.where(valid, rows, 0)
        unit = F.normalize(features, dim=-1) * weights[:, None]
        return sum_of_rows(unit, places, self.count), sum_of_rows(weights[:, None], places, self.count)[:, 0]

    @torch.no_grad()
    def update(self, sums: Float[Tensor, "k d"], counts: Float[Tensor, " k"]) -> None:
        """Move the prototypes of present classes towards the directions of their sums over all processes.

        At its first sight a class takes the direction itself.
        """
        packed = torch.cat([sums, counts[:, None]], 1)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(packed)
        means, present = F.normalize(packed[:, :-1], dim=-1), packed[:, -1] > 0
        moved = F.normalize(self.momentum * self.prototypes + (1 - self.momentum) * means, dim=-1)
        fresh = torch.where(self.seen[:, None], moved, means)
        self.prototypes.copy_(torch.where(present[:, None], fresh, self.prototypes))
        self.seen |= present

    def guide(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """Words of any vocabulary drawn to the prototypes they are near: normalise(t + guidance * mixture).

        The mixture of a word is the direction of its softmax-weighted prototypes. The published code has this and never
        calls it. With guidance 0 the words are returned as they are.
        """
        if not self.guidance:
            return text
        words, ready = F.normalize(text, dim=-1), self.ready
        # The bank changes in place between forward and backward; the graph keeps its own copy.
        prototypes = self.prototypes.clone()
        nearness = words @ prototypes.T / self.temperatures.detach()
        # Finite, so that a bank without any prototype gives equal shares of zeros and not a number that is none.
        shares = nearness.masked_fill(~ready, torch.finfo(nearness.dtype).min).softmax(-1)
        return F.normalize(words + self.guidance * F.normalize(shares @ prototypes, dim=-1), dim=-1)


class PrototypeTerm(nn.Module):
    """HPA: the loss against the prototypes of previous steps, and what the step gives to the next ones."""

    def __init__(self, config: Prototypes, bank: PrototypeBank, classes: TrainingClasses) -> None:
        super().__init__()
        self.config = config
        if bank.count != len(classes.labels):
            raise ConfigError(
                f"method.cost.prototypes.count is {bank.count}, but training has {len(classes.labels)} classes. "
                "Set it to that number, or leave it out: an experiment fills it in."
            )
        if config.start == "text":
            bank.start(classes.embed())
        # Not buffers: what a process has collected must not be replaced by what another has.
        self._sums: Tensor | None = None
        self._counts: Tensor | None = None

    def forward(self, bank: PrototypeBank, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `prototypes`, or the two of the geodesic kind."""
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
        """Move the prototypes by what all parts and processes of the step have seen."""
        if self._sums is not None and self._counts is not None:
            bank.update(self._sums, self._counts)
        self._sums = self._counts = None

    @torch.no_grad()
    def statistics(self, bank: PrototypeBank) -> dict[str, float]:
        """The share of classes seen, and the temperatures."""
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
    """The features that prototypes are made of, and the place of their class in the training vocabulary."""
    features = view.output.aligned
    assert features is not None, "methods with prototypes give the map that they are made of"
    labels = nearest_labels(view.labels, (features.shape[-2], features.shape[-1])).flatten()
    labelled = labels != IGNORE
    rows = torch.where(labelled, view.classes[torch.where(labelled, labels, 0)], IGNORE)
    return features.movedim(1, -1).flatten(0, 2), rows
