"""What prototypes, rectification and self-distillation ask of training: their losses, and their figures to watch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import ConfigError
from ahs_seg.heads.prototypes import PrototypeBank, Prototypes
from ahs_seg.heads.rectification import (
    CertaintyRectification,
    CertaintyRectifier,
    Gates,
    MixingRectification,
    MixingRectifier,
)
from ahs_seg.losses.distillation import distillation_loss, distillation_schedule
from ahs_seg.losses.labels import nearest_labels
from ahs_seg.losses.prototypes import prototype_contrast, prototype_distance, prototype_loss
from ahs_seg.losses.rectification import consistency_loss, gate_regulariser, perturbed_style
from ahs_seg.methods.cost import CostSegmenter, resize
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.tuners.teacher import Distillation
from ahs_seg.types import IGNORE, ImageFeatures, TrainingForward


class PrototypeTerm(nn.Module):
    """HPA: the loss against the prototypes of previous steps, and what the step gives to the next ones."""

    def __init__(self, config: Prototypes, method: CostSegmenter, classes: TrainingClasses) -> None:
        super().__init__()
        self.config = config
        bank = _bank(method)
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

    def forward(self, method: CostSegmenter, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `prototypes`, or the two of the geodesic kind."""
        bank, config = _bank(method), self.config
        features, rows = _labelled_features(method, view)
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

    def update(self, method: CostSegmenter) -> None:
        """Move the prototypes by what all parts and processes of the step have seen."""
        if self._sums is not None and self._counts is not None:
            _bank(method).update(self._sums, self._counts)
        self._sums = self._counts = None

    @torch.no_grad()
    def statistics(self, method: CostSegmenter) -> dict[str, float]:
        """The share of classes seen, and the temperatures."""
        bank = _bank(method)
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


class ConsistencyTerm(nn.Module):
    """AFR of the simple design: rectified features do not depend on style."""

    def __init__(self, config: CertaintyRectification) -> None:
        super().__init__()
        self.config = config
        self._figures: dict[str, Tensor] = {}

    def forward(self, method: CostSegmenter, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `consistency`."""
        rectifier = method.parts.rectifier
        assert isinstance(rectifier, CertaintyRectifier)
        dense = view.output.features.dense.float()
        with torch.no_grad():
            self._figures = _means(rectifier.gates(dense))
        other = rectifier(perturbed_style(dense, strength=self.config.strength))
        return {"consistency": self.config.weight * consistency_loss(rectifier(dense), other)}

    def statistics(self, method: CostSegmenter) -> dict[str, float]:  # noqa: ARG002  # one call for all terms
        """Means of the last gates."""
        return {name: value.item() for name, value in self._figures.items()}


class GateTerm(nn.Module):
    """AFR of HPS-Seg: gates stay open and smooth unless it pays to close them."""

    def __init__(self, config: MixingRectification) -> None:
        super().__init__()
        self.config = config
        self._figures: dict[str, Tensor] = {}

    def forward(self, method: CostSegmenter, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `gates`."""
        rectifier, config = method.parts.rectifier, self.config
        assert isinstance(rectifier, MixingRectifier)
        gates = rectifier.gates(view.output.features.dense.float())
        self._figures = _means(gates)
        loss = gate_regulariser(
            gates.channel, gates.spatial, open_weight=config.open_weight, smooth_weight=config.smooth_weight
        )
        return {"gates": config.weight * loss}

    def statistics(self, method: CostSegmenter) -> dict[str, float]:  # noqa: ARG002  # one call for all terms
        """Means of the last gates."""
        return {name: value.item() for name, value in self._figures.items()}


class DistillationTerm(nn.Module):
    """SDR: the tuned encoder stays near the CLIP it was when the term was made."""

    def __init__(self, config: Distillation, backbone: ClipBackbone) -> None:
        super().__init__()
        self.config = config
        self.teacher = config.build(backbone)
        self._distance: Tensor | None = None

    def forward(self, method: CostSegmenter, view: TrainingForward) -> dict[str, Tensor]:
        """The loss, called `distillation`."""
        student, images = view.output.features.dense, resize(view.images, method.backbone.resolution)
        # In the precision of the student: what differs between two precisions is not forgetting.
        with torch.autocast(student.device.type, dtype=student.dtype, enabled=student.dtype != torch.float32):
            teacher = self.teacher(method.backbone, images)
        distance = distillation_loss(student.float(), teacher.float())
        self._distance = distance.detach()
        factor = distillation_schedule(view.progress, initial=self.config.initial, final=self.config.final)
        return {"distillation": self.config.weight * factor * distance}

    def statistics(self, method: CostSegmenter) -> dict[str, float]:  # noqa: ARG002  # one call for all terms
        """The last mean angle to the teacher, in radians."""
        return {} if self._distance is None else {"teacher/distance": self._distance.item()}


def _bank(method: CostSegmenter) -> PrototypeBank:
    bank = method.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    return bank


def _labelled_features(method: CostSegmenter, view: TrainingForward) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
    """The features that prototypes are made of, and the place of their class in the training vocabulary."""
    if method.parts.projection is None:
        features = view.output.compared
    else:  # prototypes live in the joint space, the comparison does not
        dense = method.parts.rectified(ImageFeatures(view.output.features.dense.float()))
        features = method.parts.aligned(dense)
    labels = nearest_labels(view.labels, (features.shape[-2], features.shape[-1])).flatten()
    labelled = labels != IGNORE
    rows = torch.where(labelled, view.classes[torch.where(labelled, labels, 0)], IGNORE)
    return features.movedim(1, -1).flatten(0, 2), rows


def _means(gates: Gates) -> dict[str, Tensor]:
    values = {"channel": gates.channel, "spatial": gates.spatial, "certainty": gates.certainty, "mix": gates.mix}
    return {f"gates/{name}": value.detach().mean() for name, value in values.items()}
